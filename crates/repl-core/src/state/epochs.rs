//! Beginning an epoch: the fence between the segments of two leaders.

use super::ReplicationState;
use crate::applied_set::AppliedSet;
use crate::epochs::Epochs;
use crate::ids::{EpochStart, SeqNo, ShardId};
use crate::new_shard::NewShard;
use crate::outcome::{BeginEpochError, StaleEpoch};
use crate::reconcile::Progress;
use crate::seq_range::SeqRange;
use crate::shard::Shard;

/// What [`ReplicationState::begin_epoch`] began, and what it leaves to undo.
#[derive(Debug, Clone)]
#[must_use = "what is applied of earlier epochs has to be undone"]
pub struct EpochBegun {
    /// The new incarnation.
    pub shard: Shard,
    /// The applied segments that the new epoch replaces, ascending; mostly none.
    pub undo: Vec<SeqRange>,
}

/// Why no cell began.
enum Refused {
    Stale(StaleEpoch),
    /// The shard was reset after it was looked at.
    Reset,
}

impl ReplicationState {
    /// Returns the epochs of one shard; `None` for a shard that this state does not track.
    ///
    /// An incarnation keeps the epochs that it began with. O(log shards), and waits for a call that
    /// is adding or removing shards.
    pub fn epochs(&self, shard: ShardId) -> Option<Epochs> {
        self.table.handle_and_epochs(shard).map(|(_, epochs)| epochs)
    }

    /// Returns what one shard has applied, to [`reconcile`](crate::reconcile) it with a log; `None`
    /// for a shard that this state does not track.
    ///
    /// O(log shards), and copies the ranges above the mark.
    pub fn progress(&self, shard: ShardId) -> Option<Progress> {
        let (handle, epochs) = self.table.handle_and_epochs(shard)?;
        Some(Progress::Applied { log: handle.log(), applied: handle.applied_set(), epochs })
    }

    /// Begins an epoch of a shard: ends its present incarnation, and begins another of the same log
    /// that holds nothing at or above the first segment of the epoch.
    ///
    /// The new mark is the present one, or just below `start.first` if that is lower. Ranges that
    /// are completed at or above `start.first` are cut off. An epoch that replaces nothing begins a
    /// new incarnation too: that is the fence. From then on a handle that was taken in an earlier
    /// epoch returns [`Advance::Removed`], and its waits fail with
    /// [`WaitError::Removed`](crate::WaitError::Removed). Advancing costs nothing for it.
    ///
    /// ```
    /// use repl_core::{Advance, EpochStart, ReplicationState, ShardId};
    ///
    /// let state = ReplicationState::single();
    /// let third = state.begin_epoch(ShardId::SINGLE, EpochStart { epoch: 3, first: 1 })?.shard;
    /// third.advance(95);
    ///
    /// // The leader of epoch 4 has segments up to 90 of epoch 3, and goes on from there.
    /// let fourth = state.begin_epoch(ShardId::SINGLE, EpochStart { epoch: 4, first: 91 })?;
    /// assert_eq!(fourth.undo, [(91..=95).into()]);
    /// assert_eq!(fourth.shard.applied(), 90);
    /// assert_eq!(third.advance(96), Advance::Removed);
    /// assert!(state.begin_epoch(ShardId::SINGLE, EpochStart { epoch: 4, first: 80 }).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # What the engine does
    /// 1. It stops the appliers of the shard. A segment that is applied during the call may be
    ///    neither below the new mark nor in [`undo`](EpochBegun::undo).
    /// 2. It begins the epoch.
    /// 3. It undoes the segments in [`undo`](EpochBegun::undo), in its own data.
    /// 4. It applies segments of the new epoch with the new handle.
    ///
    /// No checkpoint may be saved between 2 and the end of 3: after a crash the new epoch would be
    /// found beside data of the earlier one. So the flush of a checkpoint waits for the undoing, and
    /// makes it durable. A crash before that leaves the earlier epoch in the checkpoint, and
    /// [`reconcile`](crate::reconcile) finds that it has diverged.
    ///
    /// # Errors
    /// [`BeginEpochError`]; nothing changed.
    ///
    /// [`Advance::Removed`]: crate::Advance::Removed
    pub fn begin_epoch(
        &self,
        shard: ShardId,
        start: EpochStart,
    ) -> Result<EpochBegun, BeginEpochError> {
        loop {
            let ended = self.shard(shard).ok_or(BeginEpochError::UnknownShard)?;
            let mut applied = ended.applied_set(); // may wake, so before the lock
            let mut kept = AppliedSet::default();
            let new = |now: &Shard, epochs: Epochs| {
                if now.incarnation() != ended.incarnation() {
                    return Err(Refused::Reset);
                }
                let epochs = epochs.assign(start).map_err(Refused::Stale)?;
                kept = applied.clone();
                kept.remove(start.first..=SeqNo::MAX);
                let new = NewShard::new(shard).with_mark(kept.mark()).with_log(now.log());
                Ok(new.with_epochs(epochs))
            };
            let (began, woken) = match self.table.reset(shard, new) {
                Some(Ok(reset)) => reset,
                Some(Err(Refused::Reset)) => continue,
                Some(Err(Refused::Stale(stale))) => return Err(stale.into()),
                None => return Err(BeginEpochError::UnknownShard),
            };
            kept.above().for_each(|range| began.complete(range));
            woken.wake();
            self.bell.ring();
            // An advance that was not refused comes before this in the order of the mark.
            applied.insert(0..=ended.cell().sync_load());
            return Ok(EpochBegun { shard: began, undo: from(start.first, &applied) });
        }
    }
}

/// The applied segments at or above `first`.
fn from(first: SeqNo, applied: &AppliedSet) -> Vec<SeqRange> {
    let all = std::iter::once(SeqRange::new(1, applied.mark())).chain(applied.above());
    let cut = all.map(|range| SeqRange::new(range.first().max(first), range.last()));
    cut.filter(|range| !range.is_empty()).collect()
}
