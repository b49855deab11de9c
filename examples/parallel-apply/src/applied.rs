//! Which records are applied?

use repl_core::{SeqNo, SeqRange, Shard};

/// A set of seqnos: all up to the mark, and ranges above it, ascending, that touch neither each
/// other nor the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Everything up to here.
    pub mark: SeqNo,
    /// What is completed above the mark.
    pub above: Vec<SeqRange>,
}

impl Applied {
    /// What a shard and its window hold as completed.
    pub fn of(shard: &Shard) -> Applied {
        let (mark, above) = shard.completed();
        Applied { mark, above: above.into() }
    }

    /// The same set, and `seqnos`.
    #[must_use]
    pub fn with(&self, seqnos: impl IntoIterator<Item = SeqNo>) -> Applied {
        let added = seqnos.into_iter().map(|seqno| SeqRange::new(seqno, seqno));
        let mut ranges: Vec<SeqRange> = self.above.iter().copied().chain(added).collect();
        ranges.sort_unstable();
        let mut after = Applied { mark: self.mark, above: Vec::new() };
        for range in ranges {
            let end = after.above.last_mut().map_or(&mut after.mark, |before| &mut before.last);
            if range.first <= end.saturating_add(1) {
                *end = range.last.max(*end);
            } else {
                after.above.push(range);
            }
        }
        after
    }

    /// Whether `seqno` is in the set.
    pub fn contains(&self, seqno: SeqNo) -> bool {
        seqno <= self.mark || self.above.iter().any(|range| range.contains(seqno))
    }

    /// How many there are above the mark.
    pub fn above_mark(&self) -> u64 {
        self.above.iter().map(|range| range.last.saturating_sub(range.first) + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::below;

    #[test]
    fn a_set_that_grows_in_any_order_holds_what_was_put_into_it_and_keeps_its_form() {
        for seed in 0..300 {
            let (mut set, mut model) =
                (Applied { mark: 0, above: vec![] }, BTreeSet::<SeqNo>::new());
            for step in 0..12 {
                let batch: Vec<SeqNo> = (0..4).map(|i| 1 + below(40, &[seed, step, i])).collect();
                model.extend(&batch);
                set = set.with(batch);
                assert!((1..=41).all(|seqno| set.contains(seqno) == model.contains(&seqno)));
                let ends = set.above.iter().flat_map(|r| [r.first, r.last]);
                let ends: Vec<SeqNo> = [set.mark].into_iter().chain(ends).collect();
                assert!(ends.chunks(2).all(|end| end.len() < 2 || end[0] + 1 < end[1]), "{set:?}");
                assert_eq!(set.mark + set.above_mark(), model.len() as u64);
            }
        }
    }
}
