//! The marks of all shards, taken together, as plain values.

mod compare;
mod convert;

use std::fmt;
use std::sync::Arc;

use crate::cell::Key;
use crate::completed::Above;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::ranges::SeqRange;

/// The marks of a set of shards, in ascending order of their ids.
///
/// A snapshot of a running [`ReplicationState`](crate::ReplicationState) is no single instant
/// across shards: each mark in it is a valid lower bound of its shard's.
///
/// Beside its mark a shard may have [completed](Snapshot::completed) ranges above it, where
/// segments are applied out of order: together they are the set of what is applied.
///
/// Two snapshots are equal where they hold the same shards with the same sets. A shard that a
/// snapshot does not hold is unknown to it, which is not the same as a mark of 0. Taking the union
/// of each set ([`max`](Snapshot::max)) is commutative, associative and idempotent, and
/// [`dominates`](Snapshot::dominates) is a partial order.
///
/// ```
/// use repl_core::{ShardId, Snapshot};
///
/// let leader = Snapshot::from_iter([(ShardId(1), 10), (ShardId(2), 7)]);
/// let follower = Snapshot::from_iter([(ShardId(1), 8), (ShardId(2), 7)]);
/// assert!(leader.dominates(&follower));
/// assert_eq!(follower.lag(&leader).collect::<Vec<_>>(), [(ShardId(1), 2), (ShardId(2), 0)]);
/// assert_eq!(leader.min(&follower), follower);
/// ```
#[derive(Clone)]
pub struct Snapshot {
    keys: Arc<[Key]>,
    /// Parallel to `keys`.
    marks: Vec<SeqNo>,
    completed: Above,
    next_incarnation: Incarnation,
}

/// One shard of a [`Snapshot`], whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SnapshotEntry {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// Which life of the shard the mark speaks of.
    pub incarnation: Incarnation,
    /// The last segment fully applied; 0 for none.
    pub mark: SeqNo,
}

impl SnapshotEntry {
    pub(crate) fn split(self) -> (Key, SeqNo) {
        let SnapshotEntry { shard, log, incarnation, mark } = self;
        (Key { shard, incarnation, log }, mark)
    }
}

impl Snapshot {
    pub(crate) fn of(
        keys: Arc<[Key]>,
        marks: Vec<SeqNo>,
        completed: Above,
        next_incarnation: Incarnation,
    ) -> Self {
        debug_assert_eq!(keys.len(), marks.len());
        Snapshot { keys, marks, completed, next_incarnation }
    }

    fn index(&self, shard: ShardId) -> Option<usize> {
        self.keys.binary_search_by_key(&shard, |key| key.shard).ok()
    }

    /// The mark of one shard; `None` for a shard that the snapshot does not hold. O(log shards).
    pub fn get(&self, shard: ShardId) -> Option<SeqNo> {
        self.index(shard).map(|i| self.marks[i])
    }

    /// One shard, whole; `None` for a shard that the snapshot does not hold. O(log shards).
    pub fn entry(&self, shard: ShardId) -> Option<SnapshotEntry> {
        self.index(shard).map(|i| entry(&self.keys[i], self.marks[i]))
    }

    /// How many shards it holds.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether it holds no shard.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Every shard with its mark, ascending by shard.
    pub fn iter(&self) -> SnapshotIter<'_> {
        SnapshotIter { keys: self.keys.iter(), marks: self.marks.iter() }
    }

    /// Every mark, ascending by shard: the quickest way to sum or compare them.
    pub fn marks(&self) -> &[SeqNo] {
        &self.marks
    }

    /// Every shard, whole, ascending.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = SnapshotEntry> + '_ {
        self.keys.iter().zip(&self.marks).map(|(key, mark)| entry(key, *mark))
    }

    /// The incarnation that the state would have given next; 0 for a snapshot made by hand.
    pub fn next_incarnation(&self) -> Incarnation {
        self.next_incarnation
    }

    /// What is completed above the mark of one shard: ascending ranges that do not touch. Empty
    /// where segments are applied in order.
    pub fn completed(&self, shard: ShardId) -> &[SeqRange] {
        let at = self.completed.binary_search_by_key(&shard, |(shard, _)| *shard);
        at.map_or(&[], |i| &self.completed[i].1)
    }

    /// Every shard with something completed above its mark, ascending by shard.
    pub fn all_completed(&self) -> impl Iterator<Item = (ShardId, &[SeqRange])> {
        let all = self.completed.iter().map(|(shard, ranges)| (*shard, &**ranges));
        all.filter(|(_, ranges)| !ranges.is_empty())
    }

    /// Lowers the mark of one shard to `to`, and forgets what is completed above it; a mark at or
    /// below `to`, or a shard that the snapshot does not hold, is left as it is. Returns whether it
    /// was lowered.
    pub fn lower(&mut self, shard: ShardId, to: SeqNo) -> bool {
        match self.index(shard) {
            Some(i) if self.marks[i] > to => {
                self.marks[i] = to;
                self.forget_completed(shard);
                true
            }
            _ => false,
        }
    }

    /// Forgets what is completed above the mark of one shard.
    pub fn forget_completed(&mut self, shard: ShardId) {
        if let Ok(i) = self.completed.binary_search_by_key(&shard, |(shard, _)| *shard) {
            self.completed[i].1 = Box::default();
        }
    }
}

fn entry(key: &Key, mark: SeqNo) -> SnapshotEntry {
    SnapshotEntry { shard: key.shard, log: key.log, incarnation: key.incarnation, mark }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.marks == other.marks
            && self.all_completed().eq(other.all_completed())
            && (Arc::ptr_eq(&self.keys, &other.keys) || self.iter().eq(other.iter()))
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |(shard, mark): (ShardId, _)| (shard.0, Entry(mark, self.completed(shard)));
        f.debug_map().entries(self.iter().map(entry)).finish()
    }
}

/// A mark, and after a plus what is completed above it.
struct Entry<'a>(SeqNo, &'a [SeqRange]);

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.1.iter().try_for_each(|range| write!(f, "+{range}"))
    }
}

/// Iterates over the shards of a [`Snapshot`] with their marks, ascending by shard.
#[derive(Debug, Clone)]
pub struct SnapshotIter<'a> {
    keys: std::slice::Iter<'a, Key>,
    marks: std::slice::Iter<'a, SeqNo>,
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
