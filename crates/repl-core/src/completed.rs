//! What is completed on one shard as a set of seqnos: all up to a mark, and ranges above it.

use crate::ids::{SeqNo, ShardId};
use crate::ranges::{Ranges, SeqRange};

/// What is completed above the marks of many shards: ascending, few but shards with any.
pub(crate) type Above = Vec<(ShardId, Box<[SeqRange]>)>;

/// The seqnos of one shard that are completed: all up to the mark, and ranges above it.
///
/// It is a value. An engine that keeps its progress in its own transaction writes what this will be
/// once a batch is completed, and after a restart gives it to
/// [`ApplyWindow::restore`](crate::ApplyWindow::restore):
/// ```
/// use repl_core::{AppliedSet, SeqRange};
///
/// let before = AppliedSet::new(10, [SeqRange::new(12, 13)]);
/// let after = before.with([15, 11]);
/// assert_eq!((after.mark(), after.above()), (13, &[SeqRange::new(15, 15)][..]));
/// assert!(after.contains(15) && !after.contains(14));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AppliedSet {
    mark: SeqNo,
    above: Box<[SeqRange]>,
}

impl AppliedSet {
    /// All up to `mark`, and what is in `above`: in any order, and overlapping if need be.
    pub fn new(mark: SeqNo, above: impl IntoIterator<Item = SeqRange>) -> Self {
        let mut ranges = Ranges::default();
        for range in std::iter::once(SeqRange::new(0, mark)).chain(above) {
            ranges.insert(range);
        }
        Self::of(&ranges)
    }

    /// For ranges that are in the form of [`above`](Self::above).
    pub(crate) fn in_form(mark: SeqNo, above: &[SeqRange]) -> Self {
        AppliedSet { mark, above: above.into() }
    }

    /// Everything up to here is completed.
    pub fn mark(&self) -> SeqNo {
        self.mark
    }

    /// What is completed above the mark: ascending ranges that touch neither the mark nor each
    /// other. So equal sets have equal ranges.
    pub fn above(&self) -> &[SeqRange] {
        &self.above
    }

    pub(crate) fn into_above(self) -> Box<[SeqRange]> {
        self.above
    }

    /// The highest seqno in the set.
    pub fn highest(&self) -> SeqNo {
        self.above.last().map_or(self.mark, |range| range.last)
    }

    /// Whether a seqno is in the set. O(log ranges).
    pub fn contains(&self, seqno: SeqNo) -> bool {
        let after = self.above.partition_point(|range| range.first <= seqno);
        let before = after.checked_sub(1).and_then(|i| self.above.get(i));
        seqno <= self.mark || before.is_some_and(|range| range.contains(seqno))
    }

    /// The set with some seqnos more. O(ranges).
    #[must_use]
    pub fn with(&self, seqnos: impl IntoIterator<Item = SeqNo>) -> Self {
        let added = seqnos.into_iter().map(|seqno| SeqRange::new(seqno, seqno));
        Self::new(self.mark, self.above.iter().copied().chain(added))
    }

    /// What is in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.mark, self.above.iter().copied().chain(other.ranges()))
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut ranges = Ranges::default();
        let (mut ours, mut theirs) = (self.ranges().peekable(), other.ranges().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            ranges.insert(SeqRange::new(a.first.max(b.first), a.last.min(b.last)));
            // The one that ends first meets nothing more.
            if a.last <= b.last {
                ours.next();
            } else {
                theirs.next();
            }
        }
        Self::of(&ranges)
    }

    /// Whether all that is in `other` is in this set.
    pub fn dominates(&self, other: &Self) -> bool {
        self.intersection(other) == *other
    }

    /// All of it as ranges, the first of which begins at 0.
    fn ranges(&self) -> impl Iterator<Item = SeqRange> + '_ {
        std::iter::once(SeqRange::new(0, self.mark)).chain(self.above.iter().copied())
    }

    fn of(ranges: &Ranges) -> Self {
        let mut ranges = ranges.iter();
        let mark = ranges.next().map_or(0, |range| range.last);
        AppliedSet { mark, above: ranges.collect() }
    }
}
