//! What is completed on one shard as a set of seqnos: all up to a mark, and ranges above it.

use crate::ids::{SeqNo, ShardId};
use crate::ranges::{Ranges, SeqRange};

/// What is completed above the marks of many shards: ascending, only shards with any.
pub(crate) type Above = Vec<(ShardId, Box<[SeqRange]>)>;

/// A mark and the ranges above it: ascending, none touching the mark or another. So equal sets are
/// equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) mark: SeqNo,
    pub(crate) above: Box<[SeqRange]>,
}

impl Completed {
    pub(crate) fn new(mark: SeqNo, above: &[SeqRange]) -> Self {
        Completed { mark, above: above.into() }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut ranges = Ranges::default();
        self.ranges().chain(other.ranges()).for_each(|range| ranges.insert(range));
        Self::of(&ranges)
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
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

    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.intersection(other) == *other
    }

    /// All of it as ranges, the first of which begins at 0.
    fn ranges(&self) -> impl Iterator<Item = SeqRange> + '_ {
        std::iter::once(SeqRange::new(0, self.mark)).chain(self.above.iter().copied())
    }

    fn of(ranges: &Ranges) -> Self {
        let mut ranges = ranges.iter();
        let mark = ranges.next().map_or(0, |range| range.last);
        Completed { mark, above: ranges.collect() }
    }
}
