//! Runs of the whole program, as a user starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output};

use serde_json::Value;

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_minimal-follower"));
    program.args(args);
    program
}

/// Runs the program with `--json`, and asserts that the tables are equal to the logs.
fn run_well(args: &[&str]) -> Value {
    let output = program(&[args, &["--json"]].concat()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["equal"], true);
    for count in ["deleted_too_early", "wrong_rows"] {
        assert_eq!(number(&report, count), 0, "{count}: {report}");
    }
    assert_eq!(number(&report, "deleted"), number(&report, "segments"));
    report
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

/// Runs a mutant with a few seeds, as kills may miss its bug. Asserts that a run ends with exit
/// status 1 and these words on standard error.
fn assert_caught(mutant: &str, words: &str) {
    // A failed run keeps its folder.
    let kept = tempfile::tempdir().unwrap();
    let run = |seed: u64| -> Output {
        let args = ["--mutant", mutant, "--seed", &seed.to_string()];
        program(&args).env("TMPDIR", kept.path()).output().unwrap()
    };
    let caught = (1..=5).map(run).find(|output| !output.status.success()).unwrap();
    let stderr = String::from_utf8_lossy(&caught.stderr);
    assert_eq!(caught.status.code(), Some(1), "{caught:?}");
    assert!(stderr.contains(words), "{words:?} is not in\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn killed_20_times_the_tables_end_equal_to_the_logs() {
    let report = run_well(&["--kills", "20", "--seed", "1"]);
    assert_eq!(number(&report, "kills"), 20);
    for count in ["checkpoints", "fallbacks", "needed", "deleted_before_last_kill"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn without_a_kill_the_tables_end_equal_to_the_logs() {
    let report = run_well(&["--kills", "0"]);
    assert_eq!((number(&report, "kills"), number(&report, "segments")), (0, 300));
    let printed = program(&["--kills", "0"]).output().unwrap();
    let table = String::from_utf8_lossy(&printed.stdout);
    assert!(table.contains("tables                  equal to the logs"), "{table}");
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
