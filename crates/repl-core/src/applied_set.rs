//! The sequence numbers of one shard that are applied.

use std::fmt;

use crate::ids::SeqNo;
use crate::range_set::RangeSet;
use crate::seq_range::SeqRange;

/// The seqnos of one shard that are applied: all up to a mark, and ranges above it.
///
/// It is a plain value. An engine that keeps its progress in its own transaction takes the set that
/// it committed last, inserts the batch, and commits set and batch together, one batch at a time.
/// After a restart it restores the state from it: [`SnapshotEntry::new`], [`Snapshot`],
/// [`ReplicationState::restore`].
///
/// [`SnapshotEntry::new`]: crate::SnapshotEntry::new
/// [`Snapshot`]: crate::Snapshot
/// [`ReplicationState::restore`]: crate::ReplicationState::restore
///
/// ```
/// use repl_core::{AppliedSet, SeqRange};
///
/// let mut applied = AppliedSet::new(10, [12..=13]);
/// applied.insert(15);
/// applied.insert(11);
/// assert_eq!(applied.mark(), 13);
/// assert_eq!(applied.above().collect::<Vec<_>>(), [SeqRange::from(15)]);
/// assert_eq!(applied.missing(17).collect::<Vec<_>>(), [SeqRange::from(14), (16..=17).into()]);
/// assert!(applied.contains(15) && !applied.contains(14));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "as_read::Fields", into = "as_read::Fields"))]
pub struct AppliedSet {
    mark: SeqNo,
    /// Neither at nor below the mark, and not next to it.
    above: RangeSet,
}

impl AppliedSet {
    /// Creates the set of all seqnos up to `mark` and of those in `ranges`, which may come in any
    /// order and overlap.
    pub fn new<R: Into<SeqRange>>(mark: SeqNo, ranges: impl IntoIterator<Item = R>) -> Self {
        let mut set = Self::up_to(mark);
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }

    /// Creates the set of all seqnos up to `mark`.
    #[inline]
    pub fn up_to(mark: SeqNo) -> Self {
        AppliedSet { mark, above: RangeSet::default() }
    }

    pub(crate) fn from_parts(mark: SeqNo, mut above: RangeSet) -> Self {
        above.remove_up_to(mark);
        let mut set = AppliedSet { mark, above };
        set.advance_mark();
        set
    }

    /// Returns the mark: every seqno up to and including it is in the set.
    pub fn mark(&self) -> SeqNo {
        self.mark
    }

    /// Returns the ranges above the mark, ascending. They touch neither the mark nor each other, so
    /// equal sets have equal ranges.
    pub fn above(&self) -> impl Iterator<Item = SeqRange> + Clone + '_ {
        self.above.iter()
    }

    #[inline]
    pub(crate) fn into_ranges_above(self) -> RangeSet {
        self.above
    }

    /// Returns the number of ranges above the mark.
    pub fn range_count(&self) -> usize {
        self.above.len()
    }

    /// Returns the highest seqno in the set.
    pub fn highest(&self) -> SeqNo {
        self.above.highest().unwrap_or(self.mark)
    }

    /// Returns whether `seqno` is in the set. O(log ranges).
    #[inline]
    pub fn contains(&self, seqno: SeqNo) -> bool {
        seqno <= self.mark || self.above.contains(seqno)
    }

    /// Adds a seqno or a range of them; the mark moves up if that closes the gap above it.
    ///
    /// O(log ranges), and as much for each range that is joined with it.
    pub fn insert(&mut self, range: impl Into<SeqRange>) {
        let range = range.into();
        if range.last() <= self.mark {
            return;
        }
        if range.first() <= self.mark.saturating_add(1) {
            self.mark = range.last();
            self.above.remove_up_to(self.mark);
            self.advance_mark();
        } else {
            self.above.insert(range);
        }
    }

    /// Takes out a seqno or a range of them.
    ///
    /// If the mark is at or above the first seqno of the range, it falls to just below it. Seqno 0
    /// stays: it means that nothing is applied.
    ///
    /// O(log ranges), and as much for each range that is taken out.
    pub fn remove(&mut self, range: impl Into<SeqRange>) {
        let range = range.into();
        let range = SeqRange::new(range.first().max(1), range.last());
        if range.is_empty() {
            return;
        }
        if range.first() <= self.mark {
            if range.last() < self.mark {
                self.above.insert(SeqRange::new(range.last() + 1, self.mark));
            }
            self.mark = range.first() - 1;
        }
        self.above.remove(range);
    }

    /// Returns the ranges of seqnos up to and including `up_to` that are not in the set, ascending.
    pub fn missing(&self, up_to: SeqNo) -> impl Iterator<Item = SeqRange> + Clone + '_ {
        let mut below = self.mark;
        let mut above = self.above.iter();
        std::iter::from_fn(move || {
            if below >= up_to {
                return None;
            }
            let first = below + 1;
            let next = above.next().filter(|next| next.first() <= up_to);
            below = next.map_or(SeqNo::MAX, |next| next.last());
            Some(SeqRange::new(first, next.map_or(up_to, |next| next.first() - 1)))
        })
    }

    /// Returns the set of what is in either set. O(ranges).
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut larger, smaller) = if self.above.len() < other.above.len() {
            (other.clone(), self)
        } else {
            (self.clone(), other)
        };
        larger.insert(0..=smaller.mark);
        smaller.above().for_each(|range| larger.insert(range));
        larger
    }

    /// Returns the set of what is in both sets. O(ranges).
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::up_to(self.mark.min(other.mark));
        let (mut ours, mut theirs) = (self.all().peekable(), other.all().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            both.insert(SeqRange::new(a.first().max(b.first()), a.last().min(b.last())));
            // The range that ends first overlaps no later one.
            if a.last() <= b.last() {
                ours.next();
            } else {
                theirs.next();
            }
        }
        both
    }

    /// Returns whether everything in `other` is in this set. O(ranges of `other` x log ranges).
    pub fn is_superset(&self, other: &Self) -> bool {
        // A range of `other` that begins at or below the mark and ends above it holds the seqno after
        // the mark, which is in no range.
        other.all().all(|range| range.last() <= self.mark || self.above.covers(range))
    }

    /// All of it as ranges, the first of which begins at 0.
    fn all(&self) -> impl Iterator<Item = SeqRange> + '_ {
        std::iter::once(SeqRange::new(0, self.mark)).chain(self.above())
    }

    /// Moves the mark over the range next to it.
    fn advance_mark(&mut self) {
        let next = self.mark.checked_add(1);
        if let Some(last) = next.and_then(|next| self.above.take_first_at(next)) {
            self.mark = last;
        }
    }
}

impl fmt::Debug for AppliedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "..={}", self.mark)?;
        self.above().try_for_each(|range| write!(f, " + {range}"))
    }
}

/// How a set is written and read.
#[cfg(feature = "serde")]
mod as_read {
    use super::{AppliedSet, SeqNo, SeqRange};

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename = "AppliedSet", deny_unknown_fields)]
    pub(super) struct Fields {
        mark: SeqNo,
        above: Vec<SeqRange>,
    }

    impl From<AppliedSet> for Fields {
        fn from(set: AppliedSet) -> Self {
            Fields { mark: set.mark, above: set.above().collect() }
        }
    }

    impl TryFrom<Fields> for AppliedSet {
        type Error = String;

        fn try_from(Fields { mark, above }: Fields) -> Result<Self, String> {
            let set = AppliedSet::new(mark, above.iter().copied());
            if set.mark == mark && set.above().eq(above) {
                Ok(set)
            } else {
                Err(format!("the ranges above {mark} overlap, touch or do not ascend"))
            }
        }
    }
}
