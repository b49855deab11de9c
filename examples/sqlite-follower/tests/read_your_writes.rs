//! Clients read on the follower what they wrote on the leader.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use example_support::testing::{Program, number};
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_sqlite-follower"));

/// Runs the program, and asserts that clients make this number of reads, none stale, over all
/// shards.
fn run_with_reads(args: &str, reads: u64) -> Value {
    let report = PROGRAM.report(&format!("{args} --reads {reads}"));
    assert_eq!(number(&report, "read_your_writes"), reads);
    let shards = report["read_your_writes_by_shard"].as_object().unwrap();
    let shards: Vec<u64> = shards.values().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!((shards.len(), shards.iter().sum()), (4, reads));
    assert!(shards.iter().all(|n| *n >= reads / 4 - 4), "not spread over all shards: {shards:?}");
    assert!(number(&report, "read_your_writes_waited") > reads / 4, "too few had to wait");
    report
}

#[test]
fn clients_read_their_own_writes_while_both_processes_are_killed() {
    let args = "--transactions 8000 --kills 12 --leader-kills 6 --log-frames 500";
    let report = run_with_reads(args, 600);
    assert_eq!((number(&report, "kills"), number(&report, "leader_kills")), (12, 6));
    assert!(number(&report, "read_your_writes_asked_again") > 0, "no kill hit a waiting client");
}

#[test]
fn clients_read_their_own_writes_although_power_cuts_undo_some() {
    let args = "--transactions 800 --kills 3 --leader-kills 6 --log-frames 300 --drop-page-cache";
    run_with_reads(args, 200);
}

#[test]
fn fewer_or_more_threads_than_shards_serve_all_shards() {
    for threads in [1, 9] {
        let args = format!("--transactions 800 --kills 2 --threads {threads}");
        let report = run_with_reads(&args, 100);
        assert_eq!(number(&report, "threads"), threads);
    }
}

#[test]
fn a_mutant_that_reads_without_waiting_is_caught() {
    let words = ["stale read on shard", " wrote ", "with the token", "but read"];
    PROGRAM.fails("--transactions 8000 --kills 0 --mutant skip-wait", &words);
}
