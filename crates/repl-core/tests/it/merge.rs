//! Merging a snapshot advances every tracked shard to it, and reports the others.

use repl_core::{NewShard, ReplicationState, ShardId, Snapshot};

fn snapshot(marks: &[(u64, u64)]) -> Snapshot {
    marks.iter().map(|(shard, mark)| (ShardId(*shard), *mark)).collect()
}

#[test]
fn merge_raises_and_never_lowers() {
    let state = ReplicationState::new(&[1, 2, 3].map(ShardId));
    state.merge(&snapshot(&[(1, 10), (2, 20)]));
    let merged = state.merge(&snapshot(&[(1, 5), (2, 21), (3, 0)]));
    assert_eq!(merged.moved, 1);
    assert!(merged.unknown.is_empty());
    assert_eq!(state.snapshot(), snapshot(&[(1, 10), (2, 21), (3, 0)]));
}

#[test]
fn merge_reports_unknown_shards_and_adds_none() {
    let state = ReplicationState::new(&[ShardId(2)]);
    let merged = state.merge(&snapshot(&[(9, 1), (1, 10), (2, 2), (5, 0)]));
    assert_eq!(merged.moved, 1);
    assert_eq!(merged.unknown, [1, 5, 9].map(ShardId));
    assert_eq!(state.snapshot(), snapshot(&[(2, 2)]));
}

#[test]
fn merging_again_changes_nothing() {
    let state = ReplicationState::new(&[1, 2].map(ShardId));
    let marks = snapshot(&[(1, 7), (2, u64::MAX)]);
    assert_eq!(state.merge(&marks).moved, 2);
    assert_eq!(state.merge(&marks).moved, 0);
    assert_eq!(state.snapshot(), marks);
    assert_eq!(state.merge(&Snapshot::default()).moved, 0);
}

#[test]
fn merge_matches_by_id_whatever_the_life() {
    let state = ReplicationState::new(&[ShardId(1)]);
    state.advance(ShardId(1), 9);
    let of_the_first_life = state.snapshot();
    state.reset_shard(NewShard::new(ShardId(1)).with_mark(2)).unwrap();
    assert_eq!(state.merge(&of_the_first_life).moved, 1);
    assert_eq!(state.applied_seqno(ShardId(1)), Some(9));
}
