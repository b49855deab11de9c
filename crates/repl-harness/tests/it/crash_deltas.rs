//! The enumeration reaches deltas, and catches every mutant of them.

use repl_harness::crash::{
    Config, Invariant, Mutant, Stage, StoreKind, deltas, lengths, try_mutant,
};

/// One crash and one failing call: for builds without optimization.
fn small() -> Config {
    Config { store: StoreKind::Slots, crashes: 1, stride: 97, ..Config::default() }
}

#[test]
fn crashes_of_deltas_pass() {
    let report = deltas(&small(), None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert_eq!(report.not_enumerated, 0);
    assert!(report.deltas > 500, "{report}");
    // The last save goes over a chain of seven sectors: each is old, new or garbage.
    assert!(report.contents > 3_u64.pow(7), "{report}");
    let files = deltas(&Config { store: StoreKind::Files, ..small() }, None, |_| ());
    assert_eq!((files.processes, files.deltas), (0, 0));
}

#[test]
fn deltas_of_exact_lengths_are_saved() {
    let report = lengths(&Config { faults: 0, ..small() }, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    // The first process of each of 18 triples of lengths saves some.
    assert!(report.deltas >= 2 * 18, "{report}");
}

#[test]
fn every_mutant_of_deltas_is_caught() {
    let expected = [
        (Mutant::DeltaOfNewest, Invariant::RecoveredWasWritten),
        (Mutant::RemovalsDropped, Invariant::RecoveredWasWritten),
        (Mutant::DeltaMisplaced, Invariant::AcknowledgedSurvives),
        (Mutant::NoDeltaSync, Invariant::AcknowledgedSurvives),
        (Mutant::LinkUnchecked, Invariant::RecoveredWasWritten),
        (Mutant::DeltaUnchecked, Invariant::RecoveredWasWritten),
        (Mutant::DamagedDeltaSkipped, Invariant::DamageIsReported),
        (Mutant::NoClosing, Invariant::AcknowledgedSurvives),
        (Mutant::ClosingUnchecked, Invariant::DamageIsReported),
    ];
    for (mutant, invariant) in expected {
        let caught = try_mutant(&small(), mutant, |_| ()).caught;
        let (_, violation) = caught.unwrap_or_else(|| panic!("{mutant:?} is not caught"));
        assert_eq!(violation.invariant, invariant, "{mutant:?}: {violation}");
    }
}

#[test]
fn a_delta_behind_a_chain_that_the_process_found_is_caught() {
    let two = Config { crashes: 2, faults: 0, ..small() };
    let caught = try_mutant(&two, Mutant::FoundExtended, |_| ()).caught;
    let (stage, violation) = caught.unwrap();
    assert_eq!(stage, Stage::Lengths);
    assert_eq!(violation.invariant, Invariant::RecoverySucceeds, "{violation}");
}

#[test]
fn a_delta_behind_the_newest_checkpoint_is_caught() {
    let caught = try_mutant(&small(), Mutant::DeltaOnNewest, |_| ()).caught;
    assert_eq!(caught.map(|(stage, _)| stage), Some(Stage::Lengths));
}

#[test]
fn deltas_that_stay_behind_a_newer_checkpoint_are_caught() {
    assert!(try_mutant(&small(), Mutant::OldDeltasLeft, |_| ()).caught.is_some());
}
