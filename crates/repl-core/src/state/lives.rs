//! Shards come and go.

use std::fmt;

use super::{Changing, ReplicationState};
use crate::ids::{NewShard, ShardId};
use crate::shard::Shard;
use crate::sync::locked;
use crate::table::{Slab, Table};

impl ReplicationState {
    /// Begins to track a shard, in a new cell at the given mark.
    ///
    /// # Errors
    /// [`AlreadyTracked`] where it is tracked; its mark is untouched.
    pub fn add_shard(&self, new: NewShard) -> Result<Shard, AlreadyTracked> {
        locked(&self.changing, |changing| {
            let added = self.table.read(|table| table.with(&[new]));
            let (table, slab) = added.map_err(AlreadyTracked::of)?;
            self.publish(table, &slab, changing);
            Ok(Shard::new(slab, 0))
        })
    }

    /// Begins to track many shards for the price of one copy of the table; all of them or none.
    ///
    /// # Errors
    /// [`AlreadyTracked`] names the first shard that is tracked, or given twice; nothing changed.
    pub fn add_shards(&self, new: &[NewShard]) -> Result<(), AlreadyTracked> {
        locked(&self.changing, |changing| {
            let added = self.table.read(|table| table.with(new));
            let (table, slab) = added.map_err(AlreadyTracked::of)?;
            self.publish(table, &slab, changing);
            Ok(())
        })
    }

    fn publish(&self, table: Table, added: &Slab, changing: &Changing) {
        if changing.closed {
            added.iter().for_each(|cell| cell.close().wake()); // nobody waits yet
        }
        self.table.replace(table);
    }

    /// Ends this life of a shard and begins another at the given mark and log, in one step: after a
    /// new base copy, or when the tail of its log was cut. `None` where it is not tracked. Who
    /// waits on the ended life is told [`WaitError::Removed`](crate::WaitError::Removed).
    ///
    /// Saved checkpoints speak of the ended life until the next saves. Where the data of the shard
    /// is replaced as well, remove it, wait until no checkpoint names it, replace the data, and
    /// only then add it again: otherwise a crash brings the old mark back beside the new data.
    pub fn reset_shard(&self, new: NewShard) -> Option<Shard> {
        let (began, woken) = locked(&self.changing, |changing| {
            let ended = self.shard(new.shard)?;
            let reset = self.table.read(|table| table.without(new.shard).with(&[new]));
            let (table, slab) = reset.ok()?;
            self.publish(table, &slab, changing);
            Some((Shard::new(slab, 0), ended.cell().retire()))
        })?;
        woken.wake();
        Some(began)
    }

    /// Ceases to track a shard, and returns a handle on the life that has ended; `None` where it
    /// is not tracked. Who waits on it is told [`WaitError::Removed`](crate::WaitError::Removed).
    pub fn remove_shard(&self, shard: ShardId) -> Option<Shard> {
        let (ended, woken) = locked(&self.changing, |_| {
            let ended = self.shard(shard)?;
            self.table.replace(self.table.read(|table| table.without(shard)));
            let woken = ended.cell().retire();
            Some((ended, woken))
        })?;
        woken.wake();
        Some(ended)
    }
}

/// A shard could not be added, as it is tracked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlreadyTracked {
    /// The shard.
    pub shard: ShardId,
}

impl AlreadyTracked {
    fn of(shard: ShardId) -> Self {
        AlreadyTracked { shard }
    }
}

impl fmt::Display for AlreadyTracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard;
        write!(f, "shard {shard} is already tracked: to begin it again at another mark, reset it")
    }
}

impl std::error::Error for AlreadyTracked {}
