//! What one checkpoint holds: the marks of the state, and what no cell of it holds.

use std::sync::Arc;

use repl_core::{ShardId, Snapshot};

use crate::checkpoint::{Checkpoint, ShardCheckpoint};

/// What one save holds. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) marks: Arc<Snapshot>,
    pub(crate) extra: Arc<Extra>,
}

/// What a checkpoint holds beside the marks of the state, and must not lose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extra {
    /// Shards of the recovered checkpoint that the engine did not name, ascending.
    pub(crate) unnamed: Vec<ShardCheckpoint>,
    /// Shards with epochs.
    pub(crate) with_epochs: Vec<ShardCheckpoint>,
}

impl Content {
    /// Whether it holds just this. Compares `extra` by address: it is replaced when it changes.
    pub(crate) fn is(&self, marks: &Snapshot, extra: &Arc<Extra>) -> bool {
        Arc::ptr_eq(&self.extra, extra)
            && self.marks.next_incarnation() == marks.next_incarnation()
            && self.marks.entries().eq(marks.entries())
            && self.marks.all_completed().eq(marks.all_completed())
    }

    /// Whether it names a shard, in whatever life.
    pub(crate) fn names(&self, shard: ShardId) -> bool {
        self.marks.get(shard).is_some() || self.extra.unnamed.iter().any(|s| s.shard == shard)
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::of(&self.marks);
        for old in &self.extra.with_epochs {
            match checkpoint.shard_mut(old.shard) {
                Some(shard) if shard.incarnation == old.incarnation => {
                    shard.epochs.clone_from(&old.epochs);
                }
                _ => {}
            }
        }
        if !self.extra.unnamed.is_empty() {
            checkpoint.shards.extend_from_slice(&self.extra.unnamed);
            checkpoint.shards.sort_by_key(|s| s.shard);
        }
        checkpoint
    }
}
