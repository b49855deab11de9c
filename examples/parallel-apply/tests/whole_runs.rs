//! Runs of the whole program, as a user starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redb::TableDefinition;
use serde_json::Value;

/// Kills, but no failing batches: a mutant that is detected is detected because of the kills.
const KILLED: [&str; 8] =
    ["--records", "4000", "--kills", "12", "--seed", "4", "--fail-one-in", "0"];

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_parallel-apply"));
    program.args(args);
    program
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

fn start(args: &[&str]) -> Child {
    program(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs the program with `--json`, and asserts that each record was applied exactly once.
fn run_well(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["exactly_once"], true);
    assert_eq!(report["faults"].as_array().unwrap().len(), 0);
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
fn killed_at_random_instants_the_applier_applies_each_record_exactly_once() {
    let report = run_well(&["--records", "6000", "--kills", "10", "--seed", "1"]);
    assert_eq!((number(&report, "records"), number(&report, "kills")), (6000, 10));
    assert!(number(&report, "resumes") >= number(&report, "resumes_above_mark"));
    for count in ["resumes_above_mark", "out_of_order", "passed_over", "waits_for_room"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn a_log_too_short_for_the_requested_kills_fails() {
    let args = ["--records", "40", "--kills", "50", "--seed", "1"];
    run_badly(&args, &["times of 50", "give more --records"]);
}

#[test]
fn the_records_of_a_failed_batch_are_applied_again() {
    let args = ["--records", "2000", "--kills", "0", "--fail-one-in", "3", "--seed", "2"];
    let report = run_well(&args);
    assert!(number(&report, "failed_batches") > 10);
}

#[test]
fn any_number_of_threads_applies_each_record_exactly_once() {
    for threads in ["1", "2", "16"] {
        run_well(&["--records", "600", "--kills", "0", "--threads", threads]);
    }
}

#[test]
fn a_parent_killed_at_any_instant_succeeds_when_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let dir = dir.to_str().unwrap();
    for wait in [3, 20, 80, 300, 600] {
        let mut parent = start(&["--records", "5000", "--seed", "3", "--kills", "3", "--dir", dir]);
        thread::sleep(Duration::from_millis(wait));
        parent.kill().unwrap();
        parent.wait().unwrap();
    }
    let report = run_well(&["--kills", "0", "--records", "5000", "--dir", dir]);
    assert_eq!((number(&report, "seed"), number(&report, "records")), (3, 5000));
    let finished = run(&["--dir", dir]);
    assert!(finished.status.success());
    let table = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert!(table.contains("exactly once            each record"), "{table}");
    run_badly(&["--dir", dir, "--records", "7"], &["was made with --seed 3 --records 5000"]);
}

#[test]
fn the_applier_does_not_outlive_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let args = ["--records", "1000000", "--kills", "0", "--dir", dir];
    let mut parent = start(&args);
    let database = folder.path().join("accounts.redb");
    let is_held = || File::open(&database).is_ok_and(|file| file.try_lock().is_err());
    // The parent opens the database too, but not for this long.
    wait_until(|| {
        (0..50).all(|_| {
            thread::sleep(Duration::from_millis(10));
            is_held()
        })
    });
    run_badly(&["--dir", dir], &["is in use by another run"]);
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until(|| !is_held());
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_a_mutant_the_run_succeeds() {
    run_well(&KILLED);
}

#[test]
fn a_mutant_that_records_no_completed_ranges_is_caught() {
    let words = ["parallel-apply: record ", " was applied ", " times"];
    run_badly(&[&KILLED[..], &["--mutant", "forget-ranges"]].concat(), &words);
}

#[test]
fn a_mutant_that_commits_the_mark_before_the_data_is_caught() {
    let words = ["parallel-apply: record ", " was never applied"];
    run_badly(&[&KILLED[..], &["--mutant", "mark-first"]].concat(), &words);
}

/// Writes a log, and leaves none of it applied.
fn log_in(folder: &Path, seed: &str) {
    let dir = folder.to_str().unwrap();
    run_well(&["--records", "300", "--kills", "0", "--seed", seed, "--dir", dir]);
    fs::remove_file(folder.join("accounts.redb")).unwrap();
}

#[test]
fn the_error_for_a_corrupt_log_names_the_file_and_the_defect() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, path) = (folder.path().to_str().unwrap(), folder.path().join("records.log"));
    log_in(folder.path(), "6");
    let log = File::options().write(true).read(true).open(&path).unwrap();
    let mut byte = [0];
    let in_record_100 = 28 + 99 * 20 + 12;
    log.read_exact_at(&mut byte, in_record_100).unwrap();
    log.write_all_at(&[byte[0] ^ 1], in_record_100).unwrap();
    let path = path.to_str().unwrap();
    run_badly(&["--dir", dir], &["record 100 of", path, "corrupt", "restore the file"]);

    log.set_len(28 + 299 * 20 + 3).unwrap();
    run_badly(&["--dir", dir], &[path, "its length does not match", "restore it"]);
    log.write_all_at(b"other", 0).unwrap();
    run_badly(&["--dir", dir], &[path, "its header is corrupt", "restore it"]);
}

#[test]
fn a_foreign_database_is_refused_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, path) = (folder.path().to_str().unwrap(), folder.path().join("accounts.redb"));
    log_in(folder.path(), "7");
    let words = [path.to_str().unwrap(), "was not made by this program", "give another --dir"];
    for text in ["", "the text of another program"] {
        fs::write(&path, text).unwrap();
        run_badly(&["--dir", dir], &words);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
    }

    let other = redb::Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    // The right table name with the wrong type.
    let numbers = TableDefinition::<u64, u64>::new("numbers");
    transaction.open_table(numbers).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(other);
    run_badly(&["--dir", dir], &words);

    let other_log = tempfile::tempdir().unwrap();
    log_in(other_log.path(), "8");
    run_well(&["--kills", "0", "--dir", other_log.path().to_str().unwrap()]);
    fs::copy(other_log.path().join("accounts.redb"), &path).unwrap();
    run_badly(&["--dir", dir], &[words[0], "holds records of another log", words[2]]);
}
