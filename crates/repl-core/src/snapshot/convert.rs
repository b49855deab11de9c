//! Snapshots made by hand.

use std::sync::Arc;

use super::{Snapshot, SnapshotEntry, after_all};
use crate::applied_set::AppliedSet;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::table::Above;

/// Collects whole entries; of two with the same shard the one with the larger mark counts.
///
/// O(shards) if they ascend by shard, O(shards log shards) otherwise.
impl FromIterator<SnapshotEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = SnapshotEntry>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        let mut ascending = Ascending::with_capacity(entries.size_hint().0);
        while let Some(entry) = entries.next() {
            if ascending.keys.last().is_some_and(|last| last.shard >= entry.shard) {
                let before: Vec<_> = ascending.snapshot().entries().collect();
                return sorted(before.into_iter().chain([entry]).chain(entries).collect());
            }
            ascending.push(entry);
        }
        ascending.snapshot()
    }
}

fn sorted(mut entries: Vec<SnapshotEntry>) -> Snapshot {
    let next = entries.iter().map(|entry| entry.incarnation.next()).max().unwrap_or_default();
    entries.sort_by_key(|entry| (entry.shard, std::cmp::Reverse(entry.mark())));
    entries.dedup_by_key(|entry| entry.shard);
    Snapshot::from_ascending(entries).with_next_incarnation(next)
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
        let mut ascending = Ascending::with_capacity(entries.len());
        for entry in entries {
            ascending.push(entry);
        }
        ascending.snapshot()
    }
}

/// The parts of a snapshot, of shards that ascend.
struct Ascending {
    keys: Vec<Key>,
    marks: Vec<SeqNo>,
    above: Above,
}

impl Ascending {
    fn with_capacity(shards: usize) -> Self {
        let (keys, marks) = (Vec::with_capacity(shards), Vec::with_capacity(shards));
        Ascending { keys, marks, above: Above::new() }
    }

    fn push(&mut self, entry: SnapshotEntry) {
        let SnapshotEntry { shard, log, incarnation, applied_set } = entry;
        self.keys.push(Key { shard, incarnation, log });
        self.marks.push(applied_set.mark());
        let ranges = applied_set.into_ranges_above();
        if !ranges.is_empty() {
            self.above.insert(shard, ranges);
        }
    }

    fn snapshot(self) -> Snapshot {
        let next = after_all(self.keys.iter());
        Snapshot::of(Arc::new(self.keys.into()), self.marks, self.above, next)
    }
}

/// Holds no shard.
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::of(Arc::new(Vec::new().into()), Vec::new(), Above::new(), Incarnation::default())
    }
}
