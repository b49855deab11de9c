//! The enumeration passes the right protocols and catches every wrong one.

use repl_harness::crash::{
    Config, Invariant, Sabotage, Stage, Store, damage, explore, random, suite, try_wrong,
};

/// One sector: for builds that are not optimized.
fn small(store: Store) -> Config {
    // A slot file has 131,072 bits.
    let stride = if store == Store::Slots { 97 } else { 1 };
    Config { store, saves: 2, shards: 3, crashes: 2, stride, ..Config::default() }
}

/// A save in the first process, and a crash.
fn smallest(store: Store) -> Config {
    Config { saves: 1, later_saves: 1, crashes: 1, ..small(store) }
}

#[test]
fn the_right_protocols_pass() {
    for store in Store::ALL.iter().copied() {
        let report = explore(&small(store), None, |_| ());
        assert!(report.violation.is_none(), "{store}: {report}");
        assert_eq!(report.not_enumerated, 0);
        assert!(report.distinct > 1000 && report.images > report.distinct, "{store}: {report}");
    }
}

#[test]
fn slots_of_four_sectors_are_left_in_every_way() {
    let config = Config { crashes: 1, later_saves: 1, faults: 0, ..Config::default() };
    let report = explore(&Config { store: Store::Slots, ..config }, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    // Two saves in place: four sectors old, new or garbage, and four that are zeros or garbage.
    assert!(report.contents >= 2 * 3_u64.pow(4) * 2_u64.pow(4), "{report}");
}

#[test]
fn a_slot_file_that_its_checkpoints_outgrow_passes() {
    // The third save needs a larger slot; a device of larger sectors, as there are more of them.
    let outgrown =
        Config { saves: 3, shards: 28, completed: [0, 0, 60], sector: 4096, ..small(Store::Slots) };
    let report = explore(&outgrown, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    let small = explore(&Config { completed: [0; 3], ..outgrown }, None, |_| ());
    assert_ne!(report.crash_points, small.crash_points);
}

#[test]
fn damage_is_reported_or_survived() {
    for (store, images) in [(Store::Files, 1000), (Store::Slots, 1000)] {
        let report = damage(&small(store), None);
        assert!(report.violation.is_none(), "{store}: {report}");
        assert!(report.images > images, "{store}: {report}");
    }
}

/// Tries every sabotage of a store: each must be caught, and some by this promise.
fn all_are_caught(config: &Config, expected: &[(Sabotage, Invariant)]) {
    let of_store = |sabotage: &&Sabotage| sabotage.stores().contains(&config.store);
    let wrong: Vec<Sabotage> = Sabotage::ALL.iter().filter(of_store).copied().collect();
    assert!(wrong.len() >= 24 && expected.iter().all(|(sabotage, _)| wrong.contains(sabotage)));
    let mut missed = Vec::new();
    for sabotage in wrong {
        let caught = try_wrong(config, sabotage, |_| ()).caught;
        let broken = caught.as_ref().map(|(_, violation)| violation.invariant);
        let expected = expected.iter().find(|(wrong, _)| *wrong == sabotage);
        if broken.is_none() || expected.is_some_and(|(_, invariant)| broken != Some(*invariant)) {
            missed.push((sabotage, caught));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_sabotage_of_a_file_store_is_caught() {
    let expected = [
        (Sabotage::NoFileSync, Invariant::RecoveryAnswers),
        (Sabotage::NoDirSync, Invariant::AcknowledgedSurvives),
        (Sabotage::MarksBeforeStep5, Invariant::AcknowledgedSurvives),
        (Sabotage::NoTempCleanup, Invariant::NoTempOutlivesOpen),
        (Sabotage::TempAdopted, Invariant::FoundTempsUnread),
        (Sabotage::OneTempName, Invariant::NextSaveWorks),
        (Sabotage::NoLock, Invariant::OneOwner),
        (Sabotage::DoubtHidden, Invariant::NotSavedLeavesOld),
        (Sabotage::NoChecksum, Invariant::NothingUnwritten),
        (Sabotage::DamagedSkipped, Invariant::DamageIsReported),
        (Sabotage::OneGeneration, Invariant::OneDamageSurvived),
        (Sabotage::FloorsAtOpen, Invariant::FloorsHold),
        (Sabotage::FloorOfNewest, Invariant::FloorsHold),
    ];
    all_are_caught(&small(Store::Files), &expected);
}

#[test]
fn every_sabotage_of_a_slot_store_is_caught() {
    let expected = [
        (Sabotage::NoFileSync, Invariant::RecoveryAnswers),
        (Sabotage::NoDirSync, Invariant::AcknowledgedSurvives),
        (Sabotage::NoDataSync, Invariant::AcknowledgedSurvives),
        (Sabotage::RetryDataSync, Invariant::AcknowledgedSurvives),
        (Sabotage::RestLeft, Invariant::AcknowledgedSurvives),
        (Sabotage::FoundInPlace, Invariant::RecoveryAnswers),
        (Sabotage::WriteNotSaved, Invariant::NotSavedLeavesOld),
        (Sabotage::NonePassedOver, Invariant::RecoveryAnswers),
        (Sabotage::TwoPassedOver, Invariant::FloorsHold),
        (Sabotage::EmptyIsNone, Invariant::DamageIsReported),
        (Sabotage::RestUnchecked, Invariant::DamageIsReported),
        (Sabotage::PageUnchecked, Invariant::DamageIsReported),
        (Sabotage::TwoSlots, Invariant::DamageIsReported),
        (Sabotage::FloorOfNewest, Invariant::FloorsHold),
    ];
    // A new file that is not synced has 32 small sectors, and 4 large ones are torn just as well.
    all_are_caught(&Config { saves: 3, sector: 4096, ..small(Store::Slots) }, &expected);
}

#[test]
fn a_violation_tells_the_calls_that_lead_to_it() {
    for (store, renamed) in [(Store::Files, "00000000000000000001"), (Store::Slots, "marks.slots")]
    {
        let wrong = try_wrong(&small(store), Sabotage::NoDirSync, |_| ());
        let (stage, violation) = wrong.caught.unwrap();
        assert_eq!(stage, Stage::Crashes { crashes: 1, faults: 0 });
        let told = violation.to_string();
        for line in ["create_dir /data", &format!("rename {renamed}"), "-- a crash leaves"] {
            assert!(told.contains(line), "{told}");
        }
    }
}

/// Nothing is pruned here, neither what temporary files hold nor refused bytes: with sectors of a
/// page, a new slot file has few enough contents.
fn pruning_changes_nothing(pruned: &Config, wrong: &[(Sabotage, usize)]) {
    let whole = Config { prune: false, ..*pruned };
    let report = explore(&whole, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert!(report.distinct > explore(pruned, None, |_| ()).distinct, "{report}");
    for (sabotage, faults) in wrong.iter().copied() {
        let broken = |config: &Config| {
            let report = explore(&Config { faults, ..*config }, Some(sabotage), |_| ());
            report.violation.map(|violation| violation.invariant)
        };
        let found = broken(&whole);
        assert!(found.is_some() && found == broken(pruned), "{sabotage:?}: {found:?}");
    }
}

#[test]
fn what_is_pruned_of_files_changes_nothing() {
    let pruned = Config { crashes: 2, ..smallest(Store::Files) };
    let wrong = [(Sabotage::NoFileSync, 0), (Sabotage::NoDirSync, 0), (Sabotage::RetryFileSync, 1)];
    pruning_changes_nothing(&pruned, &wrong);
}

#[test]
fn what_is_pruned_of_slots_changes_nothing() {
    let pruned = Config { saves: 2, faults: 0, sector: 4096, ..smallest(Store::Slots) };
    let wrong = [(Sabotage::NoFileSync, 0), (Sabotage::NoDirSync, 0), (Sabotage::NoDataSync, 0)];
    pruning_changes_nothing(&pruned, &wrong);
}

#[test]
fn threads_change_no_figure() {
    for store in Store::ALL.iter().copied() {
        let one = explore(&Config { threads: 1, ..small(store) }, None, |_| ());
        let four = explore(&Config { threads: 4, ..small(store) }, None, |_| ());
        assert_eq!((one.images, one.distinct), (four.images, four.distinct), "{store}");
        assert_eq!((one.crash_points, one.contents), (four.crash_points, four.contents), "{store}");
    }
}

#[test]
fn random_chains_pass_and_are_decided_by_their_seed() {
    for store in Store::ALL.iter().copied() {
        let report = random(store, 7, 40, None);
        assert!(report.violation.is_none(), "{report}");
        assert!(report.lives > 80);
        assert_eq!(report.lives, random(store, 7, 40, None).lives);
        let wrong = random(store, 7, 200, Some(Sabotage::NoDirSync));
        assert!(wrong.violation.is_some(), "{wrong}");
    }
}

#[test]
fn the_suite_fails_where_a_sabotage_gets_away() {
    // Without a failing call nobody notices that a failed sync is tried again.
    let blind = Config { faults: 0, sector: 4096, stride: 997, ..smallest(Store::Files) };
    let report = suite(&blind, |_, _| ());
    assert!(report.stores.iter().all(|store| store.crashes.violation.is_none()));
    assert_eq!(report.stores.len(), Store::ALL.len());
    assert!(!report.passed());
}
