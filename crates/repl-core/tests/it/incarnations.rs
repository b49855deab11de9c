//! Removing, resetting, rewinding and adding again end one incarnation and begin another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::StopAtEnd;
use repl_core::{Advance, AppliedSet, LogId, NewShard, ReplicationState, ShardId, SnapshotEntry};

const SHARD: ShardId = ShardId(1);

#[test]
fn a_removed_shard_is_unknown_and_its_handles_keep_the_last_mark() {
    let state = ReplicationState::new(&[SHARD, ShardId(2)]);
    let old = state.shard(SHARD).unwrap();
    old.advance(30);
    let ended = state.remove_shard(SHARD).unwrap();
    assert_eq!(ended.incarnation(), old.incarnation());
    assert_eq!(state.applied_seqno(SHARD), None);
    assert_eq!(state.advance(SHARD, 31), Advance::UnknownShard);
    assert!(state.shard(SHARD).is_none());
    for handle in [old, ended] {
        assert!(handle.is_removed());
        for stale_or_new in [0, 30, 31, u64::MAX] {
            assert_eq!(handle.advance(stale_or_new), Advance::Removed);
        }
        assert_eq!(handle.advance_from(30, 31), Advance::Removed);
        assert_eq!(
            handle.advance_from(99, 100),
            Advance::Removed,
            "removed, although it would be a gap"
        );
        assert_eq!(handle.applied(), 30);
    }
    assert!(state.remove_shard(SHARD).is_none());
    assert_eq!(state.applied_seqno(ShardId(2)), Some(0));
}

#[test]
fn a_reset_begins_a_new_incarnation_at_the_given_mark() {
    for start in [0, 5, 30, 31, u64::MAX] {
        let state = ReplicationState::new(&[SHARD]);
        let old = state.shard(SHARD).unwrap();
        old.advance(30);
        let new =
            state.reset_shard(NewShard::new(SHARD).with_mark(start).with_log(LogId(9))).unwrap();
        assert!(new.incarnation() > old.incarnation());
        assert_eq!((new.id(), new.log(), new.applied()), (SHARD, LogId(9), start));
        assert!(old.is_removed() && !new.is_removed());
        assert_eq!(old.advance(40), Advance::Removed);
        assert_eq!((old.applied(), old.log()), (30, LogId::UNNAMED));
        assert_eq!(state.applied_seqno(SHARD), Some(start));
        assert_eq!(state.shard(SHARD).unwrap().incarnation(), new.incarnation());
        assert_eq!(state.snapshot().entry(SHARD).unwrap().incarnation, new.incarnation());
    }
}

#[test]
fn a_shard_added_again_does_not_inherit_its_old_mark() {
    let state = ReplicationState::new(&[SHARD]);
    let first = state.shard(SHARD).unwrap();
    first.advance(100);
    state.remove_shard(SHARD).unwrap();
    let second = state.add_shard(NewShard::new(SHARD)).unwrap();
    assert_eq!(second.applied(), 0);
    assert_eq!(second.advance(1), Advance::Advanced { from: 0 });
    assert_eq!(first.applied(), 100);
    assert_eq!(first.advance(200), Advance::Removed);
    assert_eq!(state.applied_seqno(SHARD), Some(1));
}

#[test]
fn no_incarnation_is_used_twice() {
    let state = ReplicationState::new(&[SHARD, ShardId(2)]);
    let mut last = state.shard(SHARD).unwrap().incarnation();
    for round in 0..50 {
        let shard = if round % 2 == 0 { SHARD } else { ShardId(2) };
        state.reset_shard(NewShard::new(shard)).unwrap();
        let reset = state.shard(shard).unwrap().incarnation();
        state.remove_shard(shard).unwrap();
        let added = state.add_shard(NewShard::new(shard)).unwrap().incarnation();
        assert!(last < reset && reset < added);
        assert!(added < state.snapshot().next_incarnation());
        last = added;
    }
}

#[test]
fn add_shards_is_all_or_nothing() {
    let state = ReplicationState::new(&[ShardId(5)]);
    state.advance(ShardId(5), 50);
    let before = state.snapshot();
    let new = |id: u64| NewShard::new(ShardId(id)).with_mark(id);

    let tracked = state.add_shards(&[new(6), new(5), new(4)]).unwrap_err();
    assert_eq!(tracked.shard, ShardId(5));
    let doubled = state.add_shards(&[new(7), new(6), new(7)]).unwrap_err();
    assert_eq!(doubled.shard, ShardId(7));
    assert_eq!(state.add_shard(new(5)).unwrap_err().shard, ShardId(5));
    assert!(tracked.to_string().contains("shard 5 is already tracked"));
    assert_eq!(state.snapshot(), before);
    assert_eq!(state.snapshot().next_incarnation(), before.next_incarnation());
    assert!(state.shard(ShardId(6)).is_none());

    state.add_shards(&[new(6), new(4)]).unwrap();
    let shards: Vec<_> = state.snapshot().iter().collect();
    assert_eq!(shards, [(4, 4), (5, 50), (6, 6)].map(|(s, m)| (ShardId(s), m)));
    state.add_shards(&[]).unwrap();
    assert_eq!(state.snapshot().len(), 3);
}

#[test]
fn a_handle_outlives_its_state_and_its_neighbours() {
    let state = ReplicationState::new(&[1, 2, 3].map(ShardId));
    let middle = state.shard(ShardId(2)).unwrap();
    state.remove_shard(ShardId(1)).unwrap();
    state.remove_shard(ShardId(3)).unwrap();
    assert_eq!(middle.advance(2), Advance::Advanced { from: 0 });
    assert_eq!(state.applied_seqno(ShardId(2)), Some(2));
    drop(state);
    assert_eq!(middle.advance(3), Advance::Advanced { from: 2 });
}

/// Two threads advance through handles of every incarnation while a third ends each at once.
#[test]
fn after_a_removal_no_advance_on_an_old_handle_moves_a_mark() {
    let state = ReplicationState::new(&[SHARD]);
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop = StopAtEnd(&stop);
        for _ in 0..2 {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(shard) = state.shard(SHARD) else { continue };
                    while shard.advance(shard.applied() + 1_000_000) != Advance::Removed
                        && !stop.load(Ordering::Relaxed)
                    {}
                }
            });
        }
        for _ in 0..2_000 {
            let old = state.remove_shard(SHARD).unwrap();
            assert_eq!(old.advance(u64::MAX), Advance::Removed);
            assert!(old.applied() < u64::MAX);
            let new = state.add_shard(NewShard::new(SHARD).with_mark(7)).unwrap();
            assert_eq!(
                new.applied() % 1_000_000,
                7,
                "raised through a handle of another incarnation"
            );
        }
    });
}

#[test]
fn a_rewind_keeps_the_log_and_drops_the_ranges() {
    for to in [0, 7, 10, 11, 40, u64::MAX] {
        let state = ReplicationState::new(&[ShardId(2)]);
        let log = LogId(0xfeed);
        let old = state.add_shard(NewShard::new(SHARD).with_mark(10).with_log(log)).unwrap();
        old.complete(20..=29);
        let new = state.rewind_shard(SHARD, to).unwrap();
        assert_eq!((new.id(), new.log()), (SHARD, log));
        assert_eq!(new.applied_set(), AppliedSet::up_to(to));
        assert!(new.incarnation() > old.incarnation());
        assert!(!new.is_removed() && old.is_removed());
        assert_eq!((old.advance(50), old.applied()), (Advance::Removed, 10));
        let entry = SnapshotEntry::new(SHARD, AppliedSet::up_to(to)).with_log(log);
        let entry = entry.with_incarnation(new.incarnation());
        assert_eq!(state.snapshot().entry(SHARD), Some(entry));
        assert_eq!(state.applied_seqno(ShardId(2)), Some(0));
    }
}

#[test]
fn a_rewind_of_an_unknown_shard_changes_nothing() {
    let state = ReplicationState::new(&[ShardId(2)]);
    let before = state.snapshot();
    assert!(state.rewind_shard(SHARD, 5).is_none());
    assert_eq!(state.snapshot(), before);
}

#[test]
fn a_reset_takes_the_log_that_is_given() {
    let state = ReplicationState::default();
    state.add_shard(NewShard::new(SHARD).with_log(LogId(7))).unwrap();
    let reset = state.reset_shard(NewShard::new(SHARD)).unwrap();
    assert_eq!(reset.log(), LogId::UNNAMED, "only a rewind keeps the log");
}
