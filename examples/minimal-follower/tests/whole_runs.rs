//! Runs of the whole program, as a user starts it.

use example_support::testing::{Program, number};
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_minimal-follower"));

/// Runs the program, and asserts that every segment is deleted in the end.
fn run_well(args: &str) -> Value {
    let report = PROGRAM.report(args);
    assert_eq!(number(&report, "deleted"), number(&report, "segments"));
    report
}

/// Runs a mutant until a check finds a fault, which the first kills may miss.
fn assert_caught(mutant: &str, words: &str) {
    PROGRAM.fails(&format!("--kills 100 --seed 1 --mutant {mutant}"), &[words]);
}

#[test]
fn killed_20_times_the_tables_end_equal_to_the_logs() {
    let report = run_well("--kills 20 --seed 1");
    assert_eq!(number(&report, "kills"), 20);
    for count in ["checkpoints", "fallbacks", "needed", "deleted_early"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn without_a_kill_the_tables_end_equal_to_the_logs() {
    let report = run_well("--kills 0");
    assert_eq!((number(&report, "kills"), number(&report, "segments")), (0, 300));
    let table = PROGRAM.succeeds("--kills 0");
    assert!(table.contains("faults                  0"), "{table}");
}

#[test]
fn a_mutant_that_saves_before_the_flush_is_caught() {
    assert_caught("save-before-flush", ", but its log leaves ");
}

#[test]
fn a_mutant_that_deletes_up_to_the_checkpointed_mark_is_caught() {
    assert_caught("delete-to-checkpointed", " is deleted, but a restart begins at mark ");
}

#[test]
fn a_mutant_that_deletes_up_to_the_applied_mark_is_caught() {
    assert_caught("delete-to-applied", " is deleted, but a restart begins at mark ");
}

#[test]
fn the_engine_has_fewer_than_150_lines() {
    let lines = include_str!("../src/engine.rs").lines().count();
    assert!(lines < 150, "{lines} lines");
}
