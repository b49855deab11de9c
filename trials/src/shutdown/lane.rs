//! Shuts one filesystem down repeatedly under one kind of store.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use repl_harness::crash::{ImageStats, StoreKind, Tree, read_tree};

use super::machine::{Fs, Helper, Volume};
use crate::done::Fallible;
use crate::writer::{
    self, CallRecord, Checker, Event, Events, Failure, Follower, Outcome, Plan, RunResult,
    WriterMutant,
};

/// One kind of store on one filesystem.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) fs: Fs,
    pub(super) kind: StoreKind,
    pub(super) mutant: Option<WriterMutant>,
    pub(super) cycles: u64,
}

/// What a lane observed.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) cycles: u64,
    pub(super) attempted: u64,
    pub(super) acknowledged: u64,
    /// How many of these were deltas.
    pub(super) deltas: u64,
    /// How the recoveries ended, and how many were cut off.
    pub(super) outcomes: BTreeMap<Outcome, u64>,
    pub(super) cut_off: u64,
    /// How many recoveries passed over a damaged slot.
    pub(super) fell_back: u64,
    /// By call: how many shutdowns came while it was under way, and how many between it and the
    /// next.
    pub(super) hit: BTreeMap<String, [u64; 2]>,
    /// What was found, compared to the simulated disk.
    pub(super) left: ImageStats,
    /// How many shutdowns left a temporary file.
    pub(super) temps: u64,
    pub(super) elapsed: Duration,
    pub(super) failure: Option<Failure>,
    /// What was run before it.
    pub(super) plan: Option<Plan>,
}

impl Figures {
    /// Whether a shutdown came before a save had ended.
    pub(super) fn was_cut_off(&self) -> bool {
        self.attempted > self.acknowledged
    }
}

/// More saves than a writer makes before its filesystem is gone.
const STAMPS: u64 = 1 << 20;

/// How often a mutant is run.
const TRIALS: u64 = 10;

impl Lane {
    pub(super) fn name(self) -> String {
        format!("{} on {}", self.kind, self.fs.name())
    }

    /// Runs a mutant. Without its syncs ext4 may also leave what the simulated disk cannot, before
    /// a promise is broken: then it is run again, on a new filesystem and from another seed.
    pub(super) fn trial(self, folder: &Path, name: &str, seed: u64) -> Fallible<Figures> {
        let mut figures = self.run(folder, name, seed, || ())?;
        for again in 1..TRIALS {
            if self.mutant == Some(WriterMutant::SkipsSyncs)
                || !matches!(figures.failure, Some(Failure::NotSimulated { .. }))
            {
                break;
            }
            figures = self.run(folder, name, seed.wrapping_add(again), || ())?;
        }
        Ok(figures)
    }

    /// Runs all cycles, or stops at the first failure.
    pub(super) fn run(
        self,
        folder: &Path,
        name: &str,
        seed: u64,
        on_cycle: impl Fn(),
    ) -> Fallible<Figures> {
        let started = Instant::now();
        let name = format!("{name}-{:?}-{:?}-{:?}", self.fs, self.kind, self.mutant);
        let mut helper = Helper::new()?;
        let mut run = Run {
            lane: self,
            volume: Volume::new(self.fs, folder, &name, &mut helper)?,
            helper,
            checker: Checker::default(),
            last: None,
            figures: Figures::default(),
        };
        let stream = self.fs as u64 * 2 + self.kind as u64;
        for cycle in 0..self.cycles {
            let plan = Plan::of(seed, stream, self.kind, cycle);
            run.figures.failure = run.cycle(cycle, plan)?.err();
            if run.figures.failure.is_some() {
                break;
            }
            on_cycle();
        }
        if run.figures.failure.is_none() {
            run.figures.failure = run.last()?.err();
        }
        run.figures.plan = run.last;
        run.figures.elapsed = started.elapsed();
        Ok(run.figures)
    }
}

struct Run {
    lane: Lane,
    // Dropped first: the helper may have it open.
    helper: Helper,
    volume: Volume,
    checker: Checker,
    /// What was run last.
    last: Option<Plan>,
    figures: Figures,
}

/// Everything that a writer reported.
type Log = Vec<std::io::Result<(Event, Vec<u8>)>>;

impl Run {
    /// Mounts, looks at what is there, and runs a writer until the filesystem is gone.
    fn cycle(&mut self, cycle: u64, plan: Plan) -> Fallible<Result<(), Failure>> {
        self.volume.mount(plan.options)?;
        if let Err(failure) = self.look()? {
            return Ok(Err(failure));
        }
        self.last = Some(plan);
        self.helper.open(&self.volume.stores())?;
        let first = cycle * STAMPS + 1;
        let mut calls: Vec<CallRecord> = Vec::new();
        let mut ordered = false;
        let mut too_early = None;
        let log = self.write(plan.follower, first, STAMPS, |helper, event| {
            if let Event::Call(made) = event {
                if made.is_fault() && !ordered {
                    too_early.get_or_insert_with(|| made.clone());
                }
                calls.push(made.clone());
            }
            if calls.len() as u64 >= plan.calls && !ordered {
                ordered = true;
                helper.shut_down(plan.delay)?;
            }
            Ok(())
        })?;
        let result = match self.checker.check_run(plan.follower, log) {
            Ok(result) => result,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(made) = too_early {
            return Ok(Err(Failure::Unexpected(format!("before the shutdown: {made:?}"))));
        }
        if result.failed.is_none() || !ordered {
            let what = "the writer ended, and no call had failed".to_owned();
            return Ok(Err(Failure::Unexpected(what)));
        }
        let at = self.helper.shut_down_at()?;
        let (call, under_way) = hit(&calls, at);
        self.figures.hit.entry(call).or_default()[usize::from(!under_way)] += 1;
        self.count(&result);
        self.figures.cycles += 1;
        self.volume.unmount()?;
        Ok(Ok(()))
    }

    /// Every follower recovers once more, and saves.
    fn last(&mut self) -> Fallible<Result<(), Failure>> {
        self.volume.mount(0)?;
        if let Err(failure) = self.look()? {
            return Ok(Err(failure));
        }
        for follower in Follower::all(self.lane.kind) {
            let log = self.write(follower, self.lane.cycles * STAMPS + 1, 3, |_, _| Ok(()))?;
            match self.checker.check_run(follower, log) {
                Ok(result) if result.acknowledged == 3 => self.count(&result),
                Ok(_) => {
                    return Ok(Err(Failure::Unexpected("a writer ended too early".to_owned())));
                }
                Err(failure) => return Ok(Err(failure)),
            }
        }
        self.volume.unmount()?;
        Ok(Ok(()))
    }

    fn look(&mut self) -> Fallible<Result<(), Failure>> {
        let tree = read_tree(&self.volume.stores())?;
        if let Some(last) = self.last.as_ref().map(|plan| plan.follower) {
            self.figures.temps += u64::from(has_temp(&tree, last));
        }
        Ok(self.checker.check_mount(&tree).map(|left| {
            self.figures.left.unsettled += left.unsettled;
            self.figures.left.between += left.between;
            self.figures.left.garbage += left.garbage;
        }))
    }

    /// Runs a writer to its end.
    fn write(
        &mut self,
        follower: Follower,
        first: u64,
        saves: u64,
        mut on_event: impl FnMut(&mut Helper, &Event) -> Fallible<()>,
    ) -> Fallible<Log> {
        let (stores, mutant) = (self.volume.stores(), self.lane.mutant);
        let mut writer = writer::command(&stores, follower, mutant, first..first + saves)?;
        let mut child = writer.stdout(Stdio::piped()).spawn()?;
        let pipe = child.stdout.take().ok_or("a writer without a pipe")?;
        let mut log = Log::new();
        for event in Events::new(BufReader::with_capacity(1 << 20, pipe)) {
            if let Ok((event, _)) = &event {
                on_event(&mut self.helper, event)?;
            }
            log.push(event);
        }
        let status = child.wait()?;
        if !status.success() {
            log.push(Err(std::io::Error::other(format!("the writer ended with {status}"))));
        }
        Ok(log)
    }

    fn count(&mut self, result: &RunResult) {
        self.figures.attempted += result.attempted;
        self.figures.acknowledged += result.acknowledged;
        self.figures.deltas += result.deltas;
        self.figures.fell_back += u64::from(result.passed_over > 0);
        match result.outcome {
            Some(outcome) => *self.figures.outcomes.entry(outcome).or_default() += 1,
            None => self.figures.cut_off += 1,
        }
    }
}

/// The call that was under way at an instant, or the last one before it.
fn hit(calls: &[CallRecord], at: u128) -> (String, bool) {
    match calls.iter().rfind(|made| made.began <= at) {
        Some(made) => (made.operation.verb().to_owned(), made.ended >= at),
        None => ("the start".to_owned(), false),
    }
}

fn has_temp(tree: &Tree, follower: Follower) -> bool {
    let dir = Path::new("/").join(follower.name());
    tree.keys().any(|path| path.starts_with(&dir) && writer::is_temp(&path.to_string_lossy()))
}
