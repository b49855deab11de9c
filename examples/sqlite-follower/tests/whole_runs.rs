//! Runs of the whole program, as a user starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use example_support::testing::{Program, number};
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_sqlite-follower"));

/// Power cuts of both processes.
const POWER_CUTS: &str = "--seed 6 --transactions 1200 --kills 3 --leader-kills 8 \
    --log-frames 300 --reads 100 --drop-page-cache";

/// How a power cut of a mutant shows. A reader in the follower may find the broken file before the
/// comparison does. Only a follower that was ahead of its log finds that the log was reset.
const SYMPTOMS: [&str; 5] =
    ["was reset, but the follower", "DIFFERS", "broken replica", "malformed", "stale read"];

/// Runs the program, and asserts that every replica is equal.
fn run_well(args: &str) -> Value {
    let report = PROGRAM.report(args);
    for replica in report["replicas"].as_array().unwrap() {
        assert_eq!(replica["equal"], true);
        assert!(replica["rows"].as_u64().unwrap() > 0);
    }
    report
}

#[test]
fn after_kills_and_log_restarts_the_replicas_are_equal_and_the_report_counts_both() {
    let args = "--seed 1 --transactions 1200 --kills 10 --leader-kills 0 --log-frames 400";
    let report = run_well(&format!("{args} --reads 100"));
    assert_eq!(number(&report, "kills"), 10);
    assert_eq!(number(&report, "transactions"), 1200);
    assert_eq!(report["starts"].as_array().unwrap().len(), 11);
    assert_eq!(report["replicas"].as_array().unwrap().len(), 4);
    assert!(number(&report, "frames_applied") > 1000);
    assert!(number(&report, "checkpoints") > 0);
    assert!(number(&report, "log_restarts") > 0);
}

#[test]
fn a_soak_with_slots_sums_up_its_many_starts() {
    let folder = tempfile::tempdir().unwrap();
    // Smaller than a real soak.
    let small = "--soak --transactions 1600 --kills 44 --leader-kills 2 --reads 50";
    let small = format!("{small} --dir {}", folder.path().display());
    let table = PROGRAM.succeeds(&format!("{small} --store slots"));
    for row in ["follower kills          44\n", "follower starts         45: ", "in slots\n"] {
        assert!(table.contains(row), "{table}");
    }
    assert!(table.ends_with("\nreplicas equal          4 of 4, after 46 kills\n"), "{table}");
    assert!(folder.path().join("follower/checkpoint/marks.slots").exists());
    PROGRAM.fails(&small, &["marks.slots", "a file of a SlotStore"]);
}

#[test]
fn a_follower_with_slots_survives_power_cuts() {
    let args = "--seed 7 --transactions 1200 --kills 6 --leader-kills 2 --reads 100";
    let report = run_well(&format!("{args} --drop-page-cache --store slots"));
    assert_eq!(report["store"], "slots");
}

#[test]
fn a_killed_leader_loses_nothing() {
    let args = "--seed 2 --transactions 1200 --kills 4 --leader-kills 6 --log-frames 300";
    let report = run_well(&format!("{args} --reads 100"));
    assert_eq!(number(&report, "leader_kills"), 6);
}

#[test]
fn a_second_run_continues_where_the_first_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let dir = format!("--dir {}", folder.path().join("kept").display());
    let args = format!("--transactions 400 --kills 2 --reads 60 {dir}");
    let first = run_well(&format!("{args} --seed 3"));
    let second = run_well(&args);
    assert_eq!(number(&second, "seed"), 3);
    let starts = second["starts"].as_array().unwrap();
    let is_whole = |start: &&Value| start["resumed"].as_object().is_some_and(|r| r.len() == 4);
    assert!(starts.iter().filter(is_whole).count() > 0);
    for start in starts {
        assert_eq!(start["copied"].as_object().unwrap().len(), 0, "nothing is copied again");
    }
    let hash = |report: &Value| report["replicas"][0]["hash"].clone();
    assert_ne!(hash(&first), hash(&second), "the second run wrote nothing");

    let sql = folder.path().join("any.sql");
    std::fs::write(&sql, "CREATE TABLE t (x);").unwrap();
    let load = format!("--load {} {dir}", sql.display());
    PROGRAM.fails(&load, &["was made for a workload", "another --dir"]);
}

#[test]
fn after_kills_of_the_parent_a_run_ends_with_equal_replicas() {
    let folder = tempfile::tempdir().unwrap();
    let args = "--transactions 1600 --log-frames 200 --kills 3 --reads 200";
    let args = format!("{args} --dir {}", folder.path().display());
    PROGRAM.is_killed_after(&args, &[20, 60, 250, 700]);
    run_well(&args);
}

#[test]
fn no_child_outlives_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let locked = ["leader/LOCK", "follower/checkpoint/repl-checkpoint.lock"];
    PROGRAM.ends_with_its_children("--seconds 60 --kills 0", folder.path(), &locked);
}

#[test]
fn a_follower_survives_power_cuts() {
    let args = "--seed 5 --transactions 1600 --kills 8 --leader-kills 0 --reads 100";
    run_well(&format!("{args} --drop-page-cache"));
}

#[test]
fn leader_and_follower_survive_power_cuts_of_both() {
    run_well(POWER_CUTS);
}

#[test]
fn a_mutant_that_applies_before_the_log_is_durable_is_caught() {
    let printed = PROGRAM.fails(&format!("{POWER_CUTS} --mutant apply-before-log"), &[]);
    assert!(SYMPTOMS.iter().any(|s| printed.contains(s)), "{printed}");
}

#[test]
fn a_mutant_that_saves_the_mark_before_the_flush_is_caught() {
    // What a power cut discards differs from run to run. Nearly every run catches the mutant.
    let args = "--transactions 2400 --kills 4 --leader-kills 0 --reads 100 --drop-page-cache \
        --mutant mark-before-flush";
    let failed = |seed| PROGRAM.run(&format!("{args} --seed {seed}"));
    let failed = (5..9).map(failed).find(|output| !output.status.success());
    let failed = failed.expect("no run caught the mutant");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let printed = String::from_utf8([failed.stderr, failed.stdout].concat()).unwrap();
    assert!(SYMPTOMS[1..].iter().any(|s| printed.contains(s)), "{printed}");
}

#[test]
fn a_mutant_that_ignores_the_floor_is_caught() {
    let args = "--seed 9 --transactions 4000 --kills 6 --leader-kills 0 --reads 100";
    let args = format!("{args} --log-frames 60 --mutant ignore-floor");
    PROGRAM.fails(&args, &["was reset, but the follower", "--rebase", "db", "shard"]);
}
