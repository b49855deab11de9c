//! One process on a simulated disk: it opens the store, recovers and saves, and every call is recorded.

mod plan;
mod reopening;
mod saving;

use std::path::Path;

use repl_checkpoint::{Attempt, OnCorrupt, OpenStoreError, Recovered, Source};
use repl_core::ShardId;

use super::disk::{Call, SimDisk, State};
use super::history::{History, Written};
use super::invariant::{Invariant, Violation};
use super::layout::{is_of_marker, is_temp, marker, short};
use super::mutants::{Opened, Saver};
use super::protocol::{Claims, Protocol};
use super::watched::Notes;
use crate::panics::caught;

pub(crate) use self::plan::Plan;

/// What a process did.
pub(crate) struct Trace {
    /// The disk before each call, and at the end.
    pub(crate) states: Vec<State>,
    pub(crate) calls: Vec<Call>,
    /// The history from each number of calls on, ascending.
    timeline: Vec<(usize, History)>,
    /// The number of calls after which a save was in doubt.
    pub(crate) in_doubt: Option<usize>,
    /// The number of deltas that were acknowledged.
    pub(crate) deltas: u64,
    pub(crate) broken: Option<Violation>,
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
    let timeline = vec![(0, history.clone())];
    let mut process = Process { protocol, disk: &disk, plan, timeline, in_doubt: None, deltas: 0 };
    let broken = match caught(|| process.run()) {
        Ok(result) => result.err(),
        Err(panic) => Some(Violation::new(Invariant::NoPanic, panic)),
    };
    let Process { timeline, in_doubt, deltas, .. } = process;
    let temp_used = if protocol.own.is_none() { uses_found_temp(&disk.calls()) } else { None };
    let broken = temp_used.or(broken);
    let (states, calls) = (disk.recorded(), disk.calls());
    Trace { states, calls, timeline, in_doubt, deltas, broken }
}

/// The violation of a process that uses a temporary file which it did not create, or reads a marker.
/// Pruning ignores the contents of both, which is sound only as long as no process reads them.
fn uses_found_temp(calls: &[Call]) -> Option<Violation> {
    let reads = |call: &&Call| matches!(call.verb, "read_at" | "length");
    if let Some(read) = calls.iter().filter(reads).find(|call| is_of_marker(&call.path)) {
        let what = format!("{} {}", read.verb, short(&read.path));
        return Some(Violation::new(Invariant::TempsOnlyRemoved, what));
    }
    let of_temp = |call: &&Call| is_temp(call.path.as_os_str());
    let mut created: Vec<&Path> = Vec::new();
    for Call { verb, path, .. } in calls.iter().filter(of_temp) {
        match *verb {
            "create_new" => created.push(path),
            "remove" => {}
            _ if created.contains(&path.as_path()) => {}
            _ => {
                let what = format!("{verb} {}", short(path));
                return Some(Violation::new(Invariant::TempsOnlyRemoved, what));
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
    in_doubt: Option<usize>,
    deltas: u64,
}

/// A recovered follower.
struct Follower {
    saver: Saver,
    notes: Notes,
    shards: Vec<ShardId>,
    /// What the store held when it was opened last.
    found: Written,
    opened: Opened,
    /// The number of acknowledged saves since then.
    saves: usize,
    /// A superseded attempt, to be offered after the next save.
    late: Option<Attempt>,
}

impl Process<'_> {
    fn run(&mut self) -> Result<(), Violation> {
        let Some(mut follower) = self.start()? else { return Ok(()) };
        let (mut save, mut end) = (0, self.plan.saves.len());
        while save < end
            && let Some(marks) = self.plan.marks(save)
        {
            let acknowledged = self.save(&mut follower, save, &marks)?;
            if !acknowledged && !self.reopen(&mut follower)? {
                break;
            }
            if !acknowledged {
                end = end.max(save + 3); // the second save after a reopen moves the floors
            }
            self.offer_late(&mut follower)?;
            self.claim(&follower)?;
            save += 1;
        }
        Ok(())
    }

    /// Opens the store and recovers; `None` if a call failed.
    fn start(&mut self) -> Result<Option<Follower>, Violation> {
        if self.protocol.own.is_none()
            && self.history().has_acknowledged()
            && self.disk.state().find(&marker()).is_err()
        {
            return Err(Violation::new(Invariant::MarkerStays, "it is missing"));
        }
        let from = self.disk.call_count();
        let shards = shards(self.plan.saves.first().map_or(0, |marks| marks.len()));
        let (follower, notes) = match self.protocol.recover(self.disk, &shards, OnCorrupt::Fail) {
            Ok(recovered) => recovered,
            // The process may end with an error.
            Err(_) if self.disk.has_failed_since(from) => return Ok(None),
            Err(refused) => {
                return Err(Violation::new(Invariant::RecoverySucceeds, refused.to_string()));
            }
        };
        self.check_torn(&follower.report.source)?;
        let found = found(&follower, &notes, &shards)?;
        self.history().check(&found)?;
        if self.plan.after_cut {
            self.update(self.disk.call_count(), |history| history.settle(&found));
        }
        if !self.disk.has_failed_since(from) {
            self.check_open()?;
        }
        let saver = Saver::new(follower.checkpointer, self.protocol.mutant, notes.clone());
        let opened = Opened::First;
        let follower = Follower { saver, notes, shards, found, opened, saves: 0, late: None };
        self.claim(&follower)?;
        Ok(Some(follower))
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
    fn check_torn(&self, origin: &Source) -> Result<(), Violation> {
        let damaged = match origin {
            Source::FellBack { damaged, .. } => damaged.len(),
            Source::Fresh | Source::Resumed { .. } => 0,
        };
        if damaged <= self.protocol.max_torn() {
            return Ok(());
        }
        Err(Violation::new(Invariant::AtMostOneTorn, format!("{damaged} damaged: {origin:?}")))
    }

    /// After an open no temporary file exists, and a second open is refused.
    fn check_open(&self) -> Result<(), Violation> {
        let files = self.disk.state().files();
        let temp = files.keys().find(|path| is_temp(path.as_os_str()));
        if let Some(temp) = temp {
            let what = format!("{} still exists", short(temp));
            return Err(Violation::new(Invariant::OpenRemovesTemps, what));
        }
        match self.protocol.open(&self.disk.fork()) {
            Err(OpenStoreError::Locked { .. }) => Ok(()),
            Err(other) => Err(Violation::new(Invariant::OneOwner, other.to_string())),
            Ok(_) => Err(Violation::new(Invariant::OneOwner, "a second store was opened")),
        }
    }

    /// Checks the marks that are returned now, and records them.
    fn claim(&mut self, follower: &Follower) -> Result<(), Violation> {
        let Follower { saver, shards, found, opened, saves, .. } = follower;
        let claims = self.protocol.claims(&found.marks, *opened, &saver.floors(), shards);
        for ((shard, saved), floor) in shards.iter().zip(&claims.checkpointed).zip(&claims.floors) {
            let applied = saver.state().applied_seqno(*shard);
            let text = || format!("floor {floor:?}, checkpointed {saved:?}, applied {applied:?}");
            if !(floor <= saved && *saved <= applied) {
                return Err(Violation::new(Invariant::WithinApplied, text()));
            }
            let early = saved.is_some() && *saves < 1 || floor.is_some() && *saves < 2;
            if *opened == Opened::Again && early {
                let what = format!("{}, after {saves} saves", text());
                return Err(Violation::new(Invariant::FloorsWaitAfterReopen, what));
            }
        }
        let Claims { mut checkpointed, mut floors } = claims;
        // A later recovery may find that it is gone.
        if let Some(guest) = self.plan.guest {
            (checkpointed[guest], floors[guest]) = (None, None);
        }
        self.update(self.disk.call_count(), |history| {
            history.claim(&checkpointed, &floors);
        });
        Ok(())
    }
}

/// The checkpoint from which a follower was recovered.
pub(crate) fn found(
    follower: &Recovered,
    notes: &Notes,
    shards: &[ShardId],
) -> Result<Written, Violation> {
    let generation = match &follower.report.source {
        Source::Fresh => 0,
        Source::Resumed { generation } | Source::FellBack { generation, .. } => *generation,
    };
    let mark = |shard: &ShardId| follower.state.applied_seqno(*shard).unwrap_or(u64::MAX);
    let marks = shards.iter().map(mark).collect();
    let recorded = notes.lock();
    let bytes = recorded.loaded.iter().rfind(|(of, _)| *of == generation).map(|(_, bytes)| *bytes);
    match bytes {
        _ if generation == 0 => Ok(Written { generation, marks, bytes: 0 }),
        Some(bytes) => Ok(Written { generation, marks, bytes }),
        None => {
            let what = format!("generation {generation} was recovered, and no file holds it");
            Err(Violation::new(Invariant::RecoveredWasWritten, what))
        }
    }
}
