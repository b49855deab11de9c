//! The enumeration passes the real protocols and catches every mutant.

use repl_harness::crash::{
    Config, Invariant, Mutant, Report, Stage, StoreKind, damage, explore, random, replaced, suite,
    try_mutant,
};

/// Checkpoints of one sector: for builds without optimization.
fn small(store: StoreKind) -> Config {
    // A slot file has 131,072 bits.
    let stride = if store == StoreKind::Slots { 97 } else { 1 };
    Config { store, saves: 2, shards: 3, crashes: 2, stride, ..Config::default() }
}

/// A save in the first process, and a crash.
fn smallest(store: StoreKind) -> Config {
    Config { saves: 1, later_saves: 1, crashes: 1, ..small(store) }
}

#[test]
fn the_real_protocols_pass() {
    for store in StoreKind::ALL.iter().copied() {
        let report = explore(&small(store), None, |_| ());
        assert!(report.violation.is_none(), "{store}: {report}");
        assert_eq!(report.not_enumerated, 0);
        assert!(report.distinct > 1000 && report.images > report.distinct, "{store}: {report}");
    }
}

#[test]
fn every_state_of_a_slot_of_four_sectors_is_tried() {
    let config = Config { crashes: 1, later_saves: 1, faults: 0, ..Config::default() };
    let report = explore(&Config { store: StoreKind::Slots, ..config }, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    // Two saves in place: four sectors are old, new or garbage, and four are zeros or garbage.
    assert!(report.contents >= 2 * 3_u64.pow(4) * 2_u64.pow(4), "{report}");
}

#[test]
fn a_save_that_no_longer_fits_its_slot_passes() {
    // The third save needs a larger slot. Larger sectors keep their number small.
    let outgrown = Config {
        saves: 3,
        shards: 28,
        completed: [0, 0, 60],
        sector: 4096,
        ..small(StoreKind::Slots)
    };
    let report = explore(&outgrown, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    let small = explore(&Config { completed: [0; 3], ..outgrown }, None, |_| ());
    assert_ne!(report.crash_points, small.crash_points);
}

#[test]
fn damage_is_reported_or_survived() {
    for (store, images) in [(StoreKind::Files, 1000), (StoreKind::Slots, 1000)] {
        let report = damage(&small(store), None);
        assert!(report.violation.is_none(), "{store}: {report}");
        assert!(report.images > images, "{store}: {report}");
    }
}

#[test]
fn a_store_acknowledges_nothing_after_its_files_were_replaced() {
    for store in StoreKind::ALL.iter().copied() {
        let report = replaced(store, None);
        assert!(report.violation.is_none(), "{store}: {report}");
        assert!(report.cases > 30, "{store}: {report}");
    }
}

/// Asserts that every mutant of a store is caught, some of them by a given promise.
fn all_are_caught(config: &Config, expected: &[(Mutant, Invariant)]) {
    let of_store = |mutant: &&Mutant| mutant.stores().contains(&config.store);
    // Here, what catches it comes last. Among the deltas, there is a test of it alone.
    let is_slow = |mutant: &Mutant| *mutant == Mutant::DeltaOnNewest;
    let of_store = Mutant::ALL.iter().filter(of_store).copied();
    let wrong: Vec<Mutant> = of_store.filter(|mutant| !is_slow(mutant)).collect();
    assert!(wrong.len() >= 24 && expected.iter().all(|(mutant, _)| wrong.contains(mutant)));
    let mut missed = Vec::new();
    for mutant in wrong {
        let caught = try_mutant(config, mutant, |_| ()).caught;
        let broken = caught.as_ref().map(|(_, violation)| violation.invariant);
        let expected = expected.iter().find(|(wrong, _)| *wrong == mutant);
        if broken.is_none() || expected.is_some_and(|(_, invariant)| broken != Some(*invariant)) {
            missed.push((mutant, caught));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_mutant_of_a_file_store_is_caught() {
    let expected = [
        (Mutant::NoFileSync, Invariant::RecoverySucceeds),
        (Mutant::NoDirSync, Invariant::MarkerStays),
        (Mutant::ReturnsBeforeDirSync, Invariant::MarkerStays),
        (Mutant::NoTempCleanup, Invariant::OpenRemovesTemps),
        (Mutant::TempReused, Invariant::TempsOnlyRemoved),
        (Mutant::OneTempName, Invariant::NextSaveSucceeds),
        (Mutant::NoLock, Invariant::OneOwner),
        (Mutant::LockUnchecked, Invariant::OneOwner),
        (Mutant::DirUnchecked, Invariant::AcknowledgedSurvives),
        (Mutant::FileUnchecked, Invariant::AcknowledgedSurvives),
        (Mutant::NoMarker, Invariant::MarkerStays),
        (Mutant::MarkerFirst, Invariant::RecoverySucceeds),
        (Mutant::MarkerUnsynced, Invariant::MarkerStays),
        (Mutant::MarkerKept, Invariant::MarkerStays),
        (Mutant::InDoubtHidden, Invariant::NotSavedIsAbsent),
        (Mutant::NoChecksum, Invariant::RecoveredWasWritten),
        (Mutant::CorruptSkipped, Invariant::DamageIsReported),
        (Mutant::OneGeneration, Invariant::OneDamageSurvived),
        (Mutant::FloorsAtOpen, Invariant::FloorsHold),
        (Mutant::FailedFlushSaved, Invariant::OnlyFlushedIsSaved),
        (Mutant::SupersededSaved, Invariant::OnlyFlushedIsSaved),
        (Mutant::DoubtfulGenerationReused, Invariant::GenerationsRise),
        (Mutant::OthersPassedOver, Invariant::ReopenFindsOwn),
        (Mutant::FloorsAtReopen, Invariant::FloorsWaitAfterReopen),
        (Mutant::FloorOfNewest, Invariant::FloorsWaitAfterReopen),
    ];
    all_are_caught(&small(StoreKind::Files), &expected);
}

#[test]
fn every_mutant_of_a_slot_store_is_caught() {
    let expected = [
        (Mutant::NoFileSync, Invariant::RecoverySucceeds),
        (Mutant::NoDirSync, Invariant::MarkerStays),
        (Mutant::NoDataSync, Invariant::AcknowledgedSurvives),
        (Mutant::RetryDataSync, Invariant::AcknowledgedSurvives),
        (Mutant::StaleTail, Invariant::RecoverySucceeds),
        (Mutant::ShortZeros, Invariant::RecoverySucceeds),
        (Mutant::FirstSaveInPlace, Invariant::RecoverySucceeds),
        (Mutant::FailedWriteHidden, Invariant::NotSavedIsAbsent),
        (Mutant::TornSlotFatal, Invariant::RecoverySucceeds),
        (Mutant::LockUnchecked, Invariant::OneOwner),
        (Mutant::DirUnchecked, Invariant::AcknowledgedSurvives),
        (Mutant::FileUnchecked, Invariant::AcknowledgedSurvives),
        (Mutant::FileCheckedEarly, Invariant::AcknowledgedSurvives),
        (Mutant::NoMarker, Invariant::MarkerStays),
        (Mutant::MarkerFirst, Invariant::RecoverySucceeds),
        (Mutant::MarkerUnsynced, Invariant::MarkerStays),
        (Mutant::MarkerKept, Invariant::MarkerStays),
        (Mutant::TwoTornAccepted, Invariant::FloorsHold),
        (Mutant::EmptyIsAbsent, Invariant::DamageIsReported),
        (Mutant::TailUnchecked, Invariant::DamageIsReported),
        (Mutant::PageUnchecked, Invariant::DamageIsReported),
        (Mutant::FailedFlushSaved, Invariant::OnlyFlushedIsSaved),
        (Mutant::SupersededSaved, Invariant::OnlyFlushedIsSaved),
        (Mutant::DoubtfulGenerationReused, Invariant::GenerationsRise),
        (Mutant::OthersPassedOver, Invariant::ReopenFindsOwn),
        (Mutant::FloorsAtReopen, Invariant::FloorsWaitAfterReopen),
        (Mutant::FloorOfNewest, Invariant::FloorsWaitAfterReopen),
    ];
    // An unsynced new file has 32 small sectors, too many to enumerate, or 4 large ones.
    all_are_caught(&Config { saves: 3, sector: 4096, ..small(StoreKind::Slots) }, &expected);
}

#[test]
fn a_violation_shows_the_calls_that_lead_to_it() {
    for (store, renamed) in
        [(StoreKind::Files, "00000000000000000001"), (StoreKind::Slots, "marks.slots")]
    {
        let wrong = try_mutant(&small(store), Mutant::NoDirSync, |_| ());
        let (stage, violation) = wrong.caught.unwrap();
        assert_eq!(stage, Stage::Crashes { crashes: 1, faults: 0 });
        let text = violation.to_string();
        for line in ["create_dir /data", &format!("rename {renamed}"), "-- a crash leaves"] {
            assert!(text.contains(line), "{text}");
        }
    }
}

/// Asserts that an enumeration without any pruning has the same result, and returns it. With sectors
/// of a page, a new slot file has few enough contents.
fn pruning_changes_nothing(pruned: &Config, wrong: &[(Mutant, usize)]) -> Report {
    let whole = Config { prune: false, ..*pruned };
    let report = explore(&whole, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert!(report.distinct > explore(pruned, None, |_| ()).distinct, "{report}");
    for (mutant, faults) in wrong.iter().copied() {
        let broken = |config: &Config| {
            let report = explore(&Config { faults, ..*config }, Some(mutant), |_| ());
            report.violation.map(|violation| violation.invariant)
        };
        let found = broken(&whole);
        assert!(found.is_some() && found == broken(pruned), "{mutant:?}: {found:?}");
    }
    report
}

#[test]
fn pruning_changes_no_result_of_a_file_store() {
    let pruned = Config { crashes: 2, ..smallest(StoreKind::Files) };
    let wrong = [(Mutant::NoFileSync, 0), (Mutant::NoDirSync, 0), (Mutant::RetryFileSync, 1)];
    pruning_changes_nothing(&pruned, &wrong);
}

#[test]
fn pruning_changes_no_result_of_a_slot_store() {
    let pruned = Config { saves: 2, faults: 0, sector: 4096, ..smallest(StoreKind::Slots) };
    let wrong = [(Mutant::NoFileSync, 0), (Mutant::NoDirSync, 0), (Mutant::NoDataSync, 0)];
    pruning_changes_nothing(&pruned, &wrong);
}

#[test]
fn pruning_changes_no_result_where_saves_are_deltas() {
    let deltas = Config { saves: 4, shards: 14, moved: [1; 8], ..smallest(StoreKind::Slots) };
    let pruned = Config { completed: [0; 3], faults: 0, sector: 4096, ..deltas };
    let wrong = [(Mutant::DeltaOnNewest, 0), (Mutant::DeltaMisplaced, 0), (Mutant::NoDeltaSync, 0)];
    let whole = pruning_changes_nothing(&pruned, &wrong);
    assert_eq!(whole.deltas, 2, "{whole}");
}

#[test]
fn the_number_of_threads_changes_no_figure() {
    for store in StoreKind::ALL.iter().copied() {
        let one = explore(&Config { threads: 1, ..small(store) }, None, |_| ());
        let four = explore(&Config { threads: 4, ..small(store) }, None, |_| ());
        assert_eq!((one.images, one.distinct), (four.images, four.distinct), "{store}");
        assert_eq!((one.crash_points, one.contents), (four.crash_points, four.contents), "{store}");
    }
}

#[test]
fn random_chains_pass_and_depend_on_their_seed_alone() {
    for store in StoreKind::ALL.iter().copied() {
        let report = random(store, 7, 40, None);
        assert!(report.violation.is_none(), "{report}");
        assert!(report.processes > 80);
        assert_eq!(report.processes, random(store, 7, 40, None).processes);
        let wrong = random(store, 7, 200, Some(Mutant::NoDirSync));
        assert!(wrong.violation.is_some(), "{wrong}");
    }
}

#[test]
fn the_suite_fails_if_a_mutant_is_not_caught() {
    // Without failing calls no run shows that a failed sync is tried again.
    let blind = Config { faults: 0, sector: 4096, stride: 997, ..smallest(StoreKind::Files) };
    let report = suite(&blind, |_, _| ());
    assert!(report.stores.iter().all(|store| store.crashes.violation.is_none()));
    assert_eq!(report.stores.len(), StoreKind::ALL.len());
    assert!(!report.passed());
}
