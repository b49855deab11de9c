//! Iterating over the shards of a snapshot.

use std::collections::btree_map;
use std::iter::Peekable;

use super::{Snapshot, SnapshotEntry, entry};
use crate::applied_set::AppliedSet;
use crate::ids::{SeqNo, ShardId};
use crate::keys::KeysIter;
use crate::range_set::RangeSet;

/// An iterator over the shards of a [`Snapshot`] with their marks, ascending by shard.
#[derive(Debug, Clone)]
pub struct SnapshotIter<'a> {
    pub(super) keys: KeysIter<'a>,
    pub(super) marks: std::slice::Iter<'a, SeqNo>,
}

impl Iterator for SnapshotIter<'_> {
    type Item = (ShardId, SeqNo);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.keys.next()?.shard(), *self.marks.next()?))
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

/// An iterator over the shards of a [`Snapshot`], whole, ascending: see [`Snapshot::entries`].
#[derive(Debug, Clone)]
pub struct SnapshotEntries<'a> {
    pub(super) keys: KeysIter<'a>,
    pub(super) marks: std::slice::Iter<'a, SeqNo>,
    /// Only shards with something completed above the mark.
    pub(super) above: Peekable<btree_map::Iter<'a, ShardId, RangeSet>>,
}

impl Iterator for SnapshotEntries<'_> {
    type Item = SnapshotEntry;

    #[inline]
    fn next(&mut self) -> Option<SnapshotEntry> {
        let (key, mark) = (self.keys.next()?, *self.marks.next()?);
        let is_above = self.is_next_above(key.shard());
        Some(entry(key, if is_above { self.set_above(mark) } else { AppliedSet::up_to(mark) }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.marks.size_hint()
    }
}

impl ExactSizeIterator for SnapshotEntries<'_> {}

impl SnapshotEntries<'_> {
    #[inline]
    fn is_next_above(&mut self, shard: ShardId) -> bool {
        self.above.peek().is_some_and(|(next, _)| **next == shard)
    }

    #[cold]
    #[inline(never)]
    fn set_above(&mut self, mark: SeqNo) -> AppliedSet {
        match self.above.next() {
            Some((_, ranges)) => AppliedSet::from_parts(mark, ranges.clone()),
            None => AppliedSet::up_to(mark),
        }
    }
}
