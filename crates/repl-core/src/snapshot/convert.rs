//! Snapshots made by hand.

use std::sync::Arc;

use super::{Snapshot, SnapshotEntry, after_all};
use crate::applied_set::AppliedSet;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::table::Above;

/// Collects whole entries; of two with the same shard the one with the larger mark counts.
impl FromIterator<SnapshotEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = SnapshotEntry>>(entries: I) -> Self {
        let mut entries: Vec<SnapshotEntry> = entries.into_iter().collect();
        let next = entries.iter().map(|entry| entry.incarnation.next()).max().unwrap_or_default();
        entries.sort_by_key(|entry| (entry.shard, std::cmp::Reverse(entry.mark())));
        entries.dedup_by_key(|entry| entry.shard);
        Snapshot::from_ascending(entries).with_next_incarnation(next)
    }
}

/// Collects marks of unnamed logs; of two with the same shard the larger mark counts.
impl FromIterator<(ShardId, SeqNo)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (ShardId, SeqNo)>>(marks: I) -> Self {
        let entry = |(shard, mark)| SnapshotEntry::new(shard, AppliedSet::up_to(mark));
        marks.into_iter().map(entry).collect()
    }
}

impl Snapshot {
    /// From entries in ascending order of their shards, without duplicates.
    pub(super) fn from_ascending(entries: Vec<SnapshotEntry>) -> Self {
        let mut keys = Vec::with_capacity(entries.len());
        let mut marks = Vec::with_capacity(entries.len());
        let mut above = Above::new();
        for SnapshotEntry { shard, log, incarnation, applied_set } in entries {
            keys.push(Key { shard, incarnation, log });
            marks.push(applied_set.mark());
            let ranges = applied_set.into_ranges_above();
            if !ranges.is_empty() {
                above.insert(shard, ranges);
            }
        }
        let next = after_all(&keys);
        Snapshot::of(keys.into(), marks, above, next)
    }
}

/// Holds no shard.
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::of(Arc::default(), Vec::new(), Above::new(), Incarnation::default())
    }
}
