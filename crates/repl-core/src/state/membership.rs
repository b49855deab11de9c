//! Adding, resetting and removing shards.

use super::{Membership, ReplicationState};
use crate::ids::{NewShard, SeqNo, ShardId};
use crate::outcome::AlreadyTracked;
use crate::shard::Shard;
use crate::sync::locked;
use crate::table::{Slab, Table};

impl ReplicationState {
    /// Starts to track a shard, in a new cell at the given mark.
    ///
    /// # Errors
    /// [`AlreadyTracked`]; the mark of the tracked shard does not change.
    pub fn add_shard(&self, new: NewShard) -> Result<Shard, AlreadyTracked> {
        self.add(&[new]).map(|slab| Shard::new(slab, 0))
    }

    /// Starts to track many shards for the cost of one copy of the table; all of them or none.
    ///
    /// # Errors
    /// [`AlreadyTracked`] names the first shard that is tracked, or given twice; nothing changed.
    pub fn add_shards(&self, new: &[NewShard]) -> Result<(), AlreadyTracked> {
        self.add(new).map(drop)
    }

    fn add(&self, new: &[NewShard]) -> Result<Slab, AlreadyTracked> {
        locked(&self.membership, |membership| {
            let added = self.table.read(|table| table.with(new));
            let (table, slab) = added.map_err(|shard| AlreadyTracked { shard })?;
            self.publish(table, &slab, membership);
            Ok(slab)
        })
    }

    fn publish(&self, table: Table, added: &Slab, membership: &Membership) {
        if membership.closed {
            added.iter().for_each(|cell| cell.close().wake()); // nothing waits yet
        }
        self.table.replace(table);
    }

    /// Ends the present incarnation of a shard and begins another at the given mark and log, in one
    /// step. Returns `None` if the shard is not tracked.
    ///
    /// For use after a new base copy, or when the tail of the log was cut; [`rewind_shard`] keeps
    /// the log. Waits on the ended incarnation fail with
    /// [`WaitError::Removed`](crate::WaitError::Removed).
    ///
    /// Saved checkpoints hold the ended incarnation until the next saves. Where the data of the
    /// shard is replaced as well, remove the shard, wait until no checkpoint names it, replace the
    /// data, and only then add the shard again. Otherwise a crash brings the old mark back beside
    /// the new data.
    ///
    /// [`rewind_shard`]: Self::rewind_shard
    pub fn reset_shard(&self, new: NewShard) -> Option<Shard> {
        self.reset(new.shard, |_| new)
    }

    /// Ends the present incarnation of a shard and begins another of the same log at the mark `to`,
    /// in one step. Returns `None` if the shard is not tracked.
    ///
    /// As [`reset_shard`](Self::reset_shard) otherwise. What was completed above the mark is
    /// dropped. `to` may be above the present mark.
    pub fn rewind_shard(&self, shard: ShardId, to: SeqNo) -> Option<Shard> {
        self.reset(shard, |ended| NewShard::new(shard).with_mark(to).with_log(ended.log()))
    }

    fn reset(&self, shard: ShardId, new: impl FnOnce(&Shard) -> NewShard) -> Option<Shard> {
        let (began, woken) = locked(&self.membership, |membership| {
            let ended = self.shard(shard)?;
            let new = new(&ended);
            let reset = self.table.read(|table| table.without(shard).with(&[new]));
            let (table, slab) = reset.ok()?;
            self.publish(table, &slab, membership);
            Some((Shard::new(slab, 0), ended.cell().retire()))
        })?;
        woken.wake();
        Some(began)
    }

    /// Stops tracking a shard, and returns a handle on the incarnation that has ended; `None` if the
    /// shard is not tracked.
    ///
    /// Waits on it fail with [`WaitError::Removed`](crate::WaitError::Removed).
    pub fn remove_shard(&self, shard: ShardId) -> Option<Shard> {
        let (ended, woken) = locked(&self.membership, |_| {
            let ended = self.shard(shard)?;
            self.table.replace(self.table.read(|table| table.without(shard)));
            let woken = ended.cell().retire();
            Some((ended, woken))
        })?;
        woken.wake();
        Some(ended)
    }
}
