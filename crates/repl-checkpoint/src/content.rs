//! What one checkpoint holds: the marks of the state, and what no cell of it holds.

use std::sync::Arc;

use repl_core::{ShardId, Snapshot};

use crate::checkpoint::{Checkpoint, SeqRange, ShardCheckpoint};

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
    /// Shards with completed ranges or epochs.
    pub(crate) detailed: Vec<ShardCheckpoint>,
}

impl Content {
    /// Whether it holds just this. Compares `extra` by address: it is replaced when it changes.
    pub(crate) fn is(&self, marks: &Snapshot, extra: &Arc<Extra>) -> bool {
        Arc::ptr_eq(&self.extra, extra)
            && self.marks.next_incarnation() == marks.next_incarnation()
            && self.marks.entries().eq(marks.entries())
    }

    /// Whether it names a shard, in whatever life.
    pub(crate) fn names(&self, shard: ShardId) -> bool {
        self.marks.get(shard).is_some() || self.extra.unnamed.iter().any(|s| s.shard == shard)
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::of(&self.marks);
        for old in &self.extra.detailed {
            let at = checkpoint.shards.binary_search_by_key(&old.shard, |s| s.shard);
            let Some(shard) = at.ok().and_then(|i| checkpoint.shards.get_mut(i)) else { continue };
            if shard.incarnation == old.incarnation {
                shard.epochs.clone_from(&old.epochs);
                shard.completed = above(shard.mark, &old.completed);
            }
        }
        if !self.extra.unnamed.is_empty() {
            checkpoint.shards.extend_from_slice(&self.extra.unnamed);
            checkpoint.shards.sort_by_key(|s| s.shard);
        }
        checkpoint
    }
}

/// What of the ranges lies above the mark.
fn above(mark: u64, ranges: &[SeqRange]) -> Box<[SeqRange]> {
    let clip = |range: &SeqRange| SeqRange {
        first: range.first.max(mark.saturating_add(1)),
        last: range.last,
    };
    ranges.iter().filter(|range| range.last > mark).map(clip).collect()
}
