//! Sets of sequence numbers, kept as ranges.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use repl_core::SeqNo;

/// A set of sequence numbers as ranges that do not touch. Maps the first of each range to its last.
#[derive(Debug, Default)]
pub(crate) struct Spans(BTreeMap<SeqNo, SeqNo>);

impl Spans {
    pub(crate) fn insert(&mut self, range: RangeInclusive<SeqNo>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }

    /// Whether the whole range is in the set.
    pub(crate) fn covers(&self, range: RangeInclusive<SeqNo>) -> bool {
        let below = self.0.range(..=*range.start()).next_back();
        below.is_some_and(|(_, last)| range.end() <= last)
    }

    /// The last number of the range that begins at 0.
    pub(crate) fn prefix(&self) -> Option<SeqNo> {
        self.0.get(&0).copied()
    }

    pub(crate) fn highest(&self) -> Option<SeqNo> {
        self.0.last_key_value().map(|(_, last)| *last)
    }

    /// The ranges that begin above `mark`.
    pub(crate) fn above(&self, mark: SeqNo) -> impl Iterator<Item = RangeInclusive<SeqNo>> + '_ {
        self.0.range(mark.saturating_add(1)..).map(|(first, last)| *first..=*last)
    }
}

#[cfg(test)]
mod tests {
    use super::Spans;

    #[test]
    fn ranges_that_touch_are_merged() {
        let mut spans = Spans::default();
        for (first, last) in [(0, 3), (7, 8), (12, 12), (9, 8)] {
            spans.insert(first..=last);
        }
        assert_eq!((spans.prefix(), spans.highest()), (Some(3), Some(12)));
        assert_eq!(spans.above(3).collect::<Vec<_>>(), [7..=8, 12..=12]);
        assert!(spans.covers(7..=8) && !spans.covers(8..=9));
        spans.insert(4..=6);
        assert_eq!(spans.prefix(), Some(8));
        spans.insert(2..=20);
        assert_eq!((spans.prefix(), spans.highest()), (Some(20), Some(20)));
    }
}
