//! Checks the reports of a writer against what is found after it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use repl_harness::crash::{
    History, ImageStats, Invariant, NotAnImage, SimDisk, Tree, Violation, Written,
};

use super::event::{CallRecord, Event};
use super::follower::Follower;
use super::replay::Replay;

/// Checks one filesystem through all of its shutdowns.
#[derive(Default)]
pub(crate) struct Checker {
    replay: Option<Replay>,
    followers: BTreeMap<Follower, Known>,
    /// The last events of the last writer.
    script: Vec<String>,
}

/// What is known of one follower's store.
#[derive(Clone)]
pub(super) struct Known {
    history: History,
    /// The save that the last writer began and did not finish.
    unfinished: Option<Written>,
}

impl Known {
    pub(super) fn new() -> Self {
        Known { history: History::new(1), unfinished: None }
    }
}

/// What a writer did until it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunResult {
    /// The checkpoint that it recovered; `None` if the filesystem was shut down before.
    pub(crate) outcome: Option<Outcome>,
    /// The number of damaged checkpoints that recovery skipped.
    pub(crate) passed_over: usize,
    /// The number of saves that were begun.
    pub(crate) attempted: u64,
    /// The number of saves that were acknowledged.
    pub(crate) acknowledged: u64,
    /// How many of these were deltas.
    pub(crate) deltas: u64,
    /// The first call that failed.
    pub(crate) failed: Option<CallRecord>,
}

/// The checkpoint that a recovery returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    /// The acknowledged one; no save was in progress when the writer before it ended.
    Acknowledged,
    /// The older one of a save in progress.
    Old,
    /// The newer one of a save in progress.
    New,
}

/// A run that does not pass.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A promise is broken.
    Broken(Violation),
    /// The simulated disk may not leave what was found.
    NotSimulated {
        /// Why not.
        why: NotAnImage,
        /// The last calls before the shutdown.
        script: Vec<String>,
    },
    /// A call failed before the shutdown, or the simulated disk refused it.
    Unexpected(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Broken(violation) => violation.fmt(f),
            Failure::NotSimulated { why, script } => {
                write!(f, "not a simulated image: {why}")?;
                script.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Failure::Unexpected(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

/// The number of calls that a failure shows.
pub(super) const SHOWN: usize = 40;

impl Checker {
    /// Checks the files of the filesystem right after a mount.
    ///
    /// # Errors
    /// [`Failure::NotSimulated`] if a shutdown may not leave them.
    pub(crate) fn check_mount(&mut self, found: &Tree) -> Result<ImageStats, Failure> {
        let stats = self.may_leave(found);
        let stats =
            stats.map_err(|why| Failure::NotSimulated { why, script: self.script.clone() })?;
        let disk = SimDisk::from_tree(found).map_err(|err| Failure::Unexpected(err.to_string()))?;
        self.replay = Some(Replay::new(disk));
        Ok(stats)
    }

    /// Checks that a shutdown now may leave exactly `found`. Before the first mount anything may
    /// be found.
    ///
    /// # Errors
    /// [`NotAnImage`] if it may not.
    pub(crate) fn may_leave(&self, found: &Tree) -> Result<ImageStats, NotAnImage> {
        let replay = self.replay.as_ref();
        replay.map_or(Ok(ImageStats::default()), |replay| replay.disk().may_leave(found))
    }

    /// Checks the run of a writer on the mounted filesystem. `log` holds everything it reported.
    ///
    /// # Errors
    /// [`Failure`] if a promise is broken or the log does not fit the simulated disk.
    pub(crate) fn check_run(
        &mut self,
        follower: Follower,
        log: impl IntoIterator<Item = io::Result<(Event, Vec<u8>)>>,
    ) -> Result<RunResult, Failure> {
        let replay = self.replay.get_or_insert_with(|| Replay::new(SimDisk::new()));
        let known = self.followers.entry(follower).or_insert_with(Known::new);
        self.script.clear();
        let mut run = Run { known, result: RunResult::default(), after_cut: true };
        for entry in log {
            let (event, bytes) = entry.map_err(|err| Failure::Unexpected(err.to_string()))?;
            if self.script.len() == SHOWN {
                self.script.remove(0);
            }
            self.script.push(shown(&event));
            if let Event::Call(call) = &event {
                replay.make(call, &bytes).map_err(|err| {
                    let what = format!("{}: the simulated disk returns {err}", shown(&event));
                    Failure::Unexpected(what)
                })?;
            }
            run.check(event)
                .map_err(|broken| Failure::Broken(broken.after(self.script.clone())))?;
        }
        Ok(run.result)
    }
}

pub(super) struct Run<'a> {
    pub(super) known: &'a mut Known,
    pub(super) result: RunResult,
    /// Whether the files that it finds are durable.
    pub(super) after_cut: bool,
}

impl Run<'_> {
    pub(super) fn check(&mut self, event: Event) -> Result<(), Violation> {
        let failed = self.result.failed.is_some();
        match event {
            Event::Call(call) if !failed && call.is_fault() => {
                self.result.failed = Some(call);
            }
            Event::Refused { why } if !failed => {
                return Err(Violation::new(Invariant::RecoverySucceeds, why));
            }
            Event::Call(_) | Event::Refused { .. } => {}
            Event::Recovered { generation, stamp, bytes, passed_over, temps } => {
                if let Some(temp) = temps.first().filter(|_| !failed) {
                    let what = format!("{temp} still exists");
                    return Err(Violation::new(Invariant::OpenRemovesTemps, what));
                }
                self.recovered(&written(generation, stamp, bytes))?;
                self.result.passed_over = passed_over;
            }
            Event::Attempt { generation, stamp, bytes } => {
                let value = written(generation, stamp, bytes);
                let before = self.known.history.attempted().last();
                if self.result.attempted > 0 && before.is_some_and(|b| b.generation >= generation) {
                    let what = format!("generation {generation} is used again");
                    return Err(Violation::new(Invariant::GenerationsRise, what));
                }
                self.result.attempted += 1;
                self.known.history.attempt(&value);
                self.known.unfinished = Some(value);
            }
            Event::Saved { checkpointed, floor, is_delta } => {
                self.result.acknowledged += 1;
                self.result.deltas += u64::from(is_delta);
                if let Some(value) = self.known.unfinished.take() {
                    self.known.history.acknowledge(&value);
                }
                self.known.history.claim(&[Some(checkpointed)], &[floor]);
            }
            Event::Failed { why, .. } if !failed => {
                return Err(Violation::new(Invariant::NextSaveSucceeds, why));
            }
            Event::Failed { not_saved, .. } => {
                if let Some(value) = self.known.unfinished.as_ref().filter(|_| not_saved) {
                    self.known.history.not_saved(value);
                }
            }
            Event::Broken { what } => {
                return Err(Violation::new(Invariant::RecoveredWasWritten, what));
            }
        }
        Ok(())
    }

    fn recovered(&mut self, found: &Written) -> Result<(), Violation> {
        self.known.history.check(found)?;
        let unfinished = self.known.unfinished.clone();
        if self.after_cut {
            self.known.history.settle(found);
            self.known.unfinished = None;
        }
        self.result.outcome = Some(match unfinished {
            None => Outcome::Acknowledged,
            Some(new) if new == *found => Outcome::New,
            Some(_) => Outcome::Old,
        });
        Ok(())
    }
}

/// All marks are of one stamp, which represents them.
fn written(generation: u64, stamp: u64, bytes: u128) -> Written {
    Written { generation, marks: [stamp].into(), bytes }
}

pub(super) fn shown(event: &Event) -> String {
    match event {
        Event::Call(CallRecord { operation, failed: None, .. }) => format!("{operation:?}"),
        Event::Call(CallRecord { operation, failed: Some(why), .. }) => {
            format!("{operation:?}: {why}")
        }
        other => format!("{other:?}"),
    }
}
