//! Ranges of sequence numbers: what is completed above a mark.

use std::collections::BTreeMap;
use std::fmt;

use crate::ids::SeqNo;

/// The sequence numbers from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct SeqRange {
    /// The lowest.
    pub first: SeqNo,
    /// The highest; never below `first` in what this crate gives out.
    pub last: SeqNo,
}

impl SeqRange {
    /// The range of `first` to `last`, both included.
    pub fn new(first: SeqNo, last: SeqNo) -> Self {
        SeqRange { first, last }
    }

    /// Whether `seqno` is one of them.
    pub fn contains(&self, seqno: SeqNo) -> bool {
        self.first <= seqno && seqno <= self.last
    }

    /// Whether it holds nothing, as `first` is above `last`.
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

/// A set of sequence numbers as disjoint ranges that do not touch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ranges {
    last_of: BTreeMap<SeqNo, SeqNo>,
}

impl Ranges {
    /// Adds a range, and joins what touches it. An empty one changes nothing.
    pub(crate) fn insert(&mut self, range: SeqRange) {
        if range.is_empty() {
            return;
        }
        let SeqRange { mut first, mut last } = range;
        // From the highest start that may touch downward: each is absorbed, until one ends too low.
        while let Some((&start, &end)) = self.last_of.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.last_of.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.last_of.insert(first, last);
    }

    /// Whether all of `range` is in the set.
    pub(crate) fn cover(&self, range: SeqRange) -> bool {
        let before = self.last_of.range(..=range.first).next_back();
        before.is_some_and(|(_, last)| range.last <= *last)
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

    /// Takes out every number up to and including `mark`.
    pub(crate) fn forget_up_to(&mut self, mark: SeqNo) {
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

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SeqRange> + '_ {
        self.last_of.iter().map(|(first, last)| SeqRange::new(*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(SeqNo, SeqNo)]) -> Ranges {
        let mut ranges = Ranges::default();
        for (first, last) in of {
            ranges.insert(SeqRange::new(*first, *last));
        }
        ranges
    }

    fn all(ranges: &Ranges) -> Vec<(SeqNo, SeqNo)> {
        ranges.iter().map(|r| (r.first, r.last)).collect()
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        assert_eq!(all(&ranges(&[(5, 6), (9, 9), (7, 8)])), [(5, 9)]);
        assert_eq!(all(&ranges(&[(5, 6), (1, 20)])), [(1, 20)]);
        assert_eq!(all(&ranges(&[(1, 20), (5, 6)])), [(1, 20)]);
        assert_eq!(all(&ranges(&[(5, 6), (8, 9)])), [(5, 6), (8, 9)]);
        let top = SeqNo::MAX;
        assert_eq!(all(&ranges(&[(top, top), (top - 1, top - 1), (3, 2)])), [(top - 1, top)]);
    }

    #[test]
    fn what_is_forgotten_is_cut_off_below() {
        let mut left = ranges(&[(5, 9), (12, 14)]);
        left.forget_up_to(6);
        assert_eq!(all(&left), [(7, 9), (12, 14)]);
        left.forget_up_to(13);
        assert_eq!(all(&left), [(14, 14)]);
        left.forget_up_to(SeqNo::MAX);
        assert!(left.is_empty());
    }
}
