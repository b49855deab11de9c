//! Runs of the whole program, as a user starts it.

use std::fs;

use example_support::testing::{Program, number};
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_exactly-once"));

/// Kills, but no commits in doubt: a mutant that is detected is detected because of the kills.
const KILLED: &str = "--segments 400 --kills 20 --seed 4 --doubt-one-in 0";

/// Commits in doubt, but no kills.
const IN_DOUBT: &str = "--segments 200 --kills 0 --seed 5 --doubt-one-in 3";

/// The fault of a segment that was applied again.
const REPEATED: [&str; 3] = ["exactly-once: segment ", " was applied ", " times"];

/// Runs the program, and asserts that no fault is found and each segment is deleted in the end.
fn run_well(args: &str) -> Value {
    let report = PROGRAM.report(args);
    assert_eq!(number(&report, "deleted"), number(&report, "segments"));
    report
}

#[test]
fn killed_at_random_instants_four_threads_apply_each_segment_exactly_once() {
    let report = run_well("--segments 500 --kills 25 --seed 1");
    assert_eq!((number(&report, "segments"), number(&report, "kills")), (2000, 25));
    for count in ["conflict", "in_doubt", "found_applied"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn a_commit_in_doubt_is_settled_by_the_stored_marks() {
    let report = run_well(IN_DOUBT);
    let (in_doubt, took_effect) = (number(&report, "in_doubt"), number(&report, "found_applied"));
    assert!(took_effect > 20 && in_doubt > took_effect + 20, "{report}");
    // Without a kill, no commit is hidden.
    assert_eq!(number(&report, "committed") + took_effect, number(&report, "segments"));
}

#[test]
fn without_a_mutant_the_run_succeeds() {
    run_well(KILLED);
}

#[test]
fn a_mutant_that_stores_a_clone_of_the_live_state_is_caught_by_kills() {
    let mutant = format!("{KILLED} --mutant clone-live-state");
    // Nothing is deleted, so that what is applied again is still there.
    PROGRAM.fails(&format!("{mutant} --keep 400"), &REPEATED);
    PROGRAM.fails(&mutant, &REPEATED[..1]);
}

#[test]
fn a_mutant_that_stores_a_clone_of_the_live_state_is_caught_by_commits_in_doubt() {
    PROGRAM.fails(&format!("{IN_DOUBT} --mutant clone-live-state --keep 200"), &REPEATED);
}

#[test]
fn a_mutant_that_advances_before_the_commit_is_caught() {
    let words = ["exactly-once: segment ", " was deleted, but is not applied"];
    PROGRAM.fails(&format!("{KILLED} --mutant advance-before-commit"), &words);
}

#[test]
fn a_run_that_leaves_no_commit_in_doubt_shows_too_little_and_fails() {
    let args = "--segments 5 --kills 0 --doubt-one-in 1000000000";
    PROGRAM.fails(args, &["0 commits in doubt that took effect", "give more --segments"]);
}

#[test]
fn a_folder_is_kept_and_refused_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let args = format!("{IN_DOUBT} --dir {}", dir.display());
    let table = PROGRAM.succeeds(&args);
    assert!(table.contains("faults                  0"), "{table}");
    assert!(dir.join("data.sqlite").exists());
    PROGRAM.fails(&args, &["is not empty: give another --dir"]);
    assert_eq!(fs::read_dir(dir.join("log-0")).unwrap().count(), 0, "all segments are deleted");
}
