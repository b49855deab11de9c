//! What clients see on the follower of what they have written on the leader.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program to its end, with these words between spaces.
fn run(words: &str) -> Output {
    let words = words.split_ascii_whitespace();
    Command::new(env!("CARGO_BIN_EXE_sqlite-follower")).args(words).output().unwrap()
}

/// Runs it with so many reads, and expects all of them to be made, on all shards, and none stale.
fn reads_its_writes(words: &str, reads: u64) -> Value {
    let output = run(&format!("{words} --reads {reads} --json"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}: {}\n{said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report, "read_your_writes"), reads);
    let shards = report["read_your_writes_by_shard"].as_object().unwrap();
    let shards: Vec<u64> = shards.values().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!((shards.len(), shards.iter().sum()), (4, reads));
    assert!(shards.iter().all(|n| *n >= reads / 4 - 4), "not spread over all shards: {shards:?}");
    assert!(number(&report, "read_your_writes_waited") > reads / 4, "nobody had to wait");
    report
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn clients_read_their_own_writes_while_both_processes_are_killed() {
    let words = "--transactions 8000 --kills 12 --leader-kills 6 --log-frames 500";
    let report = reads_its_writes(words, 600);
    assert_eq!((number(&report, "kills"), number(&report, "leader_kills")), (12, 6));
    assert!(number(&report, "read_your_writes_asked_again") > 0, "no kill met a client that waits");
}

#[test]
fn clients_read_their_own_writes_where_power_cuts_take_what_was_written() {
    let words = "--transactions 800 --kills 3 --leader-kills 6 --log-frames 300 --drop-page-cache";
    reads_its_writes(words, 200);
}

#[test]
fn one_thread_serves_four_shards_and_more_threads_than_shards_do_no_harm() {
    for threads in [1, 9] {
        let words = format!("--transactions 800 --kills 2 --threads {threads}");
        let report = reads_its_writes(&words, 100);
        assert_eq!(number(&report, "threads"), threads);
    }
}

#[test]
fn a_follower_that_does_not_wait_for_what_a_client_has_written_is_found_out() {
    // A temporary folder of the program's own would be kept for whoever wants to know more.
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let output = run(&format!("--transactions 8000 --kills 0 --sabotage skip-wait --dir {dir}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in ["a stale read of shard", "has written", "with the token", "and has read"] {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
}
