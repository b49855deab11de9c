//! The marks of all shards, taken together, as plain values.

mod builder;
mod changes;
mod compare;
mod convert;
mod entry;
mod iter;
#[cfg(feature = "serde")]
mod serde;

use std::fmt;
use std::sync::Arc;

use crate::applied_set::AppliedSet;
use crate::epochs::Epochs;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::keys::{KeyRef, Keys};
use crate::range_set::RangeSet;
use crate::table::Above;

pub use self::builder::SnapshotBuilder;
pub use self::changes::{SnapshotChange, SnapshotChanges};
pub use self::entry::SnapshotEntry;
pub use self::iter::{SnapshotEntries, SnapshotIter};

/// The marks of a set of shards, in ascending order of their ids.
///
/// A snapshot of a running [`ReplicationState`](crate::ReplicationState) does not read all shards at
/// one instant: each mark is a lower bound of its shard's mark from then on.
///
/// Where segments are applied out of order, a shard has ranges that are completed above its mark.
/// Mark and ranges together are its [set of applied seqnos](Snapshot::applied_set).
///
/// Two snapshots are equal if everything in them is equal: shards, logs, incarnations, epochs, marks
/// and ranges; [`same_marks`](Snapshot::same_marks) compares shards and marks alone. A shard that a
/// snapshot does not hold is unknown to it, which is not the same as a mark of 0. [`max`] is
/// commutative, associative and idempotent in marks and ranges, and [`dominates`] is a partial
/// order of them.
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
///
/// [`max`]: Snapshot::max
/// [`dominates`]: Snapshot::dominates
#[derive(Clone)]
pub struct Snapshot {
    keys: Arc<Keys>,
    /// Parallel to `keys`.
    marks: Vec<SeqNo>,
    above: Above,
    next_incarnation: Incarnation,
}

impl Snapshot {
    pub(crate) fn of(
        keys: Arc<Keys>,
        marks: Vec<SeqNo>,
        above: Above,
        next_incarnation: Incarnation,
    ) -> Self {
        debug_assert_eq!(keys.len(), marks.len());
        Snapshot { keys, marks, above, next_incarnation }
    }

    fn index(&self, shard: ShardId) -> Option<usize> {
        self.keys.find(shard).map(KeyRef::place)
    }

    /// Returns the mark of one shard; `None` for a shard that the snapshot does not hold.
    ///
    /// O(log shards).
    pub fn mark(&self, shard: ShardId) -> Option<SeqNo> {
        self.index(shard).map(|i| self.marks[i])
    }

    /// Returns the incarnation of one shard; `None` for a shard that the snapshot does not hold.
    ///
    /// O(log shards).
    pub fn incarnation(&self, shard: ShardId) -> Option<Incarnation> {
        self.keys.find(shard).map(KeyRef::incarnation)
    }

    /// Returns the epochs of one shard; `None` for a shard that the snapshot does not hold.
    ///
    /// O(log shards).
    pub fn epochs(&self, shard: ShardId) -> Option<Epochs> {
        self.keys.find(shard).map(|key| key.epochs().cloned().unwrap_or_default())
    }

    /// Returns the applied seqnos of one shard; `None` for a shard that the snapshot does not hold.
    ///
    /// O(log shards), and copies the ranges above the mark.
    pub fn applied_set(&self, shard: ShardId) -> Option<AppliedSet> {
        self.index(shard).map(|i| self.set_at(shard, i))
    }

    /// Returns one shard, whole; `None` for a shard that the snapshot does not hold.
    ///
    /// O(log shards), and copies the ranges above the mark.
    pub fn entry(&self, shard: ShardId) -> Option<SnapshotEntry> {
        self.keys.find(shard).map(|key| entry(key, self.set_of(key)))
    }

    /// Returns the number of shards.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Returns whether the snapshot holds no shard.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Returns every shard, ascending.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = ShardId> + '_ {
        self.keys.iter().map(KeyRef::shard)
    }

    /// Returns every shard with its mark, ascending by shard.
    pub fn iter(&self) -> SnapshotIter<'_> {
        SnapshotIter { keys: self.keys.iter(), marks: self.marks.iter() }
    }

    /// Returns every mark, ascending by shard: the quickest way to sum or compare them.
    pub fn marks(&self) -> &[SeqNo] {
        &self.marks
    }

    /// Returns every shard, whole, ascending.
    pub fn entries(&self) -> SnapshotEntries<'_> {
        let above = self.above.iter().peekable();
        SnapshotEntries { keys: self.keys.iter(), marks: self.marks.iter(), above }
    }

    /// Returns the incarnation that the next shard added to the state gets.
    ///
    /// For a snapshot that was made by hand it is the one after the highest in it, unless
    /// [set](Snapshot::with_next_incarnation).
    pub fn next_incarnation(&self) -> Incarnation {
        self.next_incarnation
    }

    /// Sets the next incarnation; one that is not above every incarnation in the snapshot is raised
    /// to be.
    #[must_use]
    pub fn with_next_incarnation(self, next: Incarnation) -> Self {
        // Above every incarnation in it, so all are looked at only where it is lowered.
        let is_lowered = next < self.next_incarnation;
        let next_incarnation =
            if is_lowered { next.max(after_all(self.keys.iter())) } else { next };
        Snapshot { next_incarnation, ..self }
    }

    /// Returns whether both hold the same shards at the same marks; compares nothing else.
    pub fn same_marks(&self, other: &Snapshot) -> bool {
        self.marks == other.marks
            && (Arc::ptr_eq(&self.keys, &other.keys) || self.shards().eq(other.shards()))
    }

    /// Keeps only the shards for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(ShardId) -> bool) {
        let kept: Vec<bool> = self.shards().map(&mut keep).collect();
        if !kept.contains(&false) {
            return;
        }
        let mut flags = kept.iter();
        self.marks.retain(|_| flags.next() == Some(&true));
        let kept =
            self.keys.iter().zip(kept).filter_map(|(key, kept)| kept.then_some(key.with_epochs()));
        self.keys = Arc::new(kept.collect());
        let keys = &self.keys;
        let is_kept = |shard| keys.find(shard).is_some();
        self.above.retain(|shard, _| is_kept(*shard));
    }

    /// Lowers the mark of one shard to `to`, and drops what is completed above it. Returns whether
    /// it was lowered.
    ///
    /// A mark at or below `to`, or a shard that the snapshot does not hold, is left as it is.
    /// Ranges dropped this way are replayed after a crash even if an earlier checkpoint held them.
    pub fn lower(&mut self, shard: ShardId, to: SeqNo) -> bool {
        match self.index(shard) {
            Some(i) if self.marks[i] > to => {
                self.marks[i] = to;
                self.drop_above(shard);
                true
            }
            _ => false,
        }
    }

    /// Drops what is completed above the mark of one shard. Returns whether there was anything.
    ///
    /// Ranges dropped this way are replayed after a crash even if an earlier checkpoint held them.
    pub fn drop_above(&mut self, shard: ShardId) -> bool {
        self.above.remove(&shard).is_some()
    }

    /// Returns the marks alone, without what is completed above them.
    #[must_use]
    pub fn without_above(self) -> Self {
        Snapshot { above: Above::new(), ..self }
    }

    fn ranges_above(&self, shard: ShardId) -> Option<&RangeSet> {
        self.above.get(&shard)
    }

    fn set_at(&self, shard: ShardId, i: usize) -> AppliedSet {
        match self.ranges_above(shard) {
            Some(ranges) => AppliedSet::from_parts(self.marks[i], ranges.clone()),
            None => AppliedSet::up_to(self.marks[i]),
        }
    }

    fn set_of(&self, key: KeyRef<'_>) -> AppliedSet {
        self.set_at(key.shard(), key.place())
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The ranges above the marks.
    pub(crate) fn all_above(&self) -> &Above {
        &self.above
    }

    /// Every shard with its log and mark, ascending.
    pub(crate) fn keys_and_marks(&self) -> impl Iterator<Item = (Key, SeqNo)> + '_ {
        self.keys.iter().map(KeyRef::key).zip(self.marks.iter().copied())
    }
}

#[inline]
fn entry(key: KeyRef<'_>, applied_set: AppliedSet) -> SnapshotEntry {
    let (Key { shard, log, incarnation }, epochs) = key.with_epochs();
    SnapshotEntry { shard, log, incarnation, applied_set, epochs }
}

/// The incarnation after the highest one; the first one where there is none.
fn after_all<'a>(keys: impl Iterator<Item = KeyRef<'a>>) -> Incarnation {
    keys.map(|key| key.incarnation().next()).max().unwrap_or_default()
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.next_incarnation == other.next_incarnation
            && self.marks == other.marks
            && self.above == other.above
            && (Arc::ptr_eq(&self.keys, &other.keys) || self.keys == other.keys)
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries().map(|entry| (entry.shard.0, entry.applied_set));
        f.debug_map().entries(entries).finish()
    }
}
