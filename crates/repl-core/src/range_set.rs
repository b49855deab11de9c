//! A set of sequence numbers, kept as disjoint ranges.

use std::collections::BTreeMap;

use crate::ids::SeqNo;
use crate::seq_range::SeqRange;

/// Disjoint ranges that do not touch, ascending. Equal sets have equal ranges.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RangeSet {
    /// By the first seqno of a range, its last.
    last_of: BTreeMap<SeqNo, SeqNo>,
}

impl RangeSet {
    /// Adds a range and joins it with what it overlaps or touches. O(log ranges), and as much for
    /// each range that is joined.
    pub(crate) fn insert(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        let (first, last) = (range.first(), range.last());
        // The range before: it is extended in place where the new one overlaps or touches it.
        let before = self.last_of.range_mut(..=first).next_back();
        if let Some((_, end)) = before.filter(|(_, end)| first <= end.saturating_add(1)) {
            if last <= *end {
                return;
            }
            *end = last;
            let last = self.join_after(first, last);
            if let Some((_, end)) = self.last_of.range_mut(..=first).next_back() {
                *end = last;
            }
            return;
        }
        let last = self.join_after(first, last);
        self.last_of.insert(first, last);
    }

    /// Takes out the ranges that begin above `first` and overlap or touch one that ends at `last`;
    /// returns where the joined range ends.
    fn join_after(&mut self, first: SeqNo, mut last: SeqNo) -> SeqNo {
        let Some(above) = first.checked_add(1) else { return last };
        while let Some((&start, &end)) = self.last_of.range(above..).next() {
            if start > last.saturating_add(1) {
                break;
            }
            self.last_of.remove(&start);
            last = last.max(end);
        }
        last
    }

    /// Takes out all that is in `range`.
    pub(crate) fn remove(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, &end)) = self.last_of.range(..=range.last()).next_back() {
            if end < range.first() {
                return;
            }
            if start < range.first() {
                self.last_of.insert(start, range.first() - 1);
            } else {
                self.last_of.remove(&start);
            }
            if end > range.last() {
                self.last_of.insert(range.last() + 1, end);
            }
        }
    }

    /// Takes out every number up to and including `mark`.
    pub(crate) fn remove_up_to(&mut self, mark: SeqNo) {
        while let Some(entry) = self.last_of.first_entry() {
            if *entry.key() > mark {
                return;
            }
            let last = entry.remove();
            if last > mark {
                self.last_of.insert(mark + 1, last);
                return;
            }
        }
    }

    /// Takes out the lowest range where it begins at `first`, and returns its end.
    pub(crate) fn take_first_at(&mut self, first: SeqNo) -> Option<SeqNo> {
        let entry = self.last_of.first_entry()?;
        (*entry.key() == first).then(|| entry.remove())
    }

    #[inline]
    pub(crate) fn contains(&self, seqno: SeqNo) -> bool {
        let before = self.last_of.range(..=seqno).next_back();
        before.is_some_and(|(_, last)| seqno <= *last)
    }

    /// Whether all of `range` is in the set.
    pub(crate) fn covers(&self, range: SeqRange) -> bool {
        let before = self.last_of.range(..=range.first()).next_back();
        range.is_empty() || before.is_some_and(|(_, last)| range.last() <= *last)
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<SeqRange> {
        self.last_of.first_key_value().map(|(first, last)| SeqRange::new(*first, *last))
    }

    /// The highest number in the set.
    pub(crate) fn highest(&self) -> Option<SeqNo> {
        self.last_of.last_key_value().map(|(_, last)| *last)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last_of.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.last_of.len()
    }

    /// The ranges, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SeqRange> + Clone + '_ {
        self.last_of.iter().map(|(first, last)| SeqRange::new(*first, *last))
    }
}

impl FromIterator<SeqRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = SeqRange>>(ranges: I) -> Self {
        let mut set = RangeSet::default();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &[(SeqNo, SeqNo)]) -> RangeSet {
        of.iter().map(|(first, last)| SeqRange::new(*first, *last)).collect()
    }

    fn ranges(set: &RangeSet) -> Vec<(SeqNo, SeqNo)> {
        set.iter().map(|range| (range.first(), range.last())).collect()
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_joined() {
        assert_eq!(ranges(&set(&[(5, 6), (9, 9), (7, 8)])), [(5, 9)]);
        assert_eq!(ranges(&set(&[(5, 6), (1, 20)])), [(1, 20)]);
        assert_eq!(ranges(&set(&[(1, 20), (5, 6)])), [(1, 20)]);
        assert_eq!(ranges(&set(&[(5, 6), (8, 9)])), [(5, 6), (8, 9)]);
        assert_eq!(ranges(&set(&[(5, 6), (8, 9), (12, 14), (6, 12)])), [(5, 14)]);
        let top = SeqNo::MAX;
        assert_eq!(ranges(&set(&[(top, top), (top - 1, top - 1), (3, 2)])), [(top - 1, top)]);
    }

    #[test]
    fn removing_cuts_ranges_at_both_ends() {
        let mut left = set(&[(5, 9), (12, 14), (20, 29)]);
        left.remove(SeqRange::new(8, 13));
        assert_eq!(ranges(&left), [(5, 7), (14, 14), (20, 29)]);
        left.remove(SeqRange::new(23, 25));
        assert_eq!(ranges(&left), [(5, 7), (14, 14), (20, 22), (26, 29)]);
        left.remove(SeqRange::EMPTY);
        left.remove(SeqRange::new(0, SeqNo::MAX));
        assert!(left.is_empty());
    }

    #[test]
    fn removing_up_to_a_mark_cuts_from_below() {
        let mut left = set(&[(5, 9), (12, 14)]);
        left.remove_up_to(6);
        assert_eq!(ranges(&left), [(7, 9), (12, 14)]);
        left.remove_up_to(13);
        assert_eq!(ranges(&left), [(14, 14)]);
        left.remove_up_to(SeqNo::MAX);
        assert!(left.is_empty());
    }
}
