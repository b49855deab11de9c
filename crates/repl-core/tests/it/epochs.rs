//! Epochs ascend, a later one replaces what it begins at or below, and each question has an answer.

use repl_core::{EpochEnd, EpochOrder, EpochStart, Epochs, StaleEpoch};

fn start((epoch, first): (u64, u64)) -> EpochStart {
    EpochStart { epoch, first }
}

pub(crate) fn epochs<const N: usize>(starts: [(u64, u64); N]) -> Epochs {
    Epochs::new(starts.map(start)).unwrap()
}

#[test]
fn epochs_and_their_first_segments_both_ascend() {
    for (starts, wrong) in [
        ([(3, 100), (3, 120)], (3, 120)),
        ([(3, 100), (2, 120)], (2, 120)),
        ([(3, 100), (4, 100)], (4, 100)),
        ([(3, 100), (4, 99)], (4, 99)),
    ] {
        let order = EpochOrder { start: start(wrong) };
        assert_eq!(Epochs::new(starts.map(start)), Err(order));
    }
    let most = epochs([(0, 0), (1, 1), (u64::MAX, u64::MAX)]);
    assert_eq!((most.len(), most.latest()), (3, Some(start((u64::MAX, u64::MAX)))));
}

#[test]
fn an_epoch_replaces_those_that_begin_at_or_above_its_first_segment() {
    let three = epochs([(3, 100)]);
    let four = three.assign(start((4, 120))).unwrap();
    assert_eq!(four, epochs([(3, 100), (4, 120)]));
    let five = four.assign(start((5, 120))).unwrap();
    assert_eq!(five, epochs([(3, 100), (5, 120)]));
    assert_eq!(five.assign(start((6, 121))), Ok(epochs([(3, 100), (5, 120), (6, 121)])));
    assert_eq!(five.assign(start((6, 119))), Ok(epochs([(3, 100), (6, 119)])));
    assert_eq!(five.assign(start((6, 100))), Ok(epochs([(6, 100)])));
    assert_eq!(five.assign(start((6, 0))), Ok(epochs([(6, 0)])));
    assert_eq!(four, epochs([(3, 100), (4, 120)])); // a value, which nothing changes
}

#[test]
fn an_epoch_that_is_not_above_the_latest_is_refused() {
    let epochs = epochs([(3, 100), (5, 120)]);
    for epoch in [0, 3, 4, 5] {
        for first in [0, 100, 120, 200] {
            let stale = StaleEpoch { epoch, latest: 5 };
            assert_eq!(epochs.assign(start((epoch, first))), Err(stale));
        }
    }
}

#[test]
fn epoch_0_is_an_epoch_and_none_is_not_epoch_0() {
    let none = Epochs::default();
    assert!(none.is_empty() && none.latest().is_none() && none.as_slice().is_empty());
    assert_eq!(none, epochs([]));
    let zero = none.assign(start((0, 1))).unwrap();
    assert_eq!((zero.latest(), zero.len()), (Some(start((0, 1))), 1));
    assert_ne!(zero, none);
    assert_eq!(zero.assign(start((0, 5))), Err(StaleEpoch { epoch: 0, latest: 0 }));
    assert_eq!((zero.epoch_of(7), none.epoch_of(7)), (Some(0), None));
    assert_eq!(zero.end_of(0, 7), EpochEnd::At { epoch: 0, last: 7 });
    assert_eq!(none.end_of(0, 7), EpochEnd::AfterLatest);
}

#[test]
fn the_end_of_the_latest_an_older_an_unknown_and_an_epoch_before_the_first() {
    let epochs = epochs([(3, 100), (5, 120)]);
    let at = |epoch, last| EpochEnd::At { epoch, last };
    for (epoch, last, end) in [
        (5, 150, at(5, 150)),
        (5, 119, at(5, 119)), // it has no segment yet
        (4, 150, at(3, 119)), // between two: it has none
        (3, 150, at(3, 119)),
        (3, 110, at(3, 110)), // the log is shorter
        (6, 150, EpochEnd::AfterLatest),
        (u64::MAX, 150, EpochEnd::AfterLatest),
        (2, 150, EpochEnd::BeforeFirst { last: 99 }),
        (0, 150, EpochEnd::BeforeFirst { last: 99 }),
        (2, 50, EpochEnd::BeforeFirst { last: 50 }),
    ] {
        assert_eq!(epochs.end_of(epoch, last), end, "epoch {epoch}, last {last}");
    }
    let from_0 = self::epochs([(3, 0)]);
    assert_eq!(from_0.end_of(2, 9), EpochEnd::BeforeFirst { last: 0 });
}

#[test]
fn a_segment_is_of_the_last_epoch_that_begins_at_or_below_it() {
    let epochs = epochs([(3, 100), (5, 120)]);
    let of = |seqno| epochs.epoch_of(seqno);
    assert_eq!([99, 100, 119, 120, u64::MAX].map(of), [None, Some(3), Some(3), Some(5), Some(5)]);
}

#[test]
fn logs_have_everything_below_a_replaced_epoch_in_common() {
    let ours = epochs([(3, 100), (5, 120)]);
    let theirs = epochs([(3, 100), (4, 120)]);
    assert_eq!(ours.find_divergence(150, &theirs, 125), Some(119));
    assert_eq!(theirs.find_divergence(125, &ours, 150), Some(119));
    assert_eq!(ours.find_divergence(150, &ours, 125), Some(125));
    assert_eq!(ours.find_divergence(110, &theirs, 125), Some(110));
    // There is no segment 0 that could differ.
    let (a, b) = (epochs([(1, 0), (3, 1)]), epochs([(2, 0), (3, 1)]));
    assert_eq!(a.find_divergence(9, &b, 7), Some(7));
    let from_0 = epochs([(3, 0), (5, 120)]);
    assert_eq!(from_0.find_divergence(150, &epochs([(3, 0), (4, 120)]), 125), Some(119));
}

#[test]
fn no_common_segment_is_not_the_same_as_none_that_is_known() {
    let from_1 = [epochs([(3, 1)]), epochs([(4, 1)])];
    assert_eq!(from_1[0].find_divergence(9, &from_1[1], 9), Some(0));
    let later = epochs([(4, 2)]);
    assert_eq!(from_1[0].find_divergence(9, &later, 9), None); // segment 1 may be common
    let none = Epochs::default();
    assert_eq!(from_1[0].find_divergence(9, &none, 9), None);
    assert_eq!(none.find_divergence(9, &none, 9), None);
    for empty in [(0, 9), (9, 0), (0, 0)] {
        assert_eq!(from_1[0].find_divergence(empty.0, &none, empty.1), Some(0));
    }
}

#[test]
fn the_same_epoch_from_the_same_segment_has_one_history() {
    // Neither log has a segment of it yet.
    let ours = epochs([(5, 200)]);
    let theirs = epochs([(3, 100), (5, 200)]);
    assert_eq!(ours.find_divergence(180, &theirs, 190), Some(180));
    let other_first = epochs([(5, 195)]);
    assert_eq!(ours.find_divergence(180, &other_first, 190), None);
}

#[cfg(feature = "serde")]
#[test]
fn epochs_are_read_only_in_order() {
    let epochs = epochs([(3, 100), (5, 120)]);
    let text = serde_json::to_string(&epochs).unwrap();
    assert_eq!(text, r#"[{"epoch":3,"first":100},{"epoch":5,"first":120}]"#);
    assert_eq!(serde_json::from_str::<Epochs>(&text).unwrap(), epochs);
    let reversed = r#"[{"epoch":5,"first":120},{"epoch":3,"first":100}]"#;
    let refused = serde_json::from_str::<Epochs>(reversed).unwrap_err();
    assert!(refused.to_string().contains("epoch 3 from segment 100"), "{refused}");
    let more = r#"[{"epoch":5,"first":120,"last":130}]"#;
    assert!(serde_json::from_str::<Epochs>(more).is_err());
}
