//! Whole runs of the program, as a user starts them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Runs the program to its end.
fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sqlite-follower")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it with `--json`, and expects every replica to be equal.
fn run_well(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}\n{said}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for replica in report["replicas"].as_array().unwrap() {
        assert_eq!(replica["equal"], true);
        assert!(replica["rows"].as_u64().unwrap() > 0);
    }
    report
}

/// Runs it, and expects exit status 1 and these words on standard error; returns all of both.
fn run_badly(args: &[&str], words: &[&str]) -> String {
    let output = run(args);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
    said
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn a_run_with_kills_and_restarts_ends_equal_and_reports_what_it_did() {
    let report = run_well(&[
        "--seed",
        "1",
        "--transactions",
        "1200",
        "--kills",
        "10",
        "--leader-kills",
        "0",
        "--log-frames",
        "400",
        "--reads",
        "100",
    ]);
    assert_eq!(number(&report, "kills"), 10);
    assert_eq!(number(&report, "transactions"), 1200);
    assert_eq!(report["starts"].as_array().unwrap().len(), 11);
    assert_eq!(report["replicas"].as_array().unwrap().len(), 4);
    assert!(number(&report, "frames_applied") > 1000);
    assert!(number(&report, "checkpoints") > 0);
    assert!(number(&report, "log_restarts") > 0);
}

#[test]
fn a_soak_kills_a_follower_with_slots_again_and_again_and_sums_up() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    // As large a soak as a test may be.
    let small = ["--transactions", "1600", "--kills", "44", "--leader-kills", "2", "--reads", "50"];
    let small = [&small[..], &["--soak", "--dir", dir]].concat();
    let output = run(&[&small[..], &["--store", "slots"]].concat());
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    for row in ["follower kills          44\n", "follower starts         45: ", "in slots\n"] {
        assert!(said.contains(row), "{said}");
    }
    assert!(said.ends_with("\nreplicas equal          4 of 4, after 46 kills\n"), "{said}");
    assert!(folder.path().join("follower/checkpoint/marks.slots").exists());
    run_badly(&small, &["marks.slots", "is a SlotStore's"]);
}

#[test]
fn power_cuts_are_survived_with_slots_too() {
    let args = ["--seed", "7", "--transactions", "1200", "--kills", "6", "--drop-page-cache"];
    let report = run_well(
        &[&args[..], &["--leader-kills", "2", "--reads", "100", "--store", "slots"]].concat(),
    );
    assert_eq!(report["store"], "slots");
}

#[test]
fn a_leader_that_is_killed_too_loses_nothing() {
    let report = run_well(&[
        "--seed",
        "2",
        "--transactions",
        "1200",
        "--kills",
        "4",
        "--leader-kills",
        "6",
        "--log-frames",
        "300",
        "--reads",
        "100",
    ]);
    assert_eq!(number(&report, "leader_kills"), 6);
}

#[test]
fn a_second_run_goes_on_where_the_first_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("kept");
    let dir = dir.to_str().unwrap();
    let args = ["--transactions", "400", "--kills", "2", "--reads", "60", "--dir", dir];
    let first = run_well(&[&args[..], &["--seed", "3"]].concat());
    let second = run_well(&args);
    assert_eq!(number(&second, "seed"), 3);
    let resumed = second["starts"].as_array().unwrap().iter();
    let resumed = resumed.filter(|s| s["resumed"].as_object().is_some_and(|r| r.len() == 4));
    assert!(resumed.count() > 0);
    for start in second["starts"].as_array().unwrap() {
        assert_eq!(start["copied"].as_object().unwrap().len(), 0, "nothing is copied again");
    }
    assert_ne!(first["replicas"][0]["hash"], second["replicas"][0]["hash"], "it went on");

    run_badly(&["--load", "any.sql", "--dir", dir], &["was made for workload", "another --dir"]);
}

#[test]
fn a_parent_that_is_killed_at_any_instant_is_started_again_and_ends_equal() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let args = ["--transactions", "1600", "--log-frames", "200", "--kills", "3", "--dir", dir];
    let args = [&args[..], &["--reads", "200"]].concat();
    for wait in [20, 60, 250, 700] {
        let mut parent = Command::new(env!("CARGO_BIN_EXE_sqlite-follower"))
            .args(&args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(wait));
        parent.kill().unwrap();
        parent.wait().unwrap();
    }
    run_well(&args);
}

#[test]
fn no_child_outlives_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_sqlite-follower"))
        .args(["--seconds", "60", "--kills", "0", "--dir", dir])
        .spawn()
        .unwrap();
    let locks = ["leader/LOCK", "follower/checkpoint/LOCK"].map(|lock| folder.path().join(lock));
    let is_held =
        |path: &Path| std::fs::File::open(path).is_ok_and(|file| file.try_lock().is_err());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !locks.iter().all(|lock| is_held(lock)) {
        assert!(Instant::now() < deadline, "they never started");
        thread::sleep(Duration::from_millis(5));
    }
    run_badly(&["--dir", dir], &["is in use by another run"]);
    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while locks.iter().any(|lock| is_held(lock)) {
        assert!(Instant::now() < deadline, "a child is still alive");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn power_cuts_are_survived_where_the_replica_is_flushed_before_its_mark() {
    let args = ["--seed", "5", "--transactions", "1600", "--kills", "8", "--drop-page-cache"];
    run_well(&[&args[..], &["--leader-kills", "0", "--reads", "100"]].concat());
}

#[test]
fn power_cuts_of_leader_and_follower_together_are_survived() {
    run_well(&[
        "--seed",
        "6",
        "--transactions",
        "1200",
        "--kills",
        "3",
        "--leader-kills",
        "8",
        "--log-frames",
        "300",
        "--reads",
        "100",
        "--drop-page-cache",
    ]);
}

#[test]
fn a_transaction_that_is_applied_before_its_log_is_durable_is_found_out() {
    let said = run_badly(
        &[
            "--seed",
            "6",
            "--transactions",
            "1200",
            "--kills",
            "3",
            "--leader-kills",
            "8",
            "--log-frames",
            "300",
            "--reads",
            "100",
            "--drop-page-cache",
            "--sabotage",
            "apply-before-log",
        ],
        &[],
    );
    let found = ["was reset behind the follower", "DIFFERS", "broken replica", "a stale read"];
    assert!(found.iter().any(|f| said.contains(f)), "{said}");
}

#[test]
fn a_mark_that_is_saved_before_the_flush_is_found_out() {
    // Which pages a power cut takes differs from run to run; nearly every run shows it.
    for seed in ["5", "6", "7", "8"] {
        let output = run(&[
            "--seed",
            seed,
            "--transactions",
            "2400",
            "--kills",
            "4",
            "--leader-kills",
            "0",
            "--reads",
            "100",
            "--drop-page-cache",
            "--sabotage",
            "mark-before-flush",
        ]);
        if output.status.code() == Some(1) {
            let said = text(&output.stdout) + &text(&output.stderr);
            // Those who read in the follower may meet the broken file before the comparison does.
            let by_sqlite =
                said.contains("the replica cannot be read") && said.contains("malformed");
            let compared = said.contains("DIFFERS") || said.contains("broken replica");
            let by_client = said.contains("a stale read");
            assert!(compared || by_sqlite || by_client, "{said}");
            return;
        }
        assert!(output.status.success());
    }
    panic!("the broken follower passed every time");
}

#[test]
fn a_leader_that_ignores_the_floor_is_found_out() {
    run_badly(
        &[
            "--seed",
            "9",
            "--transactions",
            "4000",
            "--kills",
            "6",
            "--leader-kills",
            "0",
            "--reads",
            "100",
            "--log-frames",
            "60",
            "--sabotage",
            "ignore-floor",
        ],
        &["was reset behind the follower", "--rebase", "db", "shard"],
    );
}
