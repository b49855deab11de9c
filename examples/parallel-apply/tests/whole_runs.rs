//! Whole runs of the program, as a user starts them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redb::TableDefinition;
use serde_json::Value;

/// Killed, but with no batch that fails: what is found out is found out for the kills.
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

/// Runs it with `--json`, and expects each record to be applied exactly once.
fn run_well(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["exactly_once"], true);
    assert_eq!(report["faults"].as_array().unwrap().len(), 0);
    report
}

/// Runs it, and expects exit status 1 and these words on standard error.
fn run_badly(args: &[&str], words: &[&str]) {
    // Runs that end badly keep their folder.
    let kept = tempfile::tempdir().unwrap();
    let output = program(args).env("TMPDIR", kept.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn each_record_is_applied_exactly_once_at_whatever_instants_the_applier_is_killed() {
    let report = run_well(&["--records", "6000", "--kills", "10", "--seed", "1"]);
    assert_eq!((number(&report, "records"), number(&report, "kills")), (6000, 10));
    assert!(number(&report, "resumes") >= number(&report, "resumes_above_mark"));
    for count in ["resumes_above_mark", "out_of_order", "passed_over", "waits_for_room"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn a_log_too_short_for_the_kills_that_were_asked_for_is_no_success() {
    let args = ["--records", "40", "--kills", "50", "--seed", "1"];
    run_badly(&args, &["of 50 times", "ask for more --records"]);
}

#[test]
fn records_of_a_batch_that_failed_are_applied_again() {
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
fn a_parent_that_is_killed_at_any_instant_is_started_again_and_ends_well() {
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
    let nothing_is_left_to_do = run(&["--dir", dir]);
    assert!(nothing_is_left_to_do.status.success());
    let table = String::from_utf8_lossy(&nothing_is_left_to_do.stdout).into_owned();
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
    // For longer than the parent itself holds it before it starts the applier.
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

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn with_no_rule_broken_nothing_is_found_out() {
    run_well(&KILLED);
}

#[test]
fn completed_ranges_that_are_not_recorded_are_found_out() {
    let words = ["parallel-apply: record ", " was applied 2 times"];
    run_badly(&[&KILLED[..], &["--sabotage", "forget-ranges"]].concat(), &words);
}

#[test]
fn marks_that_are_committed_before_the_data_are_found_out() {
    let words = ["parallel-apply: record ", " was never applied"];
    run_badly(&[&KILLED[..], &["--sabotage", "mark-first"]].concat(), &words);
}

/// A log of which nothing is applied yet.
fn log_in(folder: &Path, seed: &str) {
    let dir = folder.to_str().unwrap();
    run_well(&["--records", "300", "--kills", "0", "--seed", seed, "--dir", dir]);
    fs::remove_file(folder.join("accounts.redb")).unwrap();
}

#[test]
fn a_log_that_is_damaged_is_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, path) = (folder.path().to_str().unwrap(), folder.path().join("records.log"));
    log_in(folder.path(), "6");
    let log = File::options().write(true).read(true).open(&path).unwrap();
    let mut byte = [0];
    let in_record_100 = 28 + 99 * 20 + 12;
    log.read_exact_at(&mut byte, in_record_100).unwrap();
    log.write_all_at(&[byte[0] ^ 1], in_record_100).unwrap();
    let path = path.to_str().unwrap();
    run_badly(&["--dir", dir], &["record 100 of", path, "damaged", "restore the file"]);

    log.set_len(28 + 299 * 20 + 3).unwrap();
    run_badly(&["--dir", dir], &[path, "its length is not that", "restore it"]);
    log.write_all_at(b"other", 0).unwrap();
    run_badly(&["--dir", dir], &[path, "its header is damaged", "restore it"]);
}

#[test]
fn a_database_that_is_not_ours_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, path) = (folder.path().to_str().unwrap(), folder.path().join("accounts.redb"));
    log_in(folder.path(), "7");
    let words = [path.to_str().unwrap(), "was not made by this program", "give another --dir"];
    for text in ["", "a text of somebody else's"] {
        fs::write(&path, text).unwrap();
        run_badly(&["--dir", dir], &words);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
    }

    let other = redb::Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    // A table of this name, and of another type.
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
