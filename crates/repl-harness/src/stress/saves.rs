//! Begins and saves checkpoints, with an engine that flushes, and checks what the disk holds.

use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use fastrand::Rng;
use repl_checkpoint::{Attempt, CheckpointError, Generation};
use repl_core::ShardId;

use super::checker::{Checked, Checker};
use super::error::StressError;
use super::faults::Faults;
use super::marks::{Gone, LastRound, Marks, marks, on_disk};
use super::recovered::between;
use super::violation::{Invariant, Violation};
use crate::seed::one_in;

/// The checkpoints of one round. The thread that begins or saves one holds its lock.
#[derive(Debug)]
pub(crate) struct Saves {
    pub(crate) last: LastRound,
    /// The marks of the newest acknowledged save of this round, and of the one before it.
    newest: Option<Marks>,
    previous: Option<Marks>,
    /// The number of checkpoints that have begun.
    begun: u64,
    pub(crate) acknowledged: u64,
}

/// A checkpoint that has begun.
pub(crate) struct Begun {
    pub(crate) attempt: Attempt,
    number: u64,
    is_flushed: bool,
}

/// What became of a checkpoint that was to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Saved,
    Superseded,
}

impl Saves {
    pub(crate) fn after(last: LastRound) -> Self {
        Saves { last, newest: None, previous: None, begun: 0, acknowledged: 0 }
    }

    /// Begins a checkpoint. `None` if there is nothing to save.
    pub(crate) fn begin<F: Faults>(
        &mut self,
        checker: Checker<'_, F>,
        dir: &Path,
    ) -> Result<Option<Begun>, StressError> {
        let before = checker.before_snapshot();
        let begun = checker.subject.begin();
        self.begun += 1;
        let Some(attempt) = begun.map_err(|err| failed(checker, "begin a checkpoint", err))? else {
            return Ok(None);
        };
        checker.check_snapshot(&before, attempt.marks())?;
        // A crash may come before the flush: the disk must not be ahead of the earlier flushes.
        let saved = checked_disk(checker, dir)?.into_iter().next();
        for (shard, (incarnation, set)) in saved.map(|(_, marks)| marks).unwrap_or_default() {
            if let Some(record) = checker.ledger.record(shard, incarnation) {
                let (flushed, within) =
                    (record.flushed.load(SeqCst), Invariant::CheckpointedWithinFlushed);
                checker.at_most(within, &record, set.mark(), flushed)?;
            }
        }
        Ok(Some(Begun { attempt, number: self.begun, is_flushed: false }))
    }

    /// Saves a checkpoint that is flushed. The checkpointer must refuse if a later one has begun.
    pub(crate) fn save<F: Faults>(
        &mut self,
        checker: Checker<'_, F>,
        dir: &Path,
        Begun { attempt, number, .. }: Begun,
    ) -> Result<Ended, StressError> {
        let attempted = marks(attempt.marks());
        match checker.subject.save(attempt) {
            Err(CheckpointError::Superseded) if number < self.begun => {
                let newest = checked_disk(checker, dir)?.into_iter().next();
                between(checker, &self.last, &newest.map(|(_, marks)| marks).unwrap_or_default())?;
                return Ok(Ended::Superseded);
            }
            Ok(None) if number == self.begun => {}
            Ok(Some(generation)) if number == self.begun => {
                let gone = std::mem::take(&mut self.last.gone);
                let acknowledged = attempted.clone();
                self.last = LastRound { acknowledged, attempted: attempted.clone(), gone };
                self.previous = self.newest.replace(attempted);
                self.acknowledged += 1;
                self.check_disk(checker, dir, generation)?;
            }
            Ok(_) | Err(CheckpointError::Superseded) => {
                return Err(saved_wrongly(checker, self.begun, number).into());
            }
            Err(other) => return Err(failed(checker, "save a checkpoint", other)),
        }
        self.check_floors(checker)?;
        Ok(Ended::Saved)
    }

    /// Checks that the acknowledged checkpoint is on the disk, and that floors are within the
    /// generation before it.
    fn check_disk<F: Faults>(
        &self,
        checker: Checker<'_, F>,
        dir: &Path,
        generation: Generation,
    ) -> Result<(), StressError> {
        let files = checked_disk(checker, dir)?;
        let newest = files.first().filter(|(found, _)| *found == generation);
        let newest = newest.map(|(_, marks)| marks.clone()).unwrap_or_default();
        between(checker, &self.last, &newest)?;
        within(checker, files.get(1).map(|(_, marks)| marks))?;
        Ok(())
    }

    /// Checks that floors are within the generation before the newest save of this process. What the
    /// process found at its start may not survive a crash.
    fn check_floors<F: Faults>(&self, checker: Checker<'_, F>) -> Checked {
        within(checker, self.previous.as_ref())
    }
}

/// Checks that every floor is at most the mark in `previous`, the generation before the newest.
fn within<F: Faults>(checker: Checker<'_, F>, previous: Option<&Marks>) -> Checked {
    for shard in &checker.ledger.shards {
        let Some(handle) = checker.subject.state.shard(shard.shard) else { continue };
        let floor = checker.subject.floor(shard.shard);
        let now = checker.subject.state.shard(shard.shard).map(|h| h.incarnation());
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

impl Begun {
    /// Flushes the engine, unless that was done. What it flushes survives a crash, and nothing else
    /// does. Returns false if it refuses, which it does at random; it may have flushed a part then.
    pub(crate) fn flush<F: Faults>(
        &mut self,
        checker: Checker<'_, F>,
        rng: &mut Rng,
    ) -> Result<bool, Violation> {
        if self.is_flushed {
            return Ok(true);
        }
        for shard in &checker.ledger.shards {
            checker.check_floors(shard)?;
        }
        let entries: Vec<_> = self.attempt.marks().entries().collect();
        let refuses_after = one_in(rng, 8).then(|| rng.usize(..entries.len().max(1)));
        for (i, entry) in entries.into_iter().enumerate() {
            if refuses_after == Some(i) {
                return Ok(false);
            }
            let Some(record) = checker.ledger.record(entry.shard, entry.incarnation) else {
                continue;
            };
            let flushed = record.flushed.load(SeqCst);
            if one_in(rng, 8) {
                let not_yet = rng.u64(..=entry.mark().saturating_sub(flushed));
                self.attempt.lower(entry.shard, flushed.max(entry.mark() - not_yet));
            }
            if one_in(rng, 8) {
                self.attempt.drop_above(entry.shard);
            }
            let now = self.attempt.marks().mark(entry.shard).unwrap_or(0);
            record.flushed.fetch_max(now, SeqCst);
        }
        self.is_flushed = true;
        Ok(true)
    }
}

/// Reads the checkpoints on the disk, the newest first, and checks that they hold no shard that was
/// unreferenced. No save may begin in the meantime.
fn checked_disk<F: Faults>(
    checker: Checker<'_, F>,
    dir: &Path,
) -> Result<Vec<(Generation, Marks)>, StressError> {
    let gone = checker.ledger.gone();
    let files = on_disk(dir)?;
    files.iter().try_for_each(|(_, marks)| stays_gone(checker, &gone, marks))?;
    Ok(files)
}

/// Checks that a checkpoint holds no shard that was unreferenced.
pub(crate) fn stays_gone<F: Faults>(
    checker: Checker<'_, F>,
    gone: &Gone,
    marks: &Marks,
) -> Checked {
    for (shard, first) in gone {
        let found = marks.get(shard).map(|(incarnation, _)| *incarnation);
        if let Some(found) = found.filter(|found| found < first) {
            let at = (*shard, Some(found));
            let stays = Invariant::UnreferencedStaysGone;
            return Err(checker.violation(stays, at, Some(first.0), Some(found.0)));
        }
    }
    Ok(())
}

fn saved_wrongly<F: Faults>(checker: Checker<'_, F>, newest: u64, saved: u64) -> Violation {
    // It is no single shard that is wrong.
    let shard = checker.ledger.shards.first().map_or(ShardId(0), |first| first.shard);
    checker.violation(Invariant::OnlyNewestIsSaved, (shard, None), Some(newest), Some(saved))
}

fn failed<F: Faults>(
    checker: Checker<'_, F>,
    act: &'static str,
    error: CheckpointError,
) -> StressError {
    StressError::Failed { act, seed: checker.seed, source: error.into() }
}
