//! The enumeration passes the right protocol and catches every wrong one.

use repl_harness::crash::{
    Config, Invariant, Sabotage, Stage, damage, explore, random, suite, try_wrong,
};

/// One sector: for builds that are not optimized.
fn small() -> Config {
    Config { saves: 2, shards: 3, crashes: 2, ..Config::default() }
}

#[test]
fn the_right_protocol_passes() {
    let report = explore(&small(), None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert_eq!(report.not_enumerated, 0);
    assert!(report.distinct > 1000 && report.images > report.distinct, "{report}");
}

#[test]
fn the_right_protocol_passes_with_checkpoints_of_four_sectors() {
    let bounds = Config { saves: 1, later_saves: 1, crashes: 1, ..Config::default() };
    let report = explore(&bounds, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    // A new file of four sectors: each old, new or garbage, at each of the lengths.
    assert!(report.contents >= 3_u64.pow(4), "{report}");
}

#[test]
fn damage_is_reported_or_survived() {
    let report = damage(&small(), None);
    assert!(report.violation.is_none(), "{report}");
    assert!(report.images > 1000, "{report}");
}

#[test]
fn every_sabotage_is_caught() {
    let caught = |sabotage: &Sabotage| (*sabotage, try_wrong(&small(), *sabotage, |_| ()).caught);
    let missed: Vec<Sabotage> = Sabotage::ALL
        .iter()
        .map(caught)
        .filter_map(|(sabotage, caught)| caught.is_none().then_some(sabotage))
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(Sabotage::ALL.len() >= 12);
}

#[test]
fn sabotages_are_caught_for_the_right_reason() {
    let expected = [
        (Sabotage::NoFileSync, Invariant::RecoveryAnswers),
        (Sabotage::NoDirSync, Invariant::AcknowledgedSurvives),
        (Sabotage::MarksBeforeStep5, Invariant::AcknowledgedSurvives),
        (Sabotage::NoTempCleanup, Invariant::NoTempOutlivesOpen),
        (Sabotage::OneTempName, Invariant::NextSaveWorks),
        (Sabotage::NoLock, Invariant::OneOwner),
        (Sabotage::NoChecksum, Invariant::NothingUnwritten),
        (Sabotage::DamagedSkipped, Invariant::DamageIsReported),
        (Sabotage::OneGeneration, Invariant::OneDamageSurvived),
        (Sabotage::FloorsAtOpen, Invariant::FloorsHold),
        (Sabotage::FloorOfNewest, Invariant::FloorsHold),
    ];
    for (sabotage, invariant) in expected {
        let caught = try_wrong(&small(), sabotage, |_| ()).caught;
        let broken = caught.as_ref().map(|(_, violation)| violation.invariant);
        assert_eq!(broken, Some(invariant), "{sabotage:?}: {caught:?}");
    }
}

#[test]
fn a_violation_tells_the_calls_that_lead_to_it() {
    let (stage, violation) = try_wrong(&small(), Sabotage::NoDirSync, |_| ()).caught.unwrap();
    assert_eq!(stage, Stage::Crashes { crashes: 1, faults: 0 });
    let told = violation.to_string();
    for line in ["create_dir /data", "rename 00000000000000000001", "-- a crash leaves"] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn what_is_pruned_changes_nothing() {
    let pruned = Config { saves: 1, later_saves: 1, ..small() };
    let whole = Config { prune: false, ..pruned };
    let report = explore(&whole, None, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert!(report.distinct > explore(&pruned, None, |_| ()).distinct);
    for sabotage in [Sabotage::NoFileSync, Sabotage::NoDirSync, Sabotage::RetryFileSync] {
        let broken = |config: &Config| {
            let caught = try_wrong(config, sabotage, |_| ()).caught;
            caught.map(|(stage, violation)| (stage, violation.invariant))
        };
        assert_eq!(broken(&whole), broken(&pruned), "{sabotage:?}");
    }
}

#[test]
fn threads_change_no_figure() {
    let one = explore(&Config { threads: 1, ..small() }, None, |_| ());
    let four = explore(&Config { threads: 4, ..small() }, None, |_| ());
    assert_eq!((one.images, one.distinct), (four.images, four.distinct));
}

#[test]
fn random_chains_pass_and_are_decided_by_their_seed() {
    let report = random(7, 40, None);
    assert!(report.violation.is_none(), "{report}");
    assert!(report.lives > 80);
    assert_eq!(report.lives, random(7, 40, None).lives);
    let wrong = random(7, 200, Some(Sabotage::NoDirSync));
    assert!(wrong.violation.is_some(), "{wrong}");
}

#[test]
fn the_suite_fails_where_a_sabotage_gets_away() {
    // Without a failing call nobody notices that a failed sync is tried again.
    let blind = Config { saves: 1, shards: 1, crashes: 1, faults: 0, ..Config::default() };
    let report = suite(&blind, |_, _| ());
    assert!(report.crashes.violation.is_none(), "{}", report.crashes);
    assert!(!report.passed());
}
