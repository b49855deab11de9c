//! Checkpoints step by step: any thread begins one, and any thread continues it.

use std::sync::atomic::Ordering::Relaxed;

use super::error::StressError;
use super::faults::Faults;
use super::saves::{Begun, Ended};
use super::shards::{BRIEF, PLAIN};
use super::worker::Worker;
use crate::locked::locked;
use crate::seed::one_in;

/// The number of checkpoints that wait for a thread to continue them.
const WAITING: usize = 2;

impl<F: Faults> Worker<'_, F> {
    /// Takes one step of a checkpoint.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StressError> {
        match self.rng.u64(..16) {
            0..4 => {
                let begun = self.begin()?;
                self.leave(begun);
            }
            4..13 => self.save()?,
            13 => {
                if let Some(mut begun) = self.take() {
                    if begun.flush(self.checker, &mut self.rng)? {
                        self.leave(Some(begun));
                    } else {
                        self.done.refused += 1;
                        self.drop_attempt(begun);
                    }
                }
            }
            14 => {
                if let Some(begun) = self.take() {
                    self.drop_attempt(begun);
                }
            }
            _ => {
                let among = if one_in(&mut self.rng, 2) { BRIEF } else { PLAIN };
                let shard = self.among(among);
                self.ask(shard);
            }
        }
        Ok(())
    }

    /// Adds a shard and removes it again while checkpoints are open, drops some of them, asks
    /// whether the shard is unreferenced, and saves the newest.
    pub(crate) fn come_and_go(&mut self) -> Result<(), StressError> {
        let brief = self.among(BRIEF);
        // Often the last two saves hold no such shard.
        for _ in 0..self.rng.u64(..=2) {
            if let Some(begun) = self.begin_next()? {
                self.flush_and_save(begun)?;
            }
        }
        self.ask(brief);
        self.change_to(brief, false)?;
        let mut begun = Vec::new();
        for _ in 0..self.rng.u64(1..=3) {
            begun.extend(self.begin_next()?);
        }
        self.change_to(brief, false)?;
        if one_in(&mut self.rng, 4) {
            begun.extend(self.begin_next()?);
        }
        let newest = begun.pop();
        for older in begun {
            if one_in(&mut self.rng, 8) {
                self.leave(Some(older));
            } else {
                self.drop_attempt(older);
            }
        }
        self.ask(brief);
        match newest {
            Some(newest) if !one_in(&mut self.rng, 4) => self.flush_and_save(newest),
            newest => {
                self.leave(newest);
                Ok(())
            }
        }
    }

    /// Begins a checkpoint, unless another thread begins or saves one.
    fn begin(&mut self) -> Result<Option<Begun>, StressError> {
        let Ok(mut saves) = self.round.saves.try_lock() else { return Ok(None) };
        self.done.attempts += 1;
        saves.begin(self.checker, &self.round.dir)
    }

    /// Begins a checkpoint, after another thread has begun or saved one.
    fn begin_next(&mut self) -> Result<Option<Begun>, StressError> {
        self.done.attempts += 1;
        locked(&self.round.saves).begin(self.checker, &self.round.dir)
    }

    /// Flushes and saves a checkpoint that has begun.
    fn save(&mut self) -> Result<(), StressError> {
        self.take().map_or(Ok(()), |begun| self.flush_and_save(begun))
    }

    fn flush_and_save(&mut self, mut begun: Begun) -> Result<(), StressError> {
        if !begun.flush(self.checker, &mut self.rng)? {
            self.done.refused += 1;
            self.drop_attempt(begun);
            return Ok(());
        }
        let mut saves = locked(&self.round.saves);
        match saves.save(self.checker, &self.round.dir, begun) {
            Ok(Ended::Superseded) => self.done.attempts_superseded += 1,
            Ok(Ended::Saved) => {}
            // Under the lock: the next thread that takes it may see what this save has broken.
            Err(error) => self.round.fail(error),
        }
        self.round.acknowledged.store(saves.acknowledged, Relaxed);
        Ok(())
    }

    fn drop_attempt(&mut self, begun: Begun) {
        self.done.attempts_dropped += 1;
        self.checker.subject.drop_attempt(begun.attempt);
    }

    /// Takes a checkpoint that has begun, the newest or another.
    fn take(&mut self) -> Option<Begun> {
        let mut attempts = locked(&self.round.attempts);
        if one_in(&mut self.rng, 2) {
            return attempts.pop();
        }
        let count = attempts.len();
        (count > 0).then(|| attempts.swap_remove(self.rng.usize(..count)))
    }

    /// Leaves a checkpoint to any thread, or drops one if too many wait.
    fn leave(&mut self, begun: Option<Begun>) {
        let Some(begun) = begun else { return };
        let mut attempts = locked(&self.round.attempts);
        attempts.push(begun);
        let oldest = (attempts.len() > WAITING).then(|| attempts.remove(0));
        drop(attempts); // so that no lock is held over a call to the subject
        if let Some(oldest) = oldest {
            self.drop_attempt(oldest);
        }
    }
}
