//! One process on a simulated disk: it opens the store, recovers and saves, and every call is recorded.

use std::path::Path;
use std::sync::Arc;

use repl_checkpoint::{CheckpointError, OpenStoreError, Saved};
use repl_checkpoint::{OnCorrupt, Recovered, SaveError, Source};
use repl_core::{SeqRange, ShardId};

use super::disk::{Call, SimDisk, State};
use super::fault::Fault;
use super::history::{History, Value};
use super::invariant::{Broken, Invariant};
use super::layout::{is_temp, short};
use super::protocol::Protocol;
use super::watched::Notes;
use crate::panics::caught;

/// What a process is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The marks of each save, each above those before.
    pub(crate) saves: Vec<Arc<[u64]>>,
    /// The number of ranges above the first mark, for one save after the other. All of them end
    /// before the next mark.
    pub(crate) completed: [u64; 3],
    pub(crate) fault: Option<Fault>,
    /// Whether it begins after a power cut: then everything that it finds is durable.
    pub(crate) after_cut: bool,
}

/// What a process did.
pub(crate) struct Trace {
    /// The disk before each call, and at the end.
    pub(crate) states: Vec<State>,
    pub(crate) calls: Vec<Call>,
    /// The history from each number of calls on, ascending.
    timeline: Vec<(usize, History)>,
    pub(crate) broken: Option<Broken>,
}

impl Trace {
    /// The history after this many calls.
    pub(crate) fn history(&self, calls: usize) -> Option<&History> {
        let after = self.timeline.partition_point(|(from, _)| *from <= calls);
        self.timeline.get(after.checked_sub(1)?).map(|(_, history)| history)
    }
}

/// The shards of every process.
pub(crate) fn shards(count: usize) -> Vec<ShardId> {
    // Long numbers, so that few shards fill a sector.
    (1..=count as u64).map(|i| ShardId(u64::MAX / 2 + i)).collect()
}

/// Runs one process to its end.
pub(crate) fn run_process(
    protocol: Protocol,
    start: &State,
    history: &History,
    plan: &Plan,
) -> Trace {
    let disk = SimDisk::of(start.clone());
    disk.fail(plan.fault);
    disk.record();
    let mut process = Process { protocol, disk: &disk, plan, timeline: vec![(0, history.clone())] };
    let broken = match caught(|| process.run()) {
        Ok(result) => result.err(),
        Err(panic) => Some(Broken::new(Invariant::NoPanic, panic)),
    };
    let timeline = process.timeline;
    let temp_used = if protocol.own.is_none() { uses_found_temp(&disk.calls()) } else { None };
    let broken = temp_used.or(broken);
    Trace { states: disk.recorded(), calls: disk.calls(), timeline, broken }
}

/// The violation of a process that uses a temporary file which it did not create. Pruning ignores
/// the contents of temporary files, which is sound only as long as no process reads them.
fn uses_found_temp(calls: &[Call]) -> Option<Broken> {
    let of_temp = |call: &&Call| is_temp(call.path.as_os_str());
    let mut created: Vec<&Path> = Vec::new();
    for Call { verb, path, .. } in calls.iter().filter(of_temp) {
        match *verb {
            "create_new" => created.push(path),
            "remove" => {}
            _ if created.contains(&path.as_path()) => {}
            _ => {
                let what = format!("{verb} {}", short(path));
                return Some(Broken::new(Invariant::TempsOnlyRemoved, what));
            }
        }
    }
    None
}

struct Process<'a> {
    protocol: Protocol,
    disk: &'a SimDisk,
    plan: &'a Plan,
    timeline: Vec<(usize, History)>,
}

impl Process<'_> {
    fn run(&mut self) -> Result<(), Broken> {
        let shards = shards(self.plan.saves.first().map_or(0, |marks| marks.len()));
        let (mut follower, notes) = match self.protocol.recover(self.disk, &shards, OnCorrupt::Fail)
        {
            Ok(recovered) => recovered,
            // A call failed: the process may end with an error.
            Err(_) if self.disk.has_failed() => return Ok(()),
            Err(refused) => {
                return Err(Broken::new(Invariant::RecoverySucceeds, refused.to_string()));
            }
        };
        self.check_torn(&follower.report.source)?;
        let found = found(&follower, &notes, &shards)?;
        self.history().check(&found)?;
        if self.plan.after_cut {
            self.update(self.disk.call_count(), |history| history.settle(&found));
        }
        self.check_open()?;
        self.claim(&follower, &found, &shards)?;
        for (marks, completed) in self.plan.saves.iter().zip(self.plan.completed.iter().cycle()) {
            for (shard, mark) in shards.iter().zip(marks.iter()) {
                follower.state.advance(*shard, *mark);
            }
            let first = shards.first().and_then(|shard| follower.state.shard(*shard));
            if let (Some(first), Some(mark)) = (first, marks.first()) {
                let apart = (1..=*completed).map(|i| mark + 2 * i);
                apart.for_each(|seqno| first.complete(SeqRange::new(seqno, seqno)));
            }
            if !self.save(&mut follower, &notes, marks)? {
                break;
            }
            self.claim(&follower, &found, &shards)?;
        }
        Ok(())
    }

    fn history(&self) -> History {
        let last = self.timeline.last();
        last.map_or_else(|| History::new(0), |(_, history)| history.clone())
    }

    fn update(&mut self, from: usize, change: impl FnOnce(&mut History)) {
        let mut history = self.history();
        change(&mut history);
        self.timeline.push((from, history));
    }

    /// A crash damages no more than one unfinished save.
    fn check_torn(&self, origin: &Source) -> Result<(), Broken> {
        let damaged = match origin {
            Source::FellBack { damaged, .. } => damaged.len(),
            Source::Fresh | Source::Resumed { .. } => 0,
        };
        if damaged <= self.protocol.max_torn() {
            return Ok(());
        }
        Err(Broken::new(Invariant::AtMostOneTorn, format!("{damaged} damaged: {origin:?}")))
    }

    /// After an open no temporary file exists, and a second open is refused.
    fn check_open(&self) -> Result<(), Broken> {
        if self.disk.has_failed() {
            return Ok(());
        }
        let files = self.disk.state().files();
        let temp = files.keys().find(|path| is_temp(path.as_os_str()));
        if let Some(temp) = temp {
            let what = format!("{} still exists", short(temp));
            return Err(Broken::new(Invariant::OpenRemovesTemps, what));
        }
        match self.protocol.open(&self.disk.fork()) {
            Err(OpenStoreError::Locked { .. }) => Ok(()),
            Err(other) => Err(Broken::new(Invariant::OneOwner, other.to_string())),
            Ok(_) => Err(Broken::new(Invariant::OneOwner, "a second store was opened")),
        }
    }

    /// Checks the marks that are returned now, and records them.
    fn claim(
        &mut self,
        follower: &Recovered,
        found: &Value,
        shards: &[ShardId],
    ) -> Result<(), Broken> {
        let floors = follower.checkpointer.floors();
        let claims = self.protocol.claims(&found.marks, &floors, shards);
        for ((shard, saved), floor) in shards.iter().zip(&claims.checkpointed).zip(&claims.floors) {
            let applied = follower.state.applied_seqno(*shard);
            if !(floor <= saved && *saved <= applied) {
                let what = format!("floor {floor:?}, checkpointed {saved:?}, applied {applied:?}");
                return Err(Broken::new(Invariant::WithinApplied, what));
            }
        }
        self.update(self.disk.call_count(), |history| {
            history.claim(&claims.checkpointed, &claims.floors);
        });
        Ok(())
    }

    /// Saves once. Returns whether the process may save again.
    fn save(
        &mut self,
        follower: &mut Recovered,
        notes: &Notes,
        marks: &Arc<[u64]>,
    ) -> Result<bool, Broken> {
        let failed_before = self.disk.has_failed();
        let saved = follower.checkpointer.checkpoint(|_| Ok(()));
        let attempt = {
            let recorded = notes.lock();
            let mut last = recorded.saves.iter().rev();
            let attempt = last.next().copied();
            let before = last.next();
            if let (Some(now), Some(before)) = (attempt, before)
                && now.generation <= before.generation
            {
                let what = format!("{} after {}", now.generation, before.generation);
                return Err(Broken::new(Invariant::GenerationsRise, what));
            }
            attempt
        };
        let Some(attempt) = attempt else {
            let what = format!("{saved:?}, and no save was attempted");
            return Err(Broken::new(Invariant::NextSaveSucceeds, what));
        };
        let (generation, bytes) = (attempt.generation, attempt.bytes);
        let value = Value { generation, marks: Arc::clone(marks), bytes };
        self.update(attempt.calls, |history| history.attempt(&value));
        let now = self.disk.call_count();
        match saved {
            Ok(Saved::Written(_)) => self.update(now, |history| history.acknowledge(&value)),
            Err(_) if failed_before || !self.disk.has_failed() => {
                let what = saved.err().map_or(String::new(), |err| err.to_string());
                return Err(Broken::new(Invariant::NextSaveSucceeds, what));
            }
            Err(CheckpointError::Save(SaveError::NotSaved { .. })) => {
                self.update(now, |history| history.not_saved(&value));
            }
            Err(CheckpointError::Save(SaveError::InDoubt { .. })) => return Ok(false),
            other => {
                return Err(Broken::new(Invariant::NextSaveSucceeds, format!("{other:?}")));
            }
        }
        Ok(true)
    }
}

/// The checkpoint from which a follower was recovered.
pub(crate) fn found(
    follower: &Recovered,
    notes: &Notes,
    shards: &[ShardId],
) -> Result<Value, Broken> {
    let generation = match &follower.report.source {
        Source::Fresh => 0,
        Source::Resumed { generation } | Source::FellBack { generation, .. } => *generation,
    };
    let mark = |shard: &ShardId| follower.state.applied_seqno(*shard).unwrap_or(u64::MAX);
    let marks = shards.iter().map(mark).collect();
    let recorded = notes.lock();
    let bytes = recorded.loaded.iter().find(|(of, _)| *of == generation).map(|(_, bytes)| *bytes);
    match bytes {
        _ if generation == 0 => Ok(Value { generation, marks, bytes: 0 }),
        Some(bytes) => Ok(Value { generation, marks, bytes }),
        None => {
            let what = format!("generation {generation} was recovered, and no file holds it");
            Err(Broken::new(Invariant::RecoveredWasWritten, what))
        }
    }
}
