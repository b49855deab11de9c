//! Snapshots made by hand.

use std::sync::Arc;

use super::{Snapshot, SnapshotBuilder, SnapshotEntry};
use crate::applied_set::AppliedSet;
use crate::ids::{Incarnation, SeqNo, ShardId};
use crate::table::Above;

/// Collects whole entries; of two with the same shard the one with the larger mark counts.
///
/// O(shards) if they ascend by shard, O(shards log shards) otherwise.
impl FromIterator<SnapshotEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = SnapshotEntry>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut builder = SnapshotBuilder::with_room(entries.size_hint().0);
        entries.for_each(|entry| builder.push(entry));
        builder.build()
    }
}

/// Collects marks of unnamed logs; of two with the same shard the larger mark counts.
impl FromIterator<(ShardId, SeqNo)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (ShardId, SeqNo)>>(marks: I) -> Self {
        let entry = |(shard, mark)| SnapshotEntry::new(shard, AppliedSet::up_to(mark));
        marks.into_iter().map(entry).collect()
    }
}

/// Holds no shard.
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::of(Arc::default(), Vec::new(), Above::new(), Incarnation::default())
    }
}
