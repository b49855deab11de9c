//! One save of a process, and the attempts before it that must write nothing.

use std::fmt::Display;
use std::sync::Arc;

use repl_checkpoint::{Attempt, CheckpointError, SaveError, Saved};
use repl_core::{NewShard, SeqRange};

use super::{Follower, Process};
use crate::crash::history::Written;
use crate::crash::invariant::{Invariant, Violation};

/// What is begun and not saved before a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsaved {
    /// Attempts at older marks, which the one that is saved supersedes.
    Older,
    /// Attempts at the marks of the save, whose flush fails.
    FailedFlush,
    Nothing,
}

impl Unsaved {
    fn of(turn: usize) -> Self {
        [Unsaved::Older, Unsaved::FailedFlush, Unsaved::Nothing][turn % 3]
    }
}

fn failed(what: &dyn Display) -> Violation {
    Violation::new(Invariant::NextSaveSucceeds, what.to_string())
}

impl Process<'_> {
    /// Saves once. Returns false if the save is in doubt.
    pub(super) fn save(
        &mut self,
        follower: &mut Follower,
        number: usize,
        marks: &Arc<[u64]>,
    ) -> Result<bool, Violation> {
        let unsaved = Unsaved::of(self.plan.turn + number);
        let mut older = Vec::new();
        if unsaved == Unsaved::Older {
            for _ in 0..2 {
                older.extend(follower.saver.begin().map_err(|err| failed(&err))?);
            }
        }
        self.advance(follower, number, marks);
        if unsaved == Unsaved::FailedFlush {
            self.fail_to_flush(follower)?;
        }
        let attempt = follower.saver.begin().map_err(|err| failed(&err))?;
        let attempt = attempt.ok_or_else(|| failed(&"the marks have moved, and none are saved"))?;
        if let Some(older) = older.pop() {
            self.offer(follower, older)?;
        }
        follower.late = older.pop();
        let calls = self.disk.call_count();
        (follower.notes.lock().length, follower.notes.lock().delta) = self.plan.lengths(number);
        let saved = follower.saver.save(attempt);
        self.record(follower, marks, calls, saved)
    }

    fn advance(&self, follower: &Follower, number: usize, marks: &[u64]) {
        let state = follower.saver.state();
        for (shard, mark) in follower.shards.iter().zip(marks) {
            let is_guest = self.plan.guest.is_some_and(|i| follower.shards.get(i) == Some(shard));
            if is_guest && *mark == 0 {
                state.remove_shard(*shard);
            } else if is_guest && state.shard(*shard).is_none() {
                let _ = state.add_shard(NewShard::new(*shard));
            }
            state.advance(*shard, *mark);
        }
        let first = follower.shards.first().and_then(|shard| state.shard(*shard));
        if let (Some(first), Some(mark)) = (first, marks.first()) {
            let apart = (1..=self.plan.completed(number)).map(|i| mark + 2 * i);
            apart.for_each(|seqno| first.complete(SeqRange::new(seqno, seqno)));
        }
    }

    /// Records a save and its result. Returns false if it is in doubt.
    fn record(
        &mut self,
        follower: &mut Follower,
        marks: &Arc<[u64]>,
        calls: usize,
        saved: Result<Saved, CheckpointError>,
    ) -> Result<bool, Violation> {
        let attempt = {
            let recorded = follower.notes.lock();
            let mut last = recorded.saves.iter().rev();
            let attempt = last.next().copied();
            let before = last.next();
            if let (Some(now), Some(before)) = (attempt, before)
                && now.generation <= before.generation
            {
                let what = format!("{} after {}", now.generation, before.generation);
                return Err(Violation::new(Invariant::GenerationsRise, what));
            }
            attempt
        };
        let Some(attempt) = attempt.filter(|attempt| attempt.calls >= calls) else {
            return Err(failed(&format!("{saved:?}, and no save was attempted")));
        };
        let (generation, bytes) = (attempt.generation, attempt.bytes);
        let value = Written { generation, marks: Arc::clone(marks), bytes };
        self.update(attempt.calls, |history| history.attempt(&value));
        let now = self.disk.call_count();
        match saved {
            Ok(Saved::Written(_)) => {
                self.update(now, |history| history.acknowledge(&value));
                follower.saves += 1;
                self.deltas += u64::from(attempt.is_delta);
            }
            Err(err) if !self.disk.has_failed_since(calls) => return Err(failed(&err)),
            Err(CheckpointError::Save(SaveError::NotSaved { .. })) => {
                self.update(now, |history| history.not_saved(&value));
            }
            Err(CheckpointError::Save(SaveError::InDoubt { .. })) => return Ok(false),
            other => return Err(failed(&format!("{other:?}"))),
        }
        Ok(true)
    }

    /// Begins twice, and has the flush fail: within `checkpoint`, and by dropping the attempt.
    fn fail_to_flush(&self, follower: &mut Follower) -> Result<(), Violation> {
        let unflushed = "the flush failed, and the marks are saved";
        let failed_flush =
            self.writes_nothing(follower, unflushed, |follower| follower.saver.fail_to_flush())?;
        if !matches!(failed_flush, Err(CheckpointError::Flush(_))) {
            return Err(failed(&format!("the flush failed: {failed_flush:?}")));
        }
        let attempt = follower.saver.begin().map_err(|err| failed(&err))?;
        self.writes_nothing(follower, unflushed, |follower| {
            attempt.map(|attempt| follower.saver.drop_attempt(attempt))
        })?;
        Ok(())
    }

    /// Offers a superseded attempt, which must be refused.
    fn offer(&self, follower: &mut Follower, attempt: Attempt) -> Result<(), Violation> {
        let superseded = "a superseded attempt is saved";
        let saved =
            self.writes_nothing(follower, superseded, |follower| follower.saver.save(attempt))?;
        match saved {
            Err(CheckpointError::Superseded) => Ok(()),
            other => Err(Violation::new(Invariant::OnlyFlushedIsSaved, format!("{other:?}"))),
        }
    }

    pub(super) fn offer_late(&self, follower: &mut Follower) -> Result<(), Violation> {
        follower.late.take().map_or(Ok(()), |attempt| self.offer(follower, attempt))
    }

    /// Runs something that must neither call the disk nor reach the store.
    pub(super) fn writes_nothing<T>(
        &self,
        follower: &mut Follower,
        what: &str,
        act: impl FnOnce(&mut Follower) -> T,
    ) -> Result<T, Violation> {
        let made =
            |follower: &Follower| (self.disk.call_count(), follower.notes.lock().saves.len());
        let before = made(follower);
        let result = act(follower);
        if made(follower) == before {
            return Ok(result);
        }
        Err(Violation::new(Invariant::OnlyFlushedIsSaved, what))
    }
}
