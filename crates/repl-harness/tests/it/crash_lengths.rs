//! Saves of exact lengths around those of pages.

use repl_harness::crash::{
    Config, Invariant, Mutant, Stage, StoreKind, explore, lengths, try_mutant,
};

/// The bytes of the closing checksum behind a checkpoint.
const CLOSING: usize = 10;

/// One crash and no failing call: for builds without optimization.
const SMALL: Config = Config {
    store: StoreKind::Slots,
    saves: 3,
    later_saves: 2,
    shards: 3,
    completed: [2, 0, 2],
    moved: [0; 8],
    turns: [usize::MAX; 3],
    lengths: [0; 3],
    deltas: [0; 3],
    crashes: 1,
    faults: 0,
    stride: 97,
    threads: 2,
    sector: 4096,
    prune: true,
};

#[test]
fn the_real_stores_pass_at_every_length() {
    for store in StoreKind::ALL.iter().copied() {
        let report = lengths(&Config { store, ..SMALL }, None, |_| ());
        assert!(report.violation.is_none(), "{store}: {report}");
        assert_eq!(report.not_enumerated, 0);
        assert!(report.distinct > 1000, "{store}: {report}");
    }
}

#[test]
fn unused_bytes_that_end_a_byte_early_are_seen_only_at_a_page_and_a_byte() {
    let wrong = Some(Mutant::ShortZeros);
    assert!(explore(&SMALL, wrong, |_| ()).violation.is_none());
    let of = |lengths: [usize; 3]| {
        let lengths = lengths.map(|closed| closed - CLOSING);
        explore(&Config { lengths, ..SMALL }, wrong, |_| ()).violation
    };
    assert_eq!(of([4096, 4095, 4095]).map(|violation| violation.invariant), None);
    assert_eq!(of([4098, 4096, 4096]).map(|violation| violation.invariant), None);
    for lengths in [[4097, 4096, 4096], [4097, 4096, 4000], [8193, 8192, 4000]] {
        let violation = of(lengths).unwrap();
        assert_eq!(violation.invariant, Invariant::RecoverySucceeds, "{lengths:?}: {violation}");
    }
    let trial = try_mutant(&SMALL, Mutant::ShortZeros, |_| ());
    assert_eq!(trial.caught.map(|(stage, _)| stage), Some(Stage::Lengths));
}

/// A length that the marks do not leave room for is an error, and no shorter checkpoint.
#[test]
fn an_impossible_length_is_no_silent_pass() {
    let impossible = Config { lengths: [100; 3], ..SMALL };
    let violation = explore(&impossible, None, |_| ()).violation.unwrap();
    assert_eq!(violation.invariant, Invariant::NextSaveSucceeds, "{violation}");
}
