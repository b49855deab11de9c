//! Checkpoints: what the engine flushed, what was acknowledged, and what the disk holds meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::{fs, io};

use repl_checkpoint::{Checkpoint, Generation, JsonCodec, Saved, ShardCheckpoint, StoreId, open};
use repl_core::{AppliedSet, Incarnation, SeqNo, ShardId, Snapshot, SnapshotEntry};

use super::StressError;
use super::checker::{Before, Checked, Checker};
use super::subject::{FlushRefused, Handle, NotSaved, Subject};
use super::violation::{Invariant, Violation};
use crate::rng::Rng;

/// What one checkpoint holds: what is completed of each shard, with the life that it speaks of.
pub(crate) type Marks = BTreeMap<ShardId, (Incarnation, AppliedSet)>;

/// What a round leaves to the next one.
#[derive(Debug, Clone)]
pub(crate) struct LastRound {
    pub(crate) acknowledged: Marks,
    pub(crate) attempted: Marks,
}

/// The saves of one round, held by who makes one.
#[derive(Debug)]
pub(crate) struct Saves {
    pub(crate) last: LastRound,
    /// The marks of the newest acknowledged save of this round, and of the one before it.
    newest: Option<Marks>,
    previous: Option<Marks>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
}

pub(crate) fn marks(snapshot: &Snapshot) -> Marks {
    let of = |e: SnapshotEntry| {
        let above = snapshot.completed(e.shard).iter().copied();
        (e.shard, (e.incarnation, AppliedSet::new(e.mark, above)))
    };
    snapshot.entries().map(of).collect()
}

fn of_checkpoint(checkpoint: &Checkpoint) -> Marks {
    let of = |s: &ShardCheckpoint| {
        let above = s.completed.iter().copied();
        (s.shard, (s.incarnation, AppliedSet::new(s.mark, above)))
    };
    checkpoint.shards.iter().map(of).collect()
}

/// What a crash at this instant would leave: whole checkpoints, the newest first. Only to be
/// called while no save removes files.
fn on_disk(dir: &Path) -> io::Result<Vec<(Generation, Marks)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "checkpoint")
            && let Ok((header, checkpoint)) = open(&JsonCodec, StoreId::UNNAMED, &fs::read(&path)?)
        {
            found.push((header.generation, of_checkpoint(&checkpoint)));
        }
    }
    found.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    Ok(found)
}

impl LastRound {
    /// What an earlier run has left.
    pub(crate) fn found_in(dir: &Path) -> io::Result<Self> {
        let newest = on_disk(dir)?.into_iter().next();
        let marks = newest.map(|(_, marks)| marks).unwrap_or_default();
        Ok(LastRound { acknowledged: marks.clone(), attempted: marks })
    }
}

impl Saves {
    pub(crate) fn after(last: LastRound) -> Self {
        Saves { last, newest: None, previous: None, acknowledged: 0, refused: 0 }
    }

    /// Has the subject checkpoint, with an engine that flushes, lowers marks and refuses at random.
    pub(crate) fn checkpoint<S: Subject>(
        &mut self,
        checker: Checker<'_, S>,
        dir: &Path,
        rng: &mut Rng,
    ) -> Result<(), StressError> {
        let mut broken: Option<StressError> = None;
        let mut attempted = None;
        let before = checker.before_snapshot();
        let result = checker.subject.checkpoint(&mut |snapshot| {
            let flushed = flush(checker, &before, dir, rng, snapshot);
            attempted = Some(marks(snapshot));
            match flushed {
                Ok(Flushed::All) => Ok(()),
                Ok(Flushed::InPart) => Err(FlushRefused),
                Err(error) => {
                    broken = Some(error);
                    Err(FlushRefused)
                }
            }
        });
        if let Some(error) = broken {
            return Err(error);
        }
        match (result, attempted) {
            (Ok(Saved::Written { generation }), Some(attempted)) => {
                self.last =
                    LastRound { acknowledged: attempted.clone(), attempted: attempted.clone() };
                self.previous = self.newest.replace(attempted);
                self.acknowledged += 1;
                self.check_disk(checker, dir, generation)?;
            }
            (Ok(Saved::Written { .. } | Saved::Unchanged), _) => {}
            (Err(NotSaved::Refused(_)), _) => self.refused += 1,
            (Err(NotSaved::Failed(source)), _) => {
                let (act, seed) = ("save a checkpoint", checker.seed);
                return Err(StressError::Subject { act, seed, source });
            }
        }
        self.check_floors(checker)?;
        Ok(())
    }

    /// What was acknowledged is on the disk, and floors are within the generation before it.
    fn check_disk<S: Subject>(
        &self,
        checker: Checker<'_, S>,
        dir: &Path,
        generation: Generation,
    ) -> Result<(), StressError> {
        let files = on_disk(dir)?;
        let newest = files.first().filter(|(found, _)| *found == generation);
        let newest = newest.map(|(_, marks)| marks.clone()).unwrap_or_default();
        between(checker, &self.last, &newest)?;
        within(checker, files.get(1).map(|(_, marks)| marks))?;
        Ok(())
    }

    /// The same by what this process itself has saved: of what it has found at the start nobody
    /// knows whether it survives.
    fn check_floors<S: Subject>(&self, checker: Checker<'_, S>) -> Checked {
        within(checker, self.previous.as_ref())
    }
}

/// Every floor is at most the mark of its life in `previous`, the generation before the newest.
fn within<S: Subject>(checker: Checker<'_, S>, previous: Option<&Marks>) -> Checked {
    for shard in &checker.ledger.shards {
        let Some(handle) = checker.subject.handle(shard.shard) else { continue };
        let floor = checker.subject.floor(shard.shard);
        let now = checker.subject.handle(shard.shard).map(|h| h.incarnation());
        let Some(life) = shard.life(handle.incarnation()) else { continue };
        if now != Some(life.incarnation) {
            continue;
        }
        let saved = previous.and_then(|marks| marks.get(&shard.shard));
        let saved = saved.filter(|(of, _)| *of == life.incarnation).map(|(_, set)| set.mark());
        checker.at_most(Invariant::FloorWithinPreviousGeneration, &life, floor, saved)?;
    }
    Ok(())
}

/// What is found lies between the last acknowledged and the last attempted checkpoint: marks, and
/// what is completed above them.
pub(crate) fn between<S: Subject>(
    checker: Checker<'_, S>,
    last: &LastRound,
    found: &Marks,
) -> Checked {
    let of = |marks: &Marks, shard, life| -> Option<AppliedSet> {
        let (of, set) = marks.get(&shard)?;
        (*of == life).then(|| set.clone())
    };
    let broken = |invariant, shard, life, lesser, greater| -> Violation {
        checker.violation(invariant, (shard, Some(life)), lesser, greater)
    };
    for (&shard, &(life, ref acknowledged)) in &last.acknowledged {
        let recovered = of(found, shard, life);
        let mark = recovered.as_ref().map(AppliedSet::mark);
        if mark < Some(acknowledged.mark()) {
            let invariant = Invariant::AcknowledgedWithinRecovered;
            return Err(broken(invariant, shard, life, Some(acknowledged.mark()), mark));
        }
        let missing = recovered.and_then(|recovered| first_outside(acknowledged, &recovered));
        if missing.is_some() {
            return Err(broken(Invariant::RecordedWithinCompleted, shard, life, missing, None));
        }
    }
    for (&shard, &(life, ref recovered)) in found {
        let attempted = of(&last.attempted, shard, life);
        let mark = attempted.as_ref().map(AppliedSet::mark);
        // A shard that is named and was not saved begins at 0.
        let begins = attempted.is_none() && recovered.mark() == 0;
        if mark < Some(recovered.mark()) && !begins {
            let invariant = Invariant::RecoveredWithinAttempted;
            return Err(broken(invariant, shard, life, Some(recovered.mark()), mark));
        }
        let added = first_outside(recovered, &attempted.unwrap_or_default());
        if added.is_some() {
            return Err(broken(Invariant::CompletedWithinRecorded, shard, life, added, None));
        }
    }
    Ok(())
}

/// The lowest seqno of `set` that is not in `other`.
pub(crate) fn first_outside(set: &AppliedSet, other: &AppliedSet) -> Option<SeqNo> {
    let begin = set.above().iter().map(|range| range.first);
    let ends = other.above().iter().map(|range| range.last).chain([other.mark()]);
    let after = ends.filter_map(|last| last.checked_add(1));
    begin.chain(after).filter(|seqno| set.contains(*seqno) && !other.contains(*seqno)).min()
}

/// How far the engine got before it had enough.
enum Flushed {
    All,
    InPart,
}

/// The engine: what it flushes survives a crash, and nothing else does.
fn flush<S: Subject>(
    checker: Checker<'_, S>,
    before: &Before,
    dir: &Path,
    rng: &mut Rng,
    snapshot: &mut Snapshot,
) -> Result<Flushed, StressError> {
    checker.snapshot(before, snapshot)?;
    // A crash before the flush: the disk must not be ahead of what was flushed until now.
    let saved = on_disk(dir)?.into_iter().next().map(|(_, marks)| marks).unwrap_or_default();
    for (shard, (incarnation, set)) in saved {
        if let Some(life) = checker.ledger.life(shard, incarnation) {
            let flushed = life.flushed.load(SeqCst);
            checker.at_most(Invariant::CheckpointedWithinFlushed, &life, set.mark(), flushed)?;
        }
    }
    for shard in &checker.ledger.shards {
        checker.compare(shard)?;
    }
    let refuses_after = rng.one_in(8).then(|| rng.below(snapshot.len() as u64));
    let entries: Vec<_> = snapshot.entries().collect();
    for (i, entry) in entries.into_iter().enumerate() {
        if refuses_after == Some(i as u64) {
            return Ok(Flushed::InPart);
        }
        let Some(life) = checker.ledger.life(entry.shard, entry.incarnation) else { continue };
        let flushed = life.flushed.load(SeqCst);
        if rng.one_in(8) {
            let not_yet = rng.below(entry.mark.saturating_sub(flushed) + 1);
            snapshot.lower(entry.shard, flushed.max(entry.mark - not_yet));
        }
        if rng.one_in(8) {
            snapshot.forget_completed(entry.shard);
        }
        let now = snapshot.get(entry.shard).unwrap_or(0);
        life.flushed.fetch_max(now, SeqCst);
    }
    Ok(Flushed::All)
}

#[cfg(test)]
mod tests {
    use repl_core::{AppliedSet, SeqRange};

    use super::first_outside;

    fn set(mark: u64, above: &[(u64, u64)]) -> AppliedSet {
        AppliedSet::new(mark, above.iter().map(|(first, last)| SeqRange::new(*first, *last)))
    }

    #[test]
    fn the_lowest_that_only_one_set_holds() {
        let one = set(3, &[(5, 7), (9, u64::MAX)]);
        assert_eq!(first_outside(&one, &one), None);
        assert_eq!(first_outside(&one, &set(3, &[(9, u64::MAX)])), Some(5));
        assert_eq!(first_outside(&one, &set(3, &[(5, 6), (9, u64::MAX)])), Some(7));
        assert_eq!(first_outside(&one, &set(2, &[(5, 7)])), Some(3));
        assert_eq!(first_outside(&one, &set(7, &[(9, 9)])), Some(10));
        assert_eq!(first_outside(&set(7, &[]), &one), Some(4));
    }
}
