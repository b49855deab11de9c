//! Runs of the whole program, as a user starts it.

use example_support::testing::{Program, number};

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_tokio-service"));

/// Runs the program with a mutant, and asserts that this fault is found.
fn is_caught(mutant: &str, kills: u64, fault: &[&str]) {
    PROGRAM.fails(&format!("--mutant {mutant} --kills {kills} --seed 3"), fault);
}

#[test]
fn killed_20_times_the_data_of_each_shard_ends_equal_to_its_log() {
    let report = PROGRAM.report("--kills 20 --seed 1");
    assert_eq!(number(&report, "kills"), 20);
    // The kills hit what the run claims to survive.
    for count in ["replayed", "shards_replaced", "deleted"] {
        assert!(number(&report, count) > 0, "{count}: {report}");
    }
}

#[test]
fn after_a_shutdown_a_restart_applies_no_segment_again() {
    let report = PROGRAM.report("--kills 0 --seed 2");
    for count in ["kills", "replayed", "replayed_after_shutdown"] {
        assert_eq!(number(&report, count), 0, "{count}: {report}");
    }
    assert!(number(&report, "segments") > 0, "{report}");
}

#[test]
fn clients_read_their_own_writes_while_the_service_is_killed() {
    let report = PROGRAM.report("--kills 5 --seed 4");
    assert!(number(&report, "reads") > 100, "{report}");
    assert_eq!(number(&report, "stale_reads"), 0, "{report}");
}

#[test]
fn a_mutant_that_saves_the_marks_before_the_flush_is_caught() {
    is_caught("save-before-flush", 20, &["segment ", " is lost: a saved mark is "]);
}

#[test]
fn a_mutant_that_changes_the_state_before_the_list_is_caught() {
    is_caught("state-before-list", 20, &["has a mark, but is not in the list of shards"]);
}

#[test]
fn a_mutant_that_drops_data_that_a_checkpoint_names_is_caught() {
    is_caught("drop-data-early", 20, &["segment ", " is lost: a saved mark is "]);
}

#[test]
fn a_mutant_that_reads_without_waiting_is_caught() {
    is_caught("read-without-waiting", 1, &[" reads of clients were stale"]);
}

#[test]
fn a_mutant_that_takes_no_last_checkpoint_is_caught() {
    is_caught("shutdown-without-save", 0, &[" segments were applied again after the shutdown"]);
}
