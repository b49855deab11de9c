//! Runs of the whole program, as a user starts it.

#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::path::Path;

use example_support::testing::{Program, number};
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_pg-follower"));

const SHORT: &str = "--scale 1 --transactions 2400 --rate 400 --kills 5 --server-crashes 1";

/// Kills of a mutant: each hits between its two steps more often than not.
const MUTANT: &str = "--scale 1 --transactions 2400 --rate 400 --kills 8 --server-crashes 0";

/// Returns whether there is a server to run. In CI there must be one.
fn has_postgres() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut dirs = std::env::split_paths(&path).chain(versions.map(|v| v.path().join("bin")));
    if dirs.any(|dir| dir.join("initdb").exists()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI needs the package postgresql");
    println!("skipped: no PostgreSQL: initdb is not installed (the package postgresql)");
    false
}

/// Runs the program, and asserts that its bounds are reached and that no row differs.
fn run_well(args: &str) -> Value {
    let report = PROGRAM.report(args);
    assert_eq!((number(&report, "follower_kills"), number(&report, "server_crashes")), (5, 1));
    assert!(number(&report, "transactions") >= 2400, "{report}");
    assert_eq!(number(&report, "rows_different"), 0);
    assert!(number(&report, "rows_compared") >= 102_400, "{report}");
    assert_eq!(report["tables"].as_array().map(Vec::len), Some(5));
    assert!(number(&report, "transactions_applied") > 0, "{report}");
    report
}

#[test]
fn after_kills_and_a_server_crash_the_sqlite_file_equals_the_server() {
    if has_postgres() {
        let report = run_well(SHORT);
        assert!(number(&report, "transactions_skipped") > 0, "nothing was offered again: {report}");
    }
}

#[test]
fn after_kills_and_a_server_crash_the_other_database_equals_the_server() {
    if has_postgres() {
        let report = run_well(&format!("{SHORT} --progress postgres --lose-one-in 2"));
        let in_doubt = number(&report, "commits_in_doubt");
        let found = number(&report, "found_committed");
        assert!(0 < found && found <= in_doubt, "{found} of {in_doubt}: {report}");
    }
}

#[test]
fn a_mutant_that_commits_the_mark_after_the_rows_doubles_rows() {
    if has_postgres() {
        let args = format!("{MUTANT} --mutant mark-after-rows");
        let printed = PROGRAM.fails(&args, &["table pgbench_history DIFFERS", " 0 are missing"]);
        assert!(!printed.contains("and 0 are there besides"), "{printed}");
    }
}

#[test]
fn a_mutant_that_commits_the_mark_before_the_rows_loses_rows() {
    if has_postgres() {
        let args =
            format!("{MUTANT} --mutant mark-before-rows --progress postgres --lose-one-in 0");
        let printed = PROGRAM.fails(&args, &["table pgbench_history DIFFERS", "are missing"]);
        assert!(!printed.contains(" 0 are missing"), "{printed}");
    }
}

#[test]
fn a_mutant_that_confirms_before_it_commits_has_to_copy_again_and_the_copy_is_equal() {
    if has_postgres() {
        let args = format!("{MUTANT} --mutant confirm-before-commit");
        let words = ["base copies: the log had gone on", "rows different          0"];
        PROGRAM.fails(&args, &words);
    }
}

#[test]
fn without_postgresql_the_program_says_what_to_install() {
    let missing = format!("--postgres {}", Path::new("/nonexistent").display());
    PROGRAM.fails(&missing, &["PostgreSQL is not in /nonexistent", "apt-get install postgresql"]);
}
