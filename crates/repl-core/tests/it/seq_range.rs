//! A range of seqnos is never inverted: there is one empty range.

use proptest::prelude::*;
use repl_core::SeqRange;

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "an inverted range is the case under test")]
fn inverted_bounds_give_the_empty_range() {
    for (first, last) in [(1, 0), (5, 3), (u64::MAX, 0), (u64::MAX, u64::MAX - 1)] {
        let range = SeqRange::new(first, last);
        assert_eq!(range, SeqRange::EMPTY, "{first}..={last}");
        assert_eq!(SeqRange::from(first..=last), SeqRange::EMPTY);
        assert!(range.is_empty());
        assert_eq!(range.len(), 0);
        assert!([0, 1, 2, first, last].iter().all(|seqno| !range.contains(*seqno)));
    }
    assert_eq!(SeqRange::EMPTY.to_string(), "1..=0");
    assert_eq!(SeqRange::from(9..=2), SeqRange::EMPTY);
}

#[test]
fn a_seqno_is_a_range_of_one() {
    for seqno in [0, 1, 7, u64::MAX] {
        let range = SeqRange::from(seqno);
        assert_eq!(range, SeqRange::new(seqno, seqno));
        assert_eq!((range.first(), range.last(), range.len()), (seqno, seqno, 1));
        assert!(range.contains(seqno) && !range.is_empty());
        assert!(!range.contains(seqno.wrapping_add(1)) && !range.contains(seqno.wrapping_sub(1)));
    }
}

#[test]
fn the_length_of_the_range_of_all_seqnos_saturates() {
    assert_eq!(SeqRange::new(0, u64::MAX).len(), u64::MAX);
    assert_eq!(SeqRange::new(1, u64::MAX).len(), u64::MAX);
    assert_eq!(SeqRange::new(0, u64::MAX - 2).len(), u64::MAX - 1);
    assert_eq!(SeqRange::new(3, 9).to_string(), "3..=9");
}

#[test]
fn a_range_that_was_iterated_to_its_end_is_empty() {
    let mut iterated = 3..=4;
    iterated.by_ref().for_each(drop);
    assert!(iterated.is_empty());
    assert_eq!(SeqRange::from(iterated), SeqRange::EMPTY);
}

fn bound() -> impl Strategy<Value = u64> {
    prop_oneof![0..12_u64, u64::MAX - 5..=u64::MAX]
}

proptest! {
    #[test]
    fn a_range_agrees_with_an_inclusive_range_of_std(
        first in bound(),
        last in bound(),
        seqno in bound(),
    ) {
        let (range, of_std) = (SeqRange::new(first, last), first..=last);
        prop_assert_eq!(range, SeqRange::from(of_std.clone()));
        prop_assert_eq!(range.contains(seqno), of_std.contains(&seqno));
        prop_assert_eq!(range.is_empty(), of_std.is_empty());
        if !range.is_empty() {
            prop_assert_eq!((range.first(), range.last()), (first, last));
            prop_assert_eq!(range.len(), (last - first).saturating_add(1));
        }
    }
}

#[cfg(feature = "serde")]
mod serde {
    use repl_core::SeqRange;

    #[test]
    fn a_range_is_written_as_its_bounds_and_read_back() {
        for range in [SeqRange::new(3, 5), SeqRange::from(u64::MAX), SeqRange::EMPTY] {
            let text = serde_json::to_string(&range).unwrap();
            let (first, last) = (range.first(), range.last());
            assert_eq!(text, format!("{{\"first\":{first},\"last\":{last}}}"));
            assert_eq!(serde_json::from_str::<SeqRange>(&text).unwrap(), range);
        }
    }

    #[test]
    fn inverted_bounds_are_refused() {
        for (text, why) in [
            (r#"{"first":5,"last":3}"#, "5..=3 is inverted"),
            (r#"{"first":2,"last":1}"#, "inverted"),
            (r#"{"first":1}"#, "missing field"),
            (r#"{"first":1,"last":2,"len":2}"#, "unknown field"),
            (r#"{"first":-1,"last":2}"#, "invalid value"),
        ] {
            let error = serde_json::from_str::<SeqRange>(text).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
