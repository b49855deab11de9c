//! What changed since the last save.

use std::sync::Arc;

use repl_core::{SeqNo, ShardId, Snapshot, SnapshotChange};

use crate::checkpoint::ShardCheckpoint;
use crate::content::orphan;

type Orphans = Arc<Vec<ShardCheckpoint>>;

/// The shards that differ between a save and the one before it.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    /// Ascending; `None` if they are too many.
    pub(crate) shards: Option<Vec<ShardId>>,
    /// Whether nothing differs, the next incarnation included.
    pub(crate) is_empty: bool,
    /// The first shard that is below its mark in the save before, in the same incarnation.
    pub(crate) below: Option<Below>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Below {
    pub(crate) shard: ShardId,
    pub(crate) saved: SeqNo,
    pub(crate) lowered: SeqNo,
}

impl Changes {
    /// Compares marks with saved ones, in one pass. Collects at most `most` shards.
    pub(crate) fn between(saved: &Snapshot, now: &Snapshot, most: usize) -> Self {
        let is_empty = saved.next_incarnation() == now.next_incarnation();
        let mut changes = Changes { shards: Some(Vec::new()), is_empty, below: None };
        for change in now.changes_since(saved) {
            changes.is_empty = false;
            match change {
                SnapshotChange::Changed { shard, from: saved, to: lowered } if lowered < saved => {
                    changes.below = Some(Below { shard, saved, lowered });
                    break; // nothing of it is saved
                }
                change => changes.push(change.shard(), most),
            }
        }
        changes
    }

    fn push(&mut self, shard: ShardId, most: usize) {
        self.shards = self.shards.take().filter(|shards| shards.len() < most);
        if let Some(shards) = &mut self.shards {
            shards.push(shard);
        }
    }

    /// Adds the orphans that a save no longer carries. None is ever added.
    pub(crate) fn add_orphans(&mut self, saved: &Orphans, now: &Orphans) {
        if Arc::ptr_eq(saved, now) {
            return; // a change replaces it
        }
        let gone = saved.iter().map(|s| s.shard).filter(|s| orphan(now, *s).is_none());
        let gone: Vec<ShardId> = gone.collect();
        self.is_empty &= gone.is_empty();
        self.shards = self.shards.take().map(|shards| union(&shards, &gone));
    }
}

/// The shards in either of two lists, which ascend.
pub(crate) fn union(shards: &[ShardId], mut others: &[ShardId]) -> Vec<ShardId> {
    let mut both = Vec::with_capacity(shards.len() + others.len());
    for shard in shards {
        let (below, rest) = others.split_at(others.iter().take_while(|s| *s < shard).count());
        both.extend_from_slice(below);
        both.push(*shard);
        others = rest.strip_prefix(&[*shard]).unwrap_or(rest);
    }
    both.extend_from_slice(others);
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_changes_are_collected_than_were_asked_for() {
        let marks = |seqno| Snapshot::from_iter([1, 2, 3].map(|shard| (ShardId(shard), seqno)));
        let collected = |most| Changes::between(&marks(1), &marks(2), most).shards;
        assert_eq!(collected(3), Some(vec![ShardId(1), ShardId(2), ShardId(3)]));
        assert_eq!(collected(2), None);
    }
}
