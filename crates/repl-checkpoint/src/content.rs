//! The content of a checkpoint: the marks of the state, and what is carried beside them.

use std::sync::Arc;

use repl_core::{ShardId, Snapshot};

use crate::checkpoint::{Checkpoint, ShardCheckpoint};

/// The content of one save. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) marks: Arc<Snapshot>,
    pub(crate) carried: Arc<Carried>,
}

/// What every save carries on from the recovered checkpoint, as the state does not hold it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// Shards that the state does not track, ascending.
    pub(crate) orphaned: Vec<ShardCheckpoint>,
    /// Shards that have epochs, tracked or not.
    pub(crate) with_epochs: Vec<ShardCheckpoint>,
}

impl Carried {
    /// The place of an orphaned shard. O(log orphans).
    pub(crate) fn orphan(&self, shard: ShardId) -> Option<usize> {
        self.orphaned.binary_search_by_key(&shard, |s| s.shard).ok()
    }
}

impl Content {
    /// The content of a checkpoint that was read: all of its shards are in the marks.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        let with_epochs =
            checkpoint.shards.iter().filter(|s| !s.epochs.is_empty()).cloned().collect();
        let carried = Carried { orphaned: Vec::new(), with_epochs };
        Content { marks: Arc::new(checkpoint.marks()), carried: Arc::new(carried) }
    }

    /// Whether it is exactly this. Compares `carried` by address, as a change replaces it.
    pub(crate) fn is(&self, marks: &Snapshot, carried: &Arc<Carried>) -> bool {
        Arc::ptr_eq(&self.carried, carried) && *self.marks == *marks
    }

    /// Whether it holds a shard, in any incarnation.
    pub(crate) fn names(&self, shard: ShardId) -> bool {
        self.marks.mark(shard).is_some() || self.carried.orphan(shard).is_some()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::of(&self.marks);
        for old in &self.carried.with_epochs {
            match checkpoint.shard_mut(old.shard) {
                Some(shard) if shard.incarnation == old.incarnation => {
                    shard.epochs.clone_from(&old.epochs);
                }
                _ => {}
            }
        }
        if !self.carried.orphaned.is_empty() {
            checkpoint.shards.extend_from_slice(&self.carried.orphaned);
            checkpoint.shards.sort_by_key(|s| s.shard);
        }
        checkpoint
    }
}
