//! One life of a process: it opens the store, recovers, saves, and is watched at every call.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use repl_checkpoint::{CheckpointError, OpenStoreError, Saved};
use repl_checkpoint::{OnCorrupt, Recovered, SaveError, Source};
use repl_core::{SeqRange, ShardId};

use super::disk::{Call, SimDisk, State, is_temp};
use super::fault::Fault;
use super::history::{History, Value};
use super::invariant::{Broken, Invariant};
use super::protocol::{DIR, Protocol, Refused};
use super::watched::Notes;

/// What the process is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The marks of each save, each above those before.
    pub(crate) saves: Vec<Arc<[u64]>>,
    /// How many ranges each holds above the first mark, in turn; all end before the next mark.
    pub(crate) completed: [u64; 3],
    pub(crate) fault: Option<Fault>,
    /// Whether the power was cut before it: what is found is on the disk.
    pub(crate) after_cut: bool,
}

/// What was seen of it.
pub(crate) struct Life {
    /// The disk before each call, and at the end.
    pub(crate) states: Vec<State>,
    pub(crate) calls: Vec<Call>,
    /// What was known from each number of calls on, ascending.
    timeline: Vec<(usize, History)>,
    pub(crate) broken: Option<Broken>,
}

impl Life {
    /// What was known when so many calls had been made.
    pub(crate) fn history(&self, calls: usize) -> Option<&History> {
        let after = self.timeline.partition_point(|(from, _)| *from <= calls);
        self.timeline.get(after.checked_sub(1)?).map(|(_, history)| history)
    }
}

/// The shards of every life.
pub(crate) fn shards(count: usize) -> Vec<ShardId> {
    // Long numbers, so that few shards fill a sector.
    (1..=count as u64).map(|i| ShardId(u64::MAX / 2 + i)).collect()
}

/// Lives it.
pub(crate) fn live(protocol: Protocol, start: &State, history: &History, plan: &Plan) -> Life {
    let disk = SimDisk::of(start.clone());
    disk.fail(plan.fault);
    disk.record();
    let mut run = Run { protocol, disk: &disk, plan, timeline: vec![(0, history.clone())] };
    let broken = match catch_unwind(AssertUnwindSafe(|| run.run())) {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some(broken),
        Err(_) => Some(Broken::new(Invariant::NoPanic, "a panic")),
    };
    let timeline = run.timeline;
    let temp_used = if protocol.own.is_none() { uses_found_temp(&disk.calls()) } else { None };
    let broken = temp_used.or(broken);
    Life { states: disk.recorded(), calls: disk.calls(), timeline, broken }
}

/// What temporary files hold counts for nothing in what is visited once; this is what makes it so.
fn uses_found_temp(calls: &[Call]) -> Option<Broken> {
    let of_temp = |call: &&Call| is_temp(call.path.as_os_str());
    let mut made: Vec<&Path> = Vec::new();
    for Call { verb, path, .. } in calls.iter().filter(of_temp) {
        match *verb {
            "create_new" => made.push(path),
            "remove" => {}
            _ if made.contains(&path.as_path()) => {}
            _ => {
                let what = format!("{verb} {}", short(path));
                return Some(Broken::new(Invariant::FoundTempsUnread, what));
            }
        }
    }
    None
}

struct Run<'a> {
    protocol: Protocol,
    disk: &'a SimDisk,
    plan: &'a Plan,
    timeline: Vec<(usize, History)>,
}

impl Run<'_> {
    fn run(&mut self) -> Result<(), Broken> {
        let shards = shards(self.plan.saves.first().map_or(0, |marks| marks.len()));
        let (mut follower, notes) = match self.protocol.recover(self.disk, &shards, OnCorrupt::Fail)
        {
            Ok(recovered) => recovered,
            // The process ends, and says why.
            Err(_) if self.disk.has_failed() => return Ok(()),
            Err(refused) => return Err(unanswered(&refused)),
        };
        self.unfinished(&follower.found.origin)?;
        let found = found(&follower, &notes, &shards)?;
        self.history().check(&found)?;
        if self.plan.after_cut {
            self.update(self.disk.call_count(), |history| history.settle(&found));
        }
        self.look_around()?;
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

    /// A crash leaves no more damage than one unfinished save does.
    fn unfinished(&self, origin: &Source) -> Result<(), Broken> {
        let damaged = match origin {
            Source::FellBack { damaged, .. } => damaged.len(),
            Source::Fresh | Source::Resumed { .. } => 0,
        };
        if damaged <= self.protocol.left_by_a_crash() {
            return Ok(());
        }
        Err(Broken::new(Invariant::OneUnfinished, format!("{damaged} damaged: {origin:?}")))
    }

    /// Right after an open: no temporary file, and nobody else gets in.
    fn look_around(&self) -> Result<(), Broken> {
        if self.disk.has_failed() {
            return Ok(());
        }
        let files = self.disk.state().files();
        let temp = files.keys().find(|path| is_temp(path.as_os_str()));
        if let Some(temp) = temp {
            let what = format!("{} is still there", short(temp));
            return Err(Broken::new(Invariant::NoTempOutlivesOpen, what));
        }
        match self.protocol.open(&self.disk.fork()) {
            Err(OpenStoreError::Locked { .. }) => Ok(()),
            Err(other) => Err(Broken::new(Invariant::OneOwner, other.to_string())),
            Ok(_) => Err(Broken::new(Invariant::OneOwner, "a second store was opened")),
        }
    }

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

    /// Whether more saves may be tried.
    fn save(
        &mut self,
        follower: &mut Recovered,
        notes: &Notes,
        marks: &Arc<[u64]>,
    ) -> Result<bool, Broken> {
        let failed_before = self.disk.has_failed();
        let saved = follower.checkpointer.checkpoint(|_| Ok::<(), Infallible>(()));
        let attempt = {
            let seen = notes.seen();
            let mut last = seen.saves.iter().rev();
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
            return Err(Broken::new(Invariant::NextSaveWorks, format!("{saved:?}, nothing tried")));
        };
        let (generation, bytes) = (attempt.generation, attempt.bytes);
        let value = Value { generation, marks: Arc::clone(marks), bytes };
        self.update(attempt.calls, |history| history.attempt(&value));
        let now = self.disk.call_count();
        match saved {
            Ok(Saved::Written { .. }) => self.update(now, |history| history.acknowledge(&value)),
            Err(_) if failed_before || !self.disk.has_failed() => {
                let what = saved.err().map_or(String::new(), |err| err.to_string());
                return Err(Broken::new(Invariant::NextSaveWorks, what));
            }
            Err(CheckpointError::Save(SaveError::NotSaved { .. })) => {
                self.update(now, |history| history.not_saved(&value));
            }
            Err(CheckpointError::Save(SaveError::InDoubt { .. })) => return Ok(false),
            other => {
                return Err(Broken::new(Invariant::NextSaveWorks, format!("{other:?}")));
            }
        }
        Ok(true)
    }
}

fn unanswered(refused: &Refused) -> Broken {
    Broken::new(Invariant::RecoveryAnswers, refused.to_string())
}

/// What a follower was recovered from.
pub(crate) fn found(
    follower: &Recovered,
    notes: &Notes,
    shards: &[ShardId],
) -> Result<Value, Broken> {
    let generation = match &follower.found.origin {
        Source::Fresh => 0,
        Source::Resumed { generation } | Source::FellBack { generation, .. } => *generation,
    };
    let mark = |shard: &ShardId| follower.state.applied_seqno(*shard).unwrap_or(u64::MAX);
    let marks = shards.iter().map(mark).collect();
    let seen = notes.seen();
    let bytes = seen.loaded.iter().find(|(of, _)| *of == generation).map(|(_, bytes)| *bytes);
    match bytes {
        _ if generation == 0 => Ok(Value { generation, marks, bytes: 0 }),
        Some(bytes) => Ok(Value { generation, marks, bytes }),
        None => {
            let what = format!("generation {generation} was recovered, and no file holds it");
            Err(Broken::new(Invariant::NothingUnwritten, what))
        }
    }
}

/// A path below the store's directory, without what makes it unique to this process.
pub(crate) fn short(path: &Path) -> String {
    let name = path.strip_prefix(DIR).unwrap_or(path).to_string_lossy();
    let name = if name.is_empty() { DIR.into() } else { name };
    match name.split_once(".temp-") {
        Some((name, unique)) => {
            format!("{name}.temp-{}", unique.split_once('-').map_or("", |(_, n)| n))
        }
        None => name.into_owned(),
    }
}
