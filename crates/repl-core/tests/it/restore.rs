//! A state that is restored from what was saved is the state that was saved.

use proptest::prelude::*;
use repl_core::{Incarnation, LogId, NewShard, ReplicationState, ShardId, Snapshot, SnapshotEntry};

fn entry(shard: u64, incarnation: u64, mark: u64) -> SnapshotEntry {
    SnapshotEntry {
        shard: ShardId(shard),
        log: LogId(u128::from(shard) << 70),
        incarnation: Incarnation(incarnation),
        mark,
    }
}

fn whole(snapshot: &Snapshot) -> (Vec<SnapshotEntry>, Incarnation) {
    (snapshot.entries().collect(), snapshot.next_incarnation())
}

#[test]
fn a_round_trip_keeps_every_mark_log_and_incarnation() {
    let state = ReplicationState::new(&[4, 2].map(ShardId));
    state
        .add_shard(NewShard::new(ShardId(3)).with_mark(u64::MAX).with_log(LogId(u128::MAX)))
        .unwrap();
    state.reset_shard(NewShard::new(ShardId(4)).with_mark(17)).unwrap();
    let saved = state.snapshot();
    let back = ReplicationState::restore(saved.entries(), saved.next_incarnation());
    assert_eq!(whole(&back.snapshot()), whole(&saved));
    let added = back.add_shard(NewShard::new(ShardId(9))).unwrap();
    assert_eq!(added.incarnation(), saved.next_incarnation());
}

#[test]
fn where_a_shard_is_given_twice_the_later_entry_counts() {
    let state = ReplicationState::restore(
        [entry(1, 5, 50), entry(2, 1, 3), entry(1, 2, 7)],
        Incarnation(9),
    );
    let entries: Vec<_> = state.snapshot().entries().collect();
    assert_eq!(entries, [entry(1, 2, 7), entry(2, 1, 3)]);
    assert_eq!(state.applied_seqno(ShardId(1)), Some(7));
}

#[test]
fn a_next_incarnation_that_was_used_already_is_raised() {
    for next in [0, 3, 6, 7] {
        let state = ReplicationState::restore([entry(1, 6, 0), entry(2, 3, 0)], Incarnation(next));
        assert_eq!(state.snapshot().next_incarnation(), Incarnation(7));
    }
    let state = ReplicationState::restore([entry(1, 6, 0)], Incarnation(40));
    assert_eq!(state.snapshot().next_incarnation(), Incarnation(40));
    let state = ReplicationState::restore([], Incarnation(40));
    assert_eq!(state.add_shard(NewShard::new(ShardId(1))).unwrap().incarnation(), Incarnation(40));
}

#[test]
fn incarnations_that_have_run_out_do_not_wrap() {
    let state = ReplicationState::restore([entry(1, u64::MAX, 4)], Incarnation(0));
    assert_eq!(state.snapshot().next_incarnation(), Incarnation(u64::MAX));
    let added = state.add_shard(NewShard::new(ShardId(2))).unwrap();
    assert_eq!(added.incarnation(), Incarnation(u64::MAX));
    assert_eq!(state.applied_seqno(ShardId(1)), Some(4));
}

proptest! {
    #[test]
    fn any_entries_come_back(
        entries in prop::collection::btree_map(any::<u64>(), (0..1000_u64, any::<u64>()), 0..40),
        next in 0..2000_u64,
    ) {
        let entries: Vec<_> =
            entries.into_iter().map(|(shard, (inc, mark))| entry(shard, inc, mark)).collect();
        let shuffled = entries.iter().rev().copied();
        let state = ReplicationState::restore(shuffled, Incarnation(next));
        let snapshot = state.snapshot();
        prop_assert_eq!(snapshot.entries().collect::<Vec<_>>(), entries.clone());
        for e in &entries {
            prop_assert_eq!(state.applied_seqno(e.shard), Some(e.mark));
            let handle = state.shard(e.shard).unwrap();
            prop_assert_eq!((handle.incarnation(), handle.log()), (e.incarnation, e.log));
            prop_assert!(snapshot.next_incarnation() > e.incarnation);
        }
        prop_assert_eq!(whole(&state.clone().snapshot()), whole(&snapshot));
    }
}
