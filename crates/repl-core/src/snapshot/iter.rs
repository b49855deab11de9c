//! Iterating over the shards of a snapshot.

use super::Snapshot;
use crate::ids::{SeqNo, ShardId};
use crate::keys::KeysIter;

/// An iterator over the shards of a [`Snapshot`] with their marks, ascending by shard.
#[derive(Debug, Clone)]
pub struct SnapshotIter<'a> {
    pub(super) keys: KeysIter<'a>,
    pub(super) marks: std::slice::Iter<'a, SeqNo>,
}

impl Iterator for SnapshotIter<'_> {
    type Item = (ShardId, SeqNo);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.keys.next()?.shard, *self.marks.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.marks.size_hint()
    }
}

impl ExactSizeIterator for SnapshotIter<'_> {}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = (ShardId, SeqNo);
    type IntoIter = SnapshotIter<'a>;

    fn into_iter(self) -> SnapshotIter<'a> {
        self.iter()
    }
}
