//! Adding, resetting and removing shards.

use std::convert::Infallible;

use super::ReplicationState;
use crate::epochs::Epochs;
use crate::ids::{SeqNo, ShardId};
use crate::new_shard::NewShard;
use crate::outcome::AlreadyTracked;
use crate::shard::Shard;
use crate::wakers::Woken;

impl ReplicationState {
    /// Starts to track a shard, in a new cell at the given mark.
    ///
    /// # Errors
    /// [`AlreadyTracked`]; the mark of the tracked shard does not change.
    pub fn add_shard(&self, new: NewShard) -> Result<Shard, AlreadyTracked> {
        let shard = self.table.add_one(new).map_err(|shard| AlreadyTracked { shard })?;
        self.bell.ring();
        Ok(shard)
    }

    /// Starts to track many shards, for less than it costs to add each; all of them or none.
    ///
    /// # Errors
    /// [`AlreadyTracked`] names the first shard that is tracked, or given twice; nothing changed.
    pub fn add_shards(&self, new: &[NewShard]) -> Result<(), AlreadyTracked> {
        self.table.add(new).map_err(|shard| AlreadyTracked { shard })?;
        self.bell.ring();
        Ok(())
    }

    /// Ends the present incarnation of a shard and begins another at the given mark, log and epochs,
    /// in one step. Returns `None` if the shard is not tracked.
    ///
    /// For use after a new base copy, or when the tail of the log was cut; [`rewind_shard`] keeps
    /// log and epochs. Waits on the ended incarnation fail with
    /// [`WaitError::Removed`](crate::WaitError::Removed).
    ///
    /// Saved checkpoints hold the ended incarnation until the next saves. Where the data of the
    /// shard is replaced as well, remove the shard, wait until no checkpoint names it, replace the
    /// data, and only then add the shard again. Otherwise a crash brings the old mark back beside
    /// the new data.
    ///
    /// [`rewind_shard`]: Self::rewind_shard
    pub fn reset_shard(&self, new: NewShard) -> Option<Shard> {
        self.reset(new.shard, |_, _| new)
    }

    /// Ends the present incarnation of a shard and begins another of the same log and epochs at the
    /// mark `to`, in one step. Returns `None` if the shard is not tracked.
    ///
    /// As [`reset_shard`](Self::reset_shard) otherwise. What was completed above the mark is
    /// dropped. `to` may be above the present mark.
    pub fn rewind_shard(&self, shard: ShardId, to: SeqNo) -> Option<Shard> {
        self.reset(shard, |ended, epochs| {
            NewShard::new(shard).with_mark(to).with_log(ended.log()).with_epochs(epochs)
        })
    }

    fn reset(&self, shard: ShardId, new: impl FnOnce(&Shard, Epochs) -> NewShard) -> Option<Shard> {
        let never = |ended: &Shard, epochs| Ok::<_, Infallible>(new(ended, epochs));
        let Ok((began, woken)) = self.table.reset(shard, never)?;
        woken.wake();
        self.bell.ring();
        Some(began)
    }

    /// Stops tracking a shard, and returns a handle on the incarnation that has ended; `None` if the
    /// shard is not tracked.
    ///
    /// Waits on it fail with [`WaitError::Removed`](crate::WaitError::Removed).
    pub fn remove_shard(&self, shard: ShardId) -> Option<Shard> {
        self.remove_shards(&[shard]).pop()
    }

    /// Stops tracking many shards, for less than it costs to remove each. Returns handles on the
    /// incarnations that have ended, ascending by shard; shards that are not tracked are left out.
    ///
    /// Waits on them fail with [`WaitError::Removed`](crate::WaitError::Removed).
    pub fn remove_shards(&self, shards: &[ShardId]) -> Vec<Shard> {
        let (ended, woken) = self.table.remove(shards);
        woken.into_iter().for_each(Woken::wake);
        self.bell.ring();
        ended
    }
}
