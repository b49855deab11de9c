//! Saves checkpoints, with an engine that flushes, and checks what the disk holds.

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use fastrand::Rng;
use repl_checkpoint::{Generation, SaveReport, Saved};
use repl_core::Snapshot;

use super::checker::{Before, Checked, Checker};
use super::error::StressError;
use super::marks::{LastRound, Marks, marks, on_disk};
use super::recovered::between;
use super::subject::{FlushRefused, Handle, NotSaved, Subject};
use super::violation::Invariant;
use crate::seed::one_in;

/// The saves of one round. The thread that saves holds its lock.
#[derive(Debug)]
pub(crate) struct Saves {
    pub(crate) last: LastRound,
    /// The marks of the newest acknowledged save of this round, and of the one before it.
    newest: Option<Marks>,
    previous: Option<Marks>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
}

impl Saves {
    pub(crate) fn after(last: LastRound) -> Self {
        Saves { last, newest: None, previous: None, acknowledged: 0, refused: 0 }
    }

    /// Has the subject save a checkpoint. The engine lowers marks and refuses to flush at random.
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
            (Ok(Saved::Written(SaveReport { generation, .. })), Some(attempted)) => {
                self.last =
                    LastRound { acknowledged: attempted.clone(), attempted: attempted.clone() };
                self.previous = self.newest.replace(attempted);
                self.acknowledged += 1;
                self.check_disk(checker, dir, generation)?;
            }
            (Ok(Saved::Written(_) | Saved::Unchanged), _) => {}
            (Err(NotSaved::Refused(_)), _) => self.refused += 1,
            (Err(NotSaved::Failed(source)), _) => {
                let (act, seed) = ("save a checkpoint", checker.seed);
                return Err(StressError::Subject { act, seed, source });
            }
        }
        self.check_floors(checker)?;
        Ok(())
    }

    /// Checks that the acknowledged checkpoint is on the disk, and that floors are within the
    /// generation before it.
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

    /// Checks that floors are within the generation before the newest save of this process. What the
    /// process found at its start may not survive a crash.
    fn check_floors<S: Subject>(&self, checker: Checker<'_, S>) -> Checked {
        within(checker, self.previous.as_ref())
    }
}

/// Checks that every floor is at most the mark in `previous`, the generation before the newest.
fn within<S: Subject>(checker: Checker<'_, S>, previous: Option<&Marks>) -> Checked {
    for shard in &checker.ledger.shards {
        let Some(handle) = checker.subject.handle(shard.shard) else { continue };
        let floor = checker.subject.floor(shard.shard);
        let now = checker.subject.handle(shard.shard).map(|h| h.incarnation());
        let Some(record) = shard.record(handle.incarnation()) else { continue };
        if now != Some(record.incarnation) {
            continue;
        }
        let saved = previous.and_then(|marks| marks.get(&shard.shard));
        let saved = saved.filter(|(of, _)| *of == record.incarnation).map(|(_, set)| set.mark());
        checker.at_most(Invariant::FloorWithinPreviousGeneration, &record, floor, saved)?;
    }
    Ok(())
}

/// How much the engine flushed.
enum Flushed {
    All,
    InPart,
}

/// Flushes the engine. What it flushes survives a crash, and nothing else does.
fn flush<S: Subject>(
    checker: Checker<'_, S>,
    before: &Before,
    dir: &Path,
    rng: &mut Rng,
    snapshot: &mut Snapshot,
) -> Result<Flushed, StressError> {
    checker.check_snapshot(before, snapshot)?;
    // A crash may come before the flush: the disk must not be ahead of the earlier flushes.
    let saved = on_disk(dir)?.into_iter().next().map(|(_, marks)| marks).unwrap_or_default();
    for (shard, (incarnation, set)) in saved {
        if let Some(record) = checker.ledger.record(shard, incarnation) {
            let flushed = record.flushed.load(SeqCst);
            checker.at_most(Invariant::CheckpointedWithinFlushed, &record, set.mark(), flushed)?;
        }
    }
    for shard in &checker.ledger.shards {
        checker.check_floors(shard)?;
    }
    let refuses_after = one_in(rng, 8).then(|| rng.usize(..snapshot.len().max(1)));
    let entries: Vec<_> = snapshot.entries().collect();
    for (i, entry) in entries.into_iter().enumerate() {
        if refuses_after == Some(i) {
            return Ok(Flushed::InPart);
        }
        let Some(record) = checker.ledger.record(entry.shard, entry.incarnation) else { continue };
        let flushed = record.flushed.load(SeqCst);
        if one_in(rng, 8) {
            let not_yet = rng.u64(..=entry.mark().saturating_sub(flushed));
            snapshot.lower(entry.shard, flushed.max(entry.mark() - not_yet));
        }
        if one_in(rng, 8) {
            snapshot.drop_above(entry.shard);
        }
        let now = snapshot.mark(entry.shard).unwrap_or(0);
        record.flushed.fetch_max(now, SeqCst);
    }
    Ok(Flushed::All)
}
