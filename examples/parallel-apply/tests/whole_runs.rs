//! Runs of the whole program, as a user starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use example_support::testing::{Program, number};
use redb::TableDefinition;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_parallel-apply"));

/// Kills, but no failing batches: a mutant that is detected is detected because of the kills.
const KILLED: &str = "--records 4000 --kills 12 --seed 4 --fail-one-in 0";

#[test]
fn killed_at_random_instants_the_applier_applies_each_record_exactly_once() {
    let report = PROGRAM.report("--records 6000 --kills 10 --seed 1");
    assert_eq!((number(&report, "records"), number(&report, "kills")), (6000, 10));
    assert!(number(&report, "resumes") >= number(&report, "resumes_above_mark"));
    for count in ["resumes_above_mark", "out_of_order", "passed_over", "waits_for_room"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn a_log_too_short_for_the_requested_kills_fails() {
    let args = "--records 40 --kills 50 --seed 1";
    PROGRAM.fails(args, &["times of 50", "give more --records"]);
}

#[test]
fn the_records_of_a_failed_batch_are_applied_again() {
    let report = PROGRAM.report("--records 2000 --kills 0 --fail-one-in 3 --seed 2");
    assert!(number(&report, "failed_batches") > 10);
}

#[test]
fn any_number_of_threads_applies_each_record_exactly_once() {
    for threads in [1, 2, 16] {
        PROGRAM.report(&format!("--records 600 --kills 0 --threads {threads}"));
    }
}

#[test]
fn a_parent_killed_at_any_instant_succeeds_when_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let dir = dir.to_str().unwrap();
    let killed = format!("--records 5000 --seed 3 --kills 3 --dir {dir}");
    PROGRAM.is_killed_after(&killed, &[3, 20, 80, 300, 600]);
    let report = PROGRAM.report(&format!("--kills 0 --records 5000 --dir {dir}"));
    assert_eq!((number(&report, "seed"), number(&report, "records")), (3, 5000));
    let table = PROGRAM.succeeds(&format!("--dir {dir}"));
    assert!(table.contains("faults                  0"), "{table}");
    let other = format!("--dir {dir} --records 7");
    PROGRAM.fails(&other, &["was made with --seed 3 --records 5000"]);
}

#[test]
fn the_applier_does_not_outlive_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let args = "--records 200000 --kills 0";
    PROGRAM.ends_with_its_children(args, folder.path(), &["accounts.redb"]);
}

#[test]
fn without_a_mutant_the_run_succeeds() {
    PROGRAM.report(KILLED);
}

#[test]
fn a_mutant_that_records_no_completed_ranges_is_caught() {
    let words = ["parallel-apply: record ", " was applied ", " times"];
    PROGRAM.fails(&format!("{KILLED} --mutant forget-ranges"), &words);
}

#[test]
fn a_mutant_that_commits_the_mark_before_the_data_is_caught() {
    let words = ["parallel-apply: record ", " was never applied"];
    PROGRAM.fails(&format!("{KILLED} --mutant mark-first"), &words);
}

/// Makes a folder for a log, and leaves none of it applied. Returns the argument for its folder.
fn log_in(folder: &Path, seed: &str) -> String {
    let dir = format!("--dir {}", folder.display());
    PROGRAM.report(&format!("--records 300 --kills 0 --seed {seed} {dir}"));
    fs::remove_file(folder.join("accounts.redb")).unwrap();
    dir
}

#[test]
fn the_error_for_corrupt_settings_of_a_folder_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let dir = log_in(folder.path(), "6");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    PROGRAM.fails(&dir, &[path.to_str().unwrap(), "is corrupt"]);
}

#[test]
fn a_foreign_database_is_refused_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.redb");
    let dir = log_in(folder.path(), "7");
    let words = [path.to_str().unwrap(), "was not made by this program", "give another --dir"];
    for text in ["", "the text of another program"] {
        fs::write(&path, text).unwrap();
        PROGRAM.fails(&dir, &words);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
    }

    let other = redb::Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    // The right table name with the wrong type.
    let state = TableDefinition::<u64, u64>::new("state");
    transaction.open_table(state).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(other);
    PROGRAM.fails(&dir, &words);

    let other_log = tempfile::tempdir().unwrap();
    let other_dir = log_in(other_log.path(), "8");
    PROGRAM.report(&format!("--kills 0 {other_dir}"));
    fs::copy(other_log.path().join("accounts.redb"), &path).unwrap();
    PROGRAM.fails(&dir, &[words[0], "holds records of another log", words[2]]);
}
