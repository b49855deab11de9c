//! A checkpoint that has begun and is not saved yet.

use std::fmt;

use repl_core::{SeqNo, ShardId, Snapshot};

use crate::changes::Changes;
use crate::observe::Flush;
use crate::shared::Pending;

/// A checkpoint that has begun: the marks to make durable, and then to save.
///
/// [`Checkpointer::begin`](crate::Checkpointer::begin) returns it, and
/// [`Checkpointer::save`](crate::Checkpointer::save) takes it. In between the engine makes its data
/// durable, in its own way, on any thread, for as long as it takes.
///
/// Dropping it counts as a failed flush: nothing is saved, and the next attempt covers at least
/// the same data. A later `begin` supersedes it. While it exists, [`Floors::is_unreferenced`]
/// returns false; one that is leaked (`mem::forget`) keeps it so for ever.
///
/// [`Floors::is_unreferenced`]: crate::Floors::is_unreferenced
#[must_use = "dropping an attempt counts as a failed flush"]
pub struct Attempt {
    pub(crate) marks: Snapshot,
    /// What `marks` change since the last save; `None` once they are lowered.
    pub(crate) changes: Option<Changes>,
    pub(crate) pending: Pending,
    pub(crate) flush: Flush,
}

impl Attempt {
    /// Returns the marks up to which the data must be durable, with what is completed above them.
    pub fn marks(&self) -> &Snapshot {
        &self.marks
    }

    /// Lowers a mark to what is durable, and drops the ranges that are completed above it.
    ///
    /// A mark that is equal or lower stays, ranges included. What is dropped is replayed after a
    /// crash, even if an earlier checkpoint held it. O(log shards).
    pub fn lower(&mut self, shard: ShardId, mark: SeqNo) {
        if self.marks.lower(shard, mark) {
            self.changes = None;
        }
    }

    /// Drops the ranges that are completed above a mark, where they are not durable.
    pub fn drop_above(&mut self, shard: ShardId) {
        if self.marks.drop_above(shard) {
            self.changes = None;
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("marks", &self.marks).finish_non_exhaustive()
    }
}
