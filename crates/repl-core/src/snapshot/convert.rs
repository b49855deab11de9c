//! Snapshots made by hand, and what they are turned into.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::{Snapshot, SnapshotEntry};
use crate::cell::Key;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};

/// Makes a snapshot of whole entries; where a shard comes twice the larger mark counts.
impl FromIterator<SnapshotEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = SnapshotEntry>>(entries: I) -> Self {
        let mut entries: Vec<SnapshotEntry> = entries.into_iter().collect();
        entries.sort_by_key(|entry| (entry.shard, std::cmp::Reverse(entry.mark)));
        entries.dedup_by_key(|entry| entry.shard);
        let (keys, marks): (Vec<Key>, _) = entries.into_iter().map(SnapshotEntry::split).unzip();
        Snapshot::of(keys.into(), marks, Vec::new(), Incarnation::default())
    }
}

/// Holds no shard.
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::of(Arc::default(), Vec::new(), Vec::new(), Incarnation::default())
    }
}

/// Makes a snapshot by hand, of unnamed logs; where a shard comes twice the larger mark counts.
impl FromIterator<(ShardId, SeqNo)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (ShardId, SeqNo)>>(marks: I) -> Self {
        let entry = |(shard, mark)| SnapshotEntry {
            shard,
            log: LogId::UNNAMED,
            incarnation: Incarnation::default(),
            mark,
        };
        marks.into_iter().map(entry).collect()
    }
}

impl<S: BuildHasher + Default> From<&Snapshot> for HashMap<ShardId, SeqNo, S> {
    fn from(snapshot: &Snapshot) -> Self {
        snapshot.iter().collect()
    }
}

impl<S: BuildHasher + Default> From<Snapshot> for HashMap<ShardId, SeqNo, S> {
    fn from(snapshot: Snapshot) -> Self {
        snapshot.iter().collect()
    }
}

impl From<&Snapshot> for BTreeMap<ShardId, SeqNo> {
    fn from(snapshot: &Snapshot) -> Self {
        snapshot.iter().collect()
    }
}

impl From<Snapshot> for BTreeMap<ShardId, SeqNo> {
    fn from(snapshot: Snapshot) -> Self {
        snapshot.iter().collect()
    }
}
