//! One life of one shard: its mark, and what does not change while it lives.

use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::mark::Mark;
use crate::shard::Advance;
use crate::sync::{AtomicBool, Ordering};

/// Who a cell speaks of. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) shard: ShardId,
    pub(crate) incarnation: Incarnation,
    pub(crate) log: LogId,
}

/// A cell has 64 bytes of its own, a cache line of most machines, so that advancing one shard does not slow its neighbour.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cell {
    key: Key,
    mark: Mark,
    /// Set once, after the cell has left the table. `Acquire` and `Release`: who is told
    /// `Removed` and looks the shard up again finds the table without this cell.
    removed: AtomicBool,
}

impl Cell {
    pub(crate) fn new(key: Key, mark: SeqNo) -> Self {
        Cell { key, mark: Mark::new(mark), removed: AtomicBool::new(false) }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    #[inline]
    pub(crate) fn applied(&self) -> SeqNo {
        self.mark.get()
    }

    /// Called when no table holds this cell any more.
    pub(crate) fn retire(&self) {
        self.removed.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn advance(&self, to: SeqNo) -> Advance {
        let at = self.mark.get();
        if self.is_removed() {
            return Advance::Removed;
        }
        if to <= at {
            return Advance::AlreadyApplied { at };
        }
        let from = self.mark.raise(to);
        if from < to { Advance::Moved { from } } else { Advance::AlreadyApplied { at: from } }
    }

    /// The mark never falls, so a mark of `expected` or more, once seen, holds until the raise:
    /// no compare-and-swap loop is needed.
    #[inline]
    pub(crate) fn advance_from(&self, expected: SeqNo, to: SeqNo) -> Advance {
        let at = self.mark.get();
        if at < expected && at < to && !self.is_removed() {
            return Advance::Gap { at };
        }
        self.advance(to)
    }
}
