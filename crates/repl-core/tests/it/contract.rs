//! Each call of `ReplicationState` does what its documentation says.

use std::collections::HashMap;

use repl_core::{
    Advance, AppliedSet, ApplyWindow, Incarnation, LogId, NewShard, ReplicationState, Shard,
    ShardId, Snapshot,
};

#[test]
fn new_tracks_the_given_shards_with_nothing_applied() {
    let state = ReplicationState::new(&[ShardId(3), ShardId(1), ShardId(u64::MAX)]);
    for shard in [1, 3, u64::MAX].map(ShardId) {
        assert_eq!(state.applied_seqno(shard), Some(0));
        let handle = state.shard(shard).unwrap();
        assert_eq!(handle.id(), shard);
        assert_eq!(handle.log(), LogId::UNNAMED);
        assert!(!handle.is_removed());
    }
    assert_eq!(state.applied_seqno(ShardId(0)), None);
    assert_eq!(state.snapshot().len(), 3);
}

#[test]
fn duplicate_ids_collapse() {
    let state = ReplicationState::new(&[2, 1, 2, 2, 1].map(ShardId));
    let shards: Vec<_> = state.snapshot().iter().collect();
    assert_eq!(shards, [(ShardId(1), 0), (ShardId(2), 0)]);
    assert_eq!(state.advance(ShardId(2), 9), Advance::Advanced { from: 0 });
    assert_eq!(state.shard(ShardId(2)).unwrap().applied(), 9);
}

#[test]
fn no_shards_at_all_is_legal() {
    for state in [ReplicationState::new(&[]), ReplicationState::default()] {
        assert!(state.snapshot().is_empty());
        assert_eq!(state.advance(ShardId(0), 1), Advance::UnknownShard);
        assert_eq!(state.snapshot().next_incarnation(), Incarnation(0));
        state.add_shard(NewShard::new(ShardId(0))).unwrap();
        assert_eq!(state.applied_seqno(ShardId(0)), Some(0));
    }
}

#[test]
fn single_tracks_shard_0_and_no_other() {
    let state = ReplicationState::single();
    assert_eq!(ShardId::SINGLE, ShardId(0));
    let shards: Vec<_> = state.snapshot().iter().collect();
    assert_eq!(shards, [(ShardId(0), 0)]);
    assert_eq!(state.applied_seqno(ShardId(1)), None);
}

#[test]
fn an_unknown_shard_is_reported_and_not_added() {
    let state = ReplicationState::new(&[ShardId(1)]);
    assert_eq!(state.advance(ShardId(2), 5), Advance::UnknownShard);
    assert_eq!(state.applied_seqno(ShardId(2)), None);
    assert!(state.shard(ShardId(2)).is_none());
    assert!(state.remove_shard(ShardId(2)).is_none());
    assert!(state.reset_shard(NewShard::new(ShardId(2)).with_mark(5)).is_none());
    assert_eq!(state.snapshot().mark(ShardId(2)), None);
}

#[test]
fn a_smaller_or_equal_seqno_changes_nothing() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    assert_eq!(shard.advance(0), Advance::Stale { at: 0 });
    assert_eq!(shard.advance(5), Advance::Advanced { from: 0 });
    for stale in [5, 4, 0] {
        assert_eq!(shard.advance(stale), Advance::Stale { at: 5 });
        assert_eq!(state.advance(shard.id(), stale), Advance::Stale { at: 5 });
    }
    assert_eq!(state.applied_seqno(shard.id()), Some(5));
    assert_eq!(state.advance(shard.id(), 6), Advance::Advanced { from: 5 });
}

#[test]
fn a_shard_at_the_last_seqno_never_moves_again() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    assert_eq!(state.advance(ShardId(1), u64::MAX), Advance::Advanced { from: 0 });
    let at_the_end = Advance::Stale { at: u64::MAX };
    for seqno in [u64::MAX, u64::MAX - 1, 0] {
        assert_eq!(state.advance(ShardId(1), seqno), at_the_end);
    }
    let shard = state.shard(ShardId(1)).unwrap();
    assert_eq!(shard.advance_from(u64::MAX, u64::MAX), at_the_end);
    assert_eq!(state.snapshot().mark(ShardId(1)), Some(u64::MAX));
    assert_eq!(state.applied_seqno(ShardId(2)), Some(0));
}

#[test]
fn advance_from_moves_only_where_nothing_is_missing() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    assert_eq!(shard.advance_from(1, 2), Advance::Gap { at: 0 });
    assert_eq!(shard.applied(), 0);
    assert_eq!(shard.advance_from(0, 1), Advance::Advanced { from: 0 });
    assert_eq!(shard.advance_from(0, 1), Advance::Stale { at: 1 });
    assert_eq!(shard.advance_from(1, 10), Advance::Advanced { from: 1 });
    assert_eq!(shard.advance_from(4, 12), Advance::Advanced { from: 10 }, "overlapping segments");
    assert_eq!(shard.advance_from(13, 14), Advance::Gap { at: 12 });
    assert_eq!(
        shard.advance_from(40, 12),
        Advance::Stale { at: 12 },
        "stale, whatever was expected"
    );
    assert_eq!(shard.advance_from(40, 11), Advance::Stale { at: 12 });
    assert_eq!(shard.applied(), 12);
}

#[test]
fn snapshot_holds_every_shard_with_its_own_mark() {
    let state = ReplicationState::new(&[9, 4, 6, 1].map(ShardId));
    for shard in [1, 4, 6, 9] {
        state.advance(ShardId(shard), shard * 10);
    }
    let snapshot = state.snapshot();
    let ascending: Vec<_> = [1, 4, 6, 9].map(|s| (ShardId(s), s * 10)).into();
    assert_eq!(snapshot.iter().collect::<Vec<_>>(), ascending);
    assert_eq!(snapshot.marks(), [10, 40, 60, 90]);
    let by_id: HashMap<ShardId, u64> = snapshot.iter().collect();
    assert_eq!((by_id.len(), by_id[&ShardId(6)]), (4, 60));

    state.advance(ShardId(4), 41);
    assert_eq!(snapshot.mark(ShardId(4)), Some(40), "a snapshot holds values");
}

#[test]
fn a_snapshot_ascends_in_whatever_order_shards_were_added_and_removed() {
    let state = ReplicationState::new(&[ShardId(5), ShardId(2)]);
    for (shard, mark) in [(9, 90), (1, 10), (4, 40)] {
        state.add_shard(NewShard::new(ShardId(shard)).with_mark(mark)).unwrap();
    }
    state.remove_shard(ShardId(5)).unwrap();
    state.advance(ShardId(2), 20);
    let expected = [(1, 10), (2, 20), (4, 40), (9, 90)].map(|(s, m)| (ShardId(s), m));
    assert_eq!(state.snapshot().iter().collect::<Vec<_>>(), expected);
    for (shard, mark) in expected {
        assert_eq!(state.applied_seqno(shard), Some(mark));
    }
}

#[test]
fn a_clone_of_the_state_shares_nothing() {
    let state = ReplicationState::new(&[ShardId(1)]);
    let log = LogId(0xfeed);
    state.add_shard(NewShard::new(ShardId(2)).with_mark(7).with_log(log)).unwrap();
    let copy = state.clone();
    let entries = |state: &ReplicationState| state.snapshot().entries().collect::<Vec<_>>();
    assert_eq!(entries(&copy), entries(&state));
    assert_eq!(copy.snapshot().next_incarnation(), state.snapshot().next_incarnation());

    state.advance(ShardId(1), 5);
    copy.advance(ShardId(2), 8);
    copy.remove_shard(ShardId(1)).unwrap();
    assert_eq!(state.applied_seqno(ShardId(1)), Some(5));
    assert_eq!(state.applied_seqno(ShardId(2)), Some(7));
    assert_eq!(copy.applied_seqno(ShardId(1)), None);
    assert_eq!(copy.applied_seqno(ShardId(2)), Some(8));
}

#[test]
fn a_clone_of_a_handle_shares_the_mark() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    shard.clone().advance(3);
    assert_eq!(shard.applied(), 3);
    assert_eq!(state.applied_seqno(ShardId::SINGLE), Some(3));
}

#[test]
fn states_handles_and_snapshots_are_send_and_sync() {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    send_and_sync::<ReplicationState>();
    send_and_sync::<Shard>();
    send_and_sync::<Snapshot>();
}

#[test]
fn debug_output_shows_the_marks() {
    let state = ReplicationState::new(&[ShardId(1)]);
    state.advance(ShardId(1), 42);
    assert_eq!(format!("{state:?}"), "ReplicationState({1: ..=42})");
    let shard = state.shard(ShardId(1)).unwrap();
    assert_eq!(format!("{shard:?}"), "Shard { id: ShardId(1), applied: 42, removed: false, .. }");
}

#[test]
fn the_state_lists_and_counts_its_shards_ascending() {
    let state = ReplicationState::new(&[9, 4, 6].map(ShardId));
    state.add_shard(NewShard::new(5)).unwrap();
    state.remove_shard(ShardId(9)).unwrap();
    assert_eq!(state.shards(), [4, 5, 6].map(ShardId));
    assert_eq!((state.len(), state.is_empty()), (3, false));
    for shard in state.shards() {
        state.remove_shard(shard).unwrap();
    }
    assert_eq!((state.shards(), state.len(), state.is_empty()), (vec![], 0, true));
}

#[test]
fn marks_are_a_snapshot_without_ranges() {
    let state = ReplicationState::new(&[1, 2].map(ShardId));
    let shard = state.shard(ShardId(1)).unwrap();
    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    shard.advance(3);
    window.complete(5).unwrap();
    shard.complete(90);
    let (marks, mut snapshot) = (state.marks(), state.snapshot());
    assert_eq!(snapshot.applied_set(ShardId(1)), Some(AppliedSet::new(3, [5, 90])));
    assert_eq!(marks.applied_set(ShardId(1)), Some(AppliedSet::up_to(3)));
    assert_ne!(marks, snapshot);
    snapshot.drop_above(ShardId(1));
    assert_eq!(marks, snapshot);
}
