//! Runs of the whole program, as a user starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

/// Kills, but no commits in doubt: a mutant that is detected is detected because of the kills.
const KILLED: [&str; 8] =
    ["--segments", "400", "--kills", "20", "--seed", "4", "--doubt-one-in", "0"];

/// Commits in doubt, but no kills.
const IN_DOUBT: [&str; 8] =
    ["--segments", "200", "--kills", "0", "--seed", "5", "--doubt-one-in", "3"];

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_exactly-once"));
    program.args(args);
    program
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

/// Runs the program with `--json`, and asserts that each segment was applied exactly once.
fn run_well(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["exactly_once"], true);
    for count in ["applied_twice", "missing", "deleted_above_the_mark"] {
        assert_eq!(number(&report, count), 0, "{count}: {report}");
    }
    assert_eq!(number(&report, "deleted"), number(&report, "segments"));
    report
}

/// Runs the program, and asserts exit status 1 and these words on standard error.
fn run_badly(args: &[&str], words: &[&str]) {
    // A failed run keeps its folder.
    let kept = tempfile::tempdir().unwrap();
    let output = program(args).env("TMPDIR", kept.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{output:?}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn killed_at_random_instants_four_threads_apply_each_segment_exactly_once() {
    let args = ["--segments", "500", "--kills", "25", "--seed", "1"];
    let report = run_well(&args);
    assert_eq!((number(&report, "segments"), number(&report, "kills")), (2000, 25));
    for count in ["conflicts", "in_doubt", "in_doubt_took_effect"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn a_commit_in_doubt_is_settled_by_the_stored_marks() {
    let report = run_well(&IN_DOUBT);
    let (in_doubt, took_effect) =
        (number(&report, "in_doubt"), number(&report, "in_doubt_took_effect"));
    assert!(took_effect > 20 && in_doubt > took_effect + 20, "{report}");
    // Without a kill, no commit is hidden.
    assert_eq!(number(&report, "commits") + took_effect, number(&report, "segments"));
}

#[test]
fn without_a_mutant_the_run_succeeds() {
    run_well(&KILLED);
}

#[test]
fn a_mutant_that_stores_a_clone_of_the_live_state_is_caught_by_kills() {
    // Nothing is deleted, so that what is applied again is still there.
    let mutant = ["--mutant", "clone-live-state", "--keep", "400"];
    let words = ["exactly-once: segment ", " was applied ", " times"];
    run_badly(&[&KILLED[..], &mutant].concat(), &words);
    run_badly(&[&KILLED[..], &mutant[..2]].concat(), &words[..1]);
}

#[test]
fn a_mutant_that_stores_a_clone_of_the_live_state_is_caught_by_commits_in_doubt() {
    let mutant = ["--mutant", "clone-live-state", "--keep", "200"];
    let words = ["exactly-once: segment ", " was applied ", " times"];
    run_badly(&[&IN_DOUBT[..], &mutant].concat(), &words);
}

#[test]
fn a_mutant_that_advances_before_the_commit_is_caught() {
    let words = ["exactly-once: segment ", " was deleted, but is not applied"];
    run_badly(&[&KILLED[..], &["--mutant", "advance-before-commit"]].concat(), &words);
}

#[test]
fn a_run_that_leaves_no_commit_in_doubt_shows_too_little_and_fails() {
    let args = ["--segments", "5", "--kills", "0", "--doubt-one-in", "1000000000"];
    run_badly(&args, &["0 commits in doubt that took effect", "give more --segments"]);
}

#[test]
fn a_folder_is_kept_and_refused_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let args = [&IN_DOUBT[..], &["--dir", dir.to_str().unwrap()]].concat();
    let finished = run(&args);
    assert!(finished.status.success(), "{finished:?}");
    let table = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert!(table.contains("exactly once            each segment"), "{table}");
    assert!(dir.join("data.sqlite").exists());
    run_badly(&args, &["is not empty: give another --dir"]);
    assert_eq!(fs::read_dir(dir.join("log-0")).unwrap().count(), 0, "all segments are deleted");
}
