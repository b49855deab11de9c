//! Merging a snapshot advances the tracked shards of the same log to it, and reports the others.

use repl_core::{
    AppliedSet, LogId, NewShard, ReplicationState, Shard, ShardId, Snapshot, SnapshotEntry,
};

fn snapshot(marks: &[(u64, u64)]) -> Snapshot {
    marks.iter().map(|(shard, mark)| (ShardId(*shard), *mark)).collect()
}

#[test]
fn merge_raises_and_never_lowers() {
    let state = ReplicationState::new(&[1, 2, 3].map(ShardId));
    let _ = state.merge(&snapshot(&[(1, 10), (2, 20)]));
    let merged = state.merge(&snapshot(&[(1, 5), (2, 21), (3, 0)]));
    assert_eq!(merged.advanced, 1);
    assert!(merged.unknown.is_empty());
    assert_eq!(state.snapshot(), snapshot(&[(1, 10), (2, 21), (3, 0)]));
}

#[test]
fn merge_reports_unknown_shards_and_adds_none() {
    let state = ReplicationState::new(&[ShardId(2)]);
    let merged = state.merge(&snapshot(&[(9, 1), (1, 10), (2, 2), (5, 0)]));
    assert_eq!(merged.advanced, 1);
    assert_eq!(merged.unknown, [1, 5, 9].map(ShardId));
    assert_eq!(state.snapshot(), snapshot(&[(2, 2)]));
}

#[test]
fn merging_again_changes_nothing() {
    let state = ReplicationState::new(&[1, 2].map(ShardId));
    let marks = snapshot(&[(1, 7), (2, u64::MAX)]);
    assert_eq!(state.merge(&marks).advanced, 2);
    assert_eq!(state.merge(&marks).advanced, 0);
    assert_eq!(state.snapshot(), marks);
    assert_eq!(state.merge(&Snapshot::default()).advanced, 0);
}

#[test]
fn merge_matches_by_id_whatever_the_incarnation() {
    let state = ReplicationState::new(&[ShardId(1)]);
    state.advance(ShardId(1), 9);
    let of_the_first_incarnation = state.snapshot();
    state.reset_shard(NewShard::new(ShardId(1)).with_mark(2)).unwrap();
    assert_eq!(state.merge(&of_the_first_incarnation).advanced, 1);
    assert_eq!(state.applied_seqno(ShardId(1)), Some(9));
}

const A: LogId = LogId(0xa);
const B: LogId = LogId(0xb);

/// One shard of a log, at mark 9 and with 12 completed.
fn of_log(shard: u64, log: LogId) -> SnapshotEntry {
    SnapshotEntry::new(shard, AppliedSet::new(9, [12])).with_log(log)
}

fn tracking(log: LogId) -> (ReplicationState, Shard) {
    let state = ReplicationState::default();
    let shard = state.add_shard(NewShard::new(ShardId(1)).with_mark(4).with_log(log)).unwrap();
    (state, shard)
}

#[test]
fn merge_refuses_another_named_log_and_leaves_the_mark_and_the_ranges() {
    for (ours, theirs) in [(A, B), (B, A)] {
        let (state, shard) = tracking(ours);
        shard.complete(6);
        let merged = state.merge(&Snapshot::from_iter([of_log(1, theirs)]));
        assert_eq!((merged.advanced, merged.other_log), (0, vec![ShardId(1)]));
        assert!(merged.unknown.is_empty());
        assert_eq!(shard.applied_set(), AppliedSet::new(4, [6]));
        assert_eq!(shard.log(), ours);
    }
}

#[test]
fn merge_matches_the_same_log_and_unnamed_logs() {
    for (ours, theirs) in [(A, A), (A, LogId::UNNAMED), (LogId::UNNAMED, B)] {
        let (state, shard) = tracking(ours);
        let merged = state.merge(&Snapshot::from_iter([of_log(1, theirs)]));
        assert_eq!((merged.advanced, merged.other_log), (1, vec![]));
        assert_eq!(shard.applied_set(), AppliedSet::new(9, [12]));
        assert_eq!(shard.log(), ours, "merging changes no log");
    }
}

#[test]
fn merge_reports_shards_of_other_logs_ascending_and_merges_the_rest() {
    let state = ReplicationState::default();
    for (shard, log) in [(7, A), (3, B), (5, A), (2, A)] {
        state.add_shard(NewShard::new(shard).with_log(log)).unwrap();
    }
    let theirs: Snapshot = [1, 2, 3, 5, 7].map(|shard| of_log(shard, B)).into_iter().collect();
    let merged = state.merge(&theirs);
    assert_eq!(merged.other_log, [2, 5, 7].map(ShardId));
    assert_eq!(merged.unknown, [ShardId(1)]);
    assert_eq!(merged.advanced, 1);
    let marks: Vec<_> = state.snapshot().iter().collect();
    assert_eq!(marks, [(2, 0), (3, 9), (5, 0), (7, 0)].map(|(s, m)| (ShardId(s), m)));
    assert_eq!(state.snapshot().applied_set(ShardId(3)), Some(AppliedSet::new(9, [12])));
}

#[test]
fn merge_counts_a_mark_that_moves_over_a_range_of_the_snapshot() {
    let (state, shard) = tracking(A);
    shard.advance(11);
    let merged = state.merge(&Snapshot::from_iter([of_log(1, A)]));
    assert_eq!((shard.applied(), merged.advanced), (12, 1));
}
