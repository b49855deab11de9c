//! An applied set agrees with a plain set of seqnos, and equal sets have equal ranges.

use std::collections::BTreeSet;

use proptest::prelude::*;
use repl_core::{AppliedSet, SeqRange};

/// The seqnos of the plain set are the `TOP` + 1 from a base on. All below the base are applied.
const TOP: u64 = 12;

/// Bases at which the plain set reaches seqno 0, and seqno `u64::MAX`.
const BASES: [u64; 3] = [0, 1_000, u64::MAX - TOP];

#[derive(Debug, Clone, Copy)]
enum Call {
    Insert(u64, u64),
    Remove(u64, u64),
}

/// Of ranges of which some are inverted.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let bounds = || (0..=TOP, -1..5_i64).prop_map(|(a, by)| (a, a.saturating_add_signed(by)));
    let bounds = || bounds().prop_map(|(first, last)| (first, last.min(TOP)));
    let call = prop_oneof![
        3 => bounds().prop_map(|(first, last)| Call::Insert(first, last)),
        2 => bounds().prop_map(|(first, last)| Call::Remove(first, last)),
    ];
    prop::collection::vec(call, 0..14)
}

/// A plain set that holds every seqno below `base`.
#[derive(Debug, Clone)]
struct Plain {
    base: u64,
    seqnos: BTreeSet<u64>,
}

impl Plain {
    fn new(base: u64) -> Self {
        Plain { base, seqnos: BTreeSet::from([base]) }
    }

    fn apply(&mut self, call: Call) {
        match call {
            Call::Insert(first, last) => {
                self.seqnos.extend((first..=last).map(|seqno| self.base + seqno));
            }
            Call::Remove(first, last) => {
                let removed = SeqRange::from(self.base + first..=self.base + last);
                self.seqnos.retain(|seqno| *seqno == 0 || !removed.contains(*seqno));
            }
        }
    }

    fn contains(&self, seqno: u64) -> bool {
        seqno < self.base || self.seqnos.contains(&seqno)
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        self.base..=self.base + TOP
    }

    fn mark(&self) -> u64 {
        let contiguous = self.all().take_while(|seqno| self.contains(*seqno));
        contiguous.last().unwrap_or(self.base.saturating_sub(1))
    }

    /// The ranges of the seqnos above the mark, up to `up_to`, for which `is_in` holds.
    fn ranges(&self, up_to: u64, is_in: impl Fn(u64) -> bool) -> Vec<SeqRange> {
        let mut ranges: Vec<SeqRange> = Vec::new();
        for seqno in self.all().filter(|n| *n > self.mark() && *n <= up_to && is_in(*n)) {
            match ranges.last_mut() {
                Some(last) if last.last() + 1 == seqno => {
                    *last = SeqRange::new(last.first(), seqno);
                }
                _ => ranges.push(seqno.into()),
            }
        }
        ranges
    }

    fn above(&self) -> Vec<SeqRange> {
        self.ranges(u64::MAX, |seqno| self.contains(seqno))
    }

    fn missing(&self, up_to: u64) -> Vec<SeqRange> {
        self.ranges(up_to, |seqno| !self.contains(seqno))
    }
}

/// A set and a plain set after the same calls.
fn both(base: u64, calls: &[Call]) -> (AppliedSet, Plain) {
    let (mut set, mut plain) = (AppliedSet::up_to(base), Plain::new(base));
    for call in calls {
        match *call {
            Call::Insert(first, last) => set.insert(base + first..=base + last),
            Call::Remove(first, last) => set.remove(base + first..=base + last),
        }
        plain.apply(*call);
    }
    (set, plain)
}

fn agree(set: &AppliedSet, plain: &Plain) -> Result<(), TestCaseError> {
    prop_assert_eq!(set.mark(), plain.mark(), "{:?}", set);
    prop_assert_eq!(set.above().collect::<Vec<_>>(), plain.above(), "{:?}", set);
    prop_assert_eq!(set.range_count(), plain.above().len());
    let highest = plain.seqnos.last().copied().unwrap_or(plain.mark());
    prop_assert_eq!(set.highest(), highest, "{:?}", set);
    for seqno in plain.all().chain([0, plain.base.saturating_sub(1)]) {
        prop_assert_eq!(set.contains(seqno), plain.contains(seqno), "{} in {:?}", seqno, set);
        let missing: Vec<_> = set.missing(seqno).collect();
        prop_assert_eq!(missing, plain.missing(seqno), "up to {} in {:?}", seqno, set);
    }
    Ok(())
}

proptest! {
    #[test]
    fn inserting_and_removing_agree_with_a_plain_set(
        base in prop::sample::select(&BASES[..]),
        calls in calls(),
    ) {
        for end in 0..=calls.len() {
            let (set, plain) = both(base, &calls[..end]);
            agree(&set, &plain)?;
        }
    }

    #[test]
    fn a_set_is_the_same_in_whatever_order_it_was_built(
        base in prop::sample::select(&BASES[..]),
        calls in calls(),
        rotation in 0..20_usize,
    ) {
        let (set, plain) = both(base, &calls);
        let mut seqnos: Vec<u64> = plain.seqnos.iter().copied().collect();
        if !seqnos.is_empty() {
            let rotation = rotation % seqnos.len();
            seqnos.rotate_left(rotation);
        }
        prop_assert_eq!(&AppliedSet::new(base.saturating_sub(1), seqnos.clone()), &set);
        let mut reversed = AppliedSet::up_to(base.saturating_sub(1));
        seqnos.iter().rev().for_each(|seqno| reversed.insert(*seqno));
        prop_assert_eq!(&reversed, &set);
        prop_assert_eq!(AppliedSet::new(set.mark(), set.above()), set);
    }

    #[test]
    fn union_intersection_and_is_superset_agree_with_plain_sets(
        base in prop::sample::select(&BASES[..]),
        ours in calls(),
        theirs in calls(),
    ) {
        let ((a, plain_a), (b, plain_b)) = (both(base, &ours), both(base, &theirs));
        let union = &plain_a.seqnos | &plain_b.seqnos;
        agree(&a.union(&b), &Plain { base, seqnos: union })?;
        prop_assert_eq!(a.union(&b), b.union(&a));
        let intersection = &plain_a.seqnos & &plain_b.seqnos;
        agree(&a.intersection(&b), &Plain { base, seqnos: intersection })?;
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.is_superset(&b), plain_a.seqnos.is_superset(&plain_b.seqnos));
        prop_assert_eq!(a.is_superset(&b), a.union(&b) == a);
        prop_assert!(a.union(&b).is_superset(&a) && a.is_superset(&a.intersection(&b)));
    }
}

#[test]
fn a_set_up_to_the_last_seqno_holds_everything() {
    let mut all = AppliedSet::up_to(u64::MAX);
    assert!(all.contains(0) && all.contains(u64::MAX));
    assert_eq!(all.missing(u64::MAX).count(), 0);
    assert_eq!((all.range_count(), all.highest()), (0, u64::MAX));
    all.insert(u64::MAX);
    all.insert(0..=u64::MAX);
    assert_eq!(all, AppliedSet::up_to(u64::MAX));
    assert_eq!(all, AppliedSet::new(0, [1..=u64::MAX]));
    let none = AppliedSet::default();
    assert!(all.is_superset(&none) && !none.is_superset(&all));
    assert_eq!((all.union(&none), all.intersection(&none)), (all.clone(), none.clone()));
    all.remove(u64::MAX);
    assert_eq!(all, AppliedSet::up_to(u64::MAX - 1));
    assert_eq!(all.missing(u64::MAX).collect::<Vec<_>>(), [SeqRange::from(u64::MAX)]);
    all.remove(0..=u64::MAX);
    assert_eq!(all, none);
}

#[test]
fn the_empty_set_holds_seqno_0_alone() {
    let mut none = AppliedSet::default();
    assert_eq!((none.mark(), none.highest(), none.range_count()), (0, 0, 0));
    assert!(none.contains(0) && !none.contains(1));
    assert_eq!(none.missing(0).count(), 0);
    assert_eq!(none.missing(u64::MAX).collect::<Vec<_>>(), [SeqRange::new(1, u64::MAX)]);
    none.remove(0);
    none.insert(0);
    none.insert(SeqRange::EMPTY);
    none.remove(SeqRange::EMPTY);
    assert_eq!(none, AppliedSet::default());
    none.insert(u64::MAX);
    assert_eq!((none.mark(), none.highest(), none.range_count()), (0, u64::MAX, 1));
    assert_eq!(none.missing(u64::MAX).collect::<Vec<_>>(), [SeqRange::new(1, u64::MAX - 1)]);
}

#[test]
fn removing_an_empty_range_changes_nothing() {
    let set = AppliedSet::new(5, [8..=9]);
    let mut left = set.clone();
    left.remove(SeqRange::EMPTY);
    left.remove(SeqRange::new(9, 3));
    assert_eq!(left, set);
}

#[test]
fn removing_seqno_0_changes_nothing() {
    for mark in [0, 1, 5, u64::MAX] {
        let mut set = AppliedSet::up_to(mark);
        set.remove(0);
        assert_eq!(set, AppliedSet::up_to(mark));
    }
}

#[test]
fn debug_output_shows_the_mark_and_the_ranges() {
    let set = AppliedSet::new(5, [8..=9, 12..=12]);
    assert_eq!(format!("{set:?}"), "..=5 + 8..=9 + 12..=12");
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;

    proptest! {
        #[test]
        fn any_set_is_read_back_as_it_was_written(
            base in prop::sample::select(&BASES[..]),
            calls in calls(),
        ) {
            let (set, _) = both(base, &calls);
            let text = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<AppliedSet>(&text).unwrap(), set);
        }
    }

    #[test]
    fn a_set_is_written_as_its_mark_and_its_ranges() {
        let text = serde_json::to_string(&AppliedSet::new(5, [8..=9])).unwrap();
        assert_eq!(text, r#"{"mark":5,"above":[{"first":8,"last":9}]}"#);
        assert_eq!(
            serde_json::to_string(&AppliedSet::default()).unwrap(),
            r#"{"mark":0,"above":[]}"#
        );
    }

    #[test]
    fn ranges_that_are_not_in_form_are_refused() {
        for (above, why) in [
            (r#"{"first":4,"last":9}"#, "below the mark"),
            (r#"{"first":6,"last":9}"#, "next to the mark"),
            (r#"{"first":8,"last":9},{"first":10,"last":11}"#, "touching"),
            (r#"{"first":8,"last":9},{"first":9,"last":11}"#, "overlapping"),
            (r#"{"first":8,"last":9},{"first":8,"last":9}"#, "twice the same"),
            (r#"{"first":20,"last":22},{"first":8,"last":9}"#, "descending"),
            (r#"{"first":1,"last":0}"#, "empty"),
        ] {
            let text = format!(r#"{{"mark":5,"above":[{above}]}}"#);
            let error = serde_json::from_str::<AppliedSet>(&text).unwrap_err().to_string();
            assert!(error.contains("the ranges above 5 overlap, touch"), "{why}: {error}");
        }
        for (text, why) in [
            (r#"{"mark":5}"#, "missing field"),
            (r#"{"mark":5,"above":[],"more":1}"#, "unknown field"),
            (r#"{"mark":5,"above":[{"first":9,"last":7}]}"#, "inverted"),
        ] {
            let error = serde_json::from_str::<AppliedSet>(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
