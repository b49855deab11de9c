//! The marks of all shards, taken together, as plain values.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::cell::Key;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};

/// The marks of a set of shards, in ascending order of their ids.
///
/// A snapshot of a running [`ReplicationState`](crate::ReplicationState) is no single instant
/// across shards: each mark in it is a valid lower bound of its shard's.
///
/// Two snapshots are equal where they hold the same shards with the same marks. A shard that a
/// snapshot does not hold is unknown to it, which is not the same as a mark of 0. Taking pointwise
/// maxima ([`max`](Snapshot::max)) is commutative, associative and idempotent, and
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
    pub(crate) fn of(keys: Arc<[Key]>, marks: Vec<SeqNo>, next_incarnation: Incarnation) -> Self {
        debug_assert_eq!(keys.len(), marks.len());
        Snapshot { keys, marks, next_incarnation }
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
    pub fn iter(&self) -> Iter<'_> {
        Iter { keys: self.keys.iter(), marks: self.marks.iter() }
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

    /// Lowers the mark of one shard to `to`; a mark at or below it, or a shard that the snapshot
    /// does not hold, is left as it is. Returns whether it was lowered.
    pub fn lower(&mut self, shard: ShardId, to: SeqNo) -> bool {
        match self.index(shard) {
            Some(i) if self.marks[i] > to => {
                self.marks[i] = to;
                true
            }
            _ => false,
        }
    }

    /// The pointwise maximum: every shard that either holds, with its larger mark, matched by id;
    /// marks of different lives of a shard are compared as the numbers they are.
    #[must_use]
    pub fn max(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, |pair| match pair {
            (Some(a), Some(b)) => Some(if b.mark > a.mark { b } else { a }),
            (one, other) => one.or(other),
        })
    }

    /// The pointwise minimum: every shard that both hold, with its smaller mark.
    #[must_use]
    pub fn min(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, |(a, b)| {
            let (a, b) = (a?, b?);
            Some(if b.mark < a.mark { b } else { a })
        })
    }

    /// How many segments each shard of `ahead` is in front of this snapshot, in seqnos; 0 where it
    /// is not. A shard that this snapshot does not hold lags by the whole of its mark.
    pub fn lag(&self, ahead: &Snapshot) -> impl Iterator<Item = (ShardId, u64)> {
        pairs(self, ahead).filter_map(|(behind, ahead)| {
            let ahead = ahead?;
            let at = behind.map_or(0, |b| b.mark);
            Some((ahead.shard, ahead.mark.saturating_sub(at)))
        })
    }

    /// How many seqnos all shards together have advanced since `earlier`. A shard whose life was not
    /// yet in it counts from 0; one that has gone counts nothing.
    pub fn advanced_since(&self, earlier: &Snapshot) -> u64 {
        let sum = |from: u64, (now, before): (u64, u64)| from.saturating_add(now - before.min(now));
        if Arc::ptr_eq(&self.keys, &earlier.keys) {
            return self.marks.iter().copied().zip(earlier.marks.iter().copied()).fold(0, sum);
        }
        let both = pairs(self, earlier).filter_map(|(now, before)| {
            let now = now?;
            let before = before.filter(|before| before.incarnation == now.incarnation);
            Some((now.mark, before.map_or(0, |before| before.mark)))
        });
        both.fold(0, sum)
    }

    /// Whether this snapshot holds every shard of `other`, at its mark or above.
    pub fn dominates(&self, other: &Snapshot) -> bool {
        pairs(self, other).all(|(a, b)| b.is_none_or(|b| a.is_some_and(|a| a.mark >= b.mark)))
    }

    fn combine(
        &self,
        other: &Snapshot,
        choose: impl Fn((Option<SnapshotEntry>, Option<SnapshotEntry>)) -> Option<SnapshotEntry>,
    ) -> Snapshot {
        let (keys, marks): (Vec<Key>, Vec<SeqNo>) =
            pairs(self, other).filter_map(choose).map(SnapshotEntry::split).unzip();
        let next = self.next_incarnation.max(other.next_incarnation);
        Snapshot::of(keys.into(), marks, next)
    }
}

fn entry(key: &Key, mark: SeqNo) -> SnapshotEntry {
    SnapshotEntry { shard: key.shard, log: key.log, incarnation: key.incarnation, mark }
}

/// Every shard that either holds, ascending, with what each says of it.
fn pairs(
    a: &Snapshot,
    b: &Snapshot,
) -> impl Iterator<Item = (Option<SnapshotEntry>, Option<SnapshotEntry>)> {
    let (mut a, mut b) = (a.entries().peekable(), b.entries().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => x.shard.cmp(&y.shard),
        };
        let left = if order.is_le() { a.next() } else { None };
        let right = if order.is_ge() { b.next() } else { None };
        Some((left, right))
    })
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.marks == other.marks
            && (Arc::ptr_eq(&self.keys, &other.keys) || self.iter().eq(other.iter()))
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(shard, mark)| (shard.0, mark))).finish()
    }
}

/// Iterates over the shards of a [`Snapshot`] with their marks, ascending by shard.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    keys: std::slice::Iter<'a, Key>,
    marks: std::slice::Iter<'a, SeqNo>,
}

impl Iterator for Iter<'_> {
    type Item = (ShardId, SeqNo);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.keys.next()?.shard, *self.marks.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.marks.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = (ShardId, SeqNo);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Makes a snapshot of whole entries; where a shard comes twice the larger mark counts.
impl FromIterator<SnapshotEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = SnapshotEntry>>(entries: I) -> Self {
        let mut entries: Vec<SnapshotEntry> = entries.into_iter().collect();
        entries.sort_by_key(|entry| (entry.shard, std::cmp::Reverse(entry.mark)));
        entries.dedup_by_key(|entry| entry.shard);
        let (keys, marks): (Vec<Key>, _) = entries.into_iter().map(SnapshotEntry::split).unzip();
        Snapshot::of(keys.into(), marks, Incarnation::default())
    }
}

/// Holds no shard.
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::of(Arc::default(), Vec::new(), Incarnation::default())
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
