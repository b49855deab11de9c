//! A state that is restored from what was saved is the state that was saved.

use std::collections::BTreeMap;

use proptest::prelude::*;
use repl_core::{
    AppliedSet, Incarnation, LogId, NewShard, ReplicationState, ShardId, Snapshot, SnapshotBuilder,
    SnapshotEntry,
};

use crate::{above, ranges};

fn entry(shard: u64, incarnation: u64, applied: AppliedSet) -> SnapshotEntry {
    SnapshotEntry::new(shard, applied)
        .with_log(LogId(u128::from(shard) << 70))
        .with_incarnation(Incarnation(incarnation))
}

fn up_to(shard: u64, incarnation: u64, mark: u64) -> SnapshotEntry {
    entry(shard, incarnation, AppliedSet::up_to(mark))
}

fn restored<const N: usize>(entries: [SnapshotEntry; N], next: u64) -> ReplicationState {
    let snapshot = Snapshot::from_iter(entries).with_next_incarnation(Incarnation(next));
    ReplicationState::restore(&snapshot)
}

#[test]
fn a_round_trip_keeps_every_mark_log_and_incarnation() {
    let state = ReplicationState::new(&[4, 2].map(ShardId));
    state
        .add_shard(NewShard::new(ShardId(3)).with_mark(u64::MAX).with_log(LogId(u128::MAX)))
        .unwrap();
    state.reset_shard(NewShard::new(ShardId(4)).with_mark(17)).unwrap();
    let saved = state.snapshot();
    let back = ReplicationState::restore(&saved);
    assert_eq!(back.snapshot(), saved);
    let added = back.add_shard(NewShard::new(ShardId(9))).unwrap();
    assert_eq!(added.incarnation(), saved.next_incarnation());
}

#[test]
fn a_round_trip_keeps_every_range_and_the_mark_moves_over_it() {
    let saved = AppliedSet::new(4, ranges(&[(6, 7), (9, 9), (70_000, u64::MAX)]));
    let state = restored([entry(1, 0, saved.clone()), up_to(2, 0, 5)], 1);
    let shard = state.shard(ShardId(1)).unwrap();
    assert_eq!(shard.applied_set(), saved);
    assert_eq!(state.snapshot().applied_set(ShardId(1)), Some(saved));
    assert_eq!(above(&state.shard(ShardId(2)).unwrap()), []);
    shard.advance(5);
    assert_eq!(shard.applied(), 7);
    shard.complete(8..=69_999);
    assert_eq!(shard.applied_set(), AppliedSet::up_to(u64::MAX));
}

#[test]
fn of_two_entries_of_one_shard_the_one_with_the_larger_mark_is_restored() {
    let state = restored([up_to(1, 5, 50), up_to(2, 1, 3), up_to(1, 2, 7)], 9);
    let entries: Vec<_> = state.snapshot().entries().collect();
    assert_eq!(entries, [up_to(1, 5, 50), up_to(2, 1, 3)]);
    assert_eq!(state.applied_seqno(ShardId(1)), Some(50));
}

#[test]
fn a_next_incarnation_that_was_used_already_is_raised() {
    for next in [0, 3, 6, 7] {
        let state = restored([up_to(1, 6, 0), up_to(2, 3, 0)], next);
        assert_eq!(state.snapshot().next_incarnation(), Incarnation(7));
    }
    let state = restored([up_to(1, 6, 0)], 40);
    assert_eq!(state.snapshot().next_incarnation(), Incarnation(40));
    let state = restored([], 40);
    assert_eq!(state.add_shard(NewShard::new(ShardId(1))).unwrap().incarnation(), Incarnation(40));
}

#[test]
fn incarnations_that_have_run_out_do_not_wrap() {
    let state = restored([up_to(1, u64::MAX, 4)], 0);
    assert_eq!(state.snapshot().next_incarnation(), Incarnation(u64::MAX));
    let added = state.add_shard(NewShard::new(ShardId(2))).unwrap();
    assert_eq!(added.incarnation(), Incarnation(u64::MAX));
    assert_eq!(state.applied_seqno(ShardId(1)), Some(4));
}

fn applied() -> impl Strategy<Value = AppliedSet> {
    let range = (any::<u64>(), 0..9_u64).prop_map(|(first, by)| first..=first.saturating_add(by));
    (any::<u64>(), prop::collection::vec(range, 0..4))
        .prop_map(|(mark, ranges)| AppliedSet::new(mark, ranges))
}

proptest! {
    #[test]
    fn any_entries_are_restored(
        entries in prop::collection::btree_map(any::<u64>(), (0..1000_u64, applied()), 0..40),
        next in 0..2000_u64,
    ) {
        let entries: Vec<_> =
            entries.into_iter().map(|(shard, (inc, set))| entry(shard, inc, set)).collect();
        let shuffled: Snapshot = entries.iter().rev().cloned().collect();
        let shuffled = shuffled.with_next_incarnation(Incarnation(next));
        let state = ReplicationState::restore(&shuffled);
        let snapshot = state.snapshot();
        prop_assert_eq!(&snapshot, &shuffled);
        prop_assert_eq!(snapshot.entries().collect::<Vec<_>>(), entries.clone());
        for e in &entries {
            prop_assert_eq!(state.applied_seqno(e.shard), Some(e.mark()));
            let handle = state.shard(e.shard).unwrap();
            prop_assert_eq!((handle.incarnation(), handle.log()), (e.incarnation, e.log));
            prop_assert_eq!(&handle.applied_set(), &e.applied_set);
            prop_assert!(snapshot.next_incarnation() > e.incarnation);
        }
        prop_assert_eq!(state.clone().snapshot(), snapshot);
    }
}

/// Shards 0 to 3999, of which the last ones and every tenth are gone, and a few were added later.
fn with_gaps() -> ReplicationState {
    let state = ReplicationState::new(&(0..4000).map(ShardId).collect::<Vec<_>>());
    let gone: Vec<ShardId> =
        (0..4000).filter(|id| id % 10 == 0 || *id > 3900).map(ShardId).collect();
    state.remove_shards(&gone);
    for id in [20, 400, 3950] {
        state.add_shard(NewShard::new(ShardId(id)).with_mark(id)).unwrap();
    }
    for id in state.shards() {
        state.advance(id, 5 + id.0);
    }
    state
}

#[test]
fn many_shards_with_gaps_are_restored_whole_and_each_is_found() {
    let saved = with_gaps().snapshot();
    let state = ReplicationState::restore(&saved);
    assert_eq!((state.snapshot(), state.len()), (saved.clone(), saved.len()));
    for entry in saved.entries() {
        let shard = state.shard(entry.shard).unwrap();
        let found = (shard.applied(), shard.log(), shard.incarnation());
        assert_eq!(found, (entry.mark(), entry.log, entry.incarnation));
    }
    for gone in [0, 10, 3901, 4000] {
        assert_eq!(state.applied_seqno(ShardId(gone)), None);
    }
}

#[test]
fn a_restored_state_and_its_snapshot_change_apart() {
    let saved = with_gaps().snapshot();
    let state = ReplicationState::restore(&saved);
    let (before, entries) = (saved.len(), saved.entries().collect::<Vec<_>>());
    state.advance(ShardId(1), 1000);
    state.remove_shard(ShardId(2)).unwrap();
    state.add_shards(&[NewShard::new(ShardId(0)), NewShard::new(ShardId(9999))]).unwrap();
    assert_eq!(state.len(), before + 1);
    assert!(state.snapshot().shards().is_sorted());
    assert_eq!(saved.entries().collect::<Vec<_>>(), entries);
    assert_eq!(ReplicationState::restore(&saved).snapshot(), saved);
}

proptest! {
    /// More shards than a run holds.
    #[test]
    fn a_builder_takes_entries_in_any_order(
        ids in proptest::collection::vec((0..900_u64, 0..5_u64), 0..1200),
        sort in any::<bool>(),
    ) {
        let mut ids = ids;
        if sort {
            ids.sort_unstable();
        }
        let mut builder = SnapshotBuilder::new();
        let mut expected = BTreeMap::new();
        for (id, mark) in ids {
            builder.push(up_to(id, mark, mark));
            let larger: &mut u64 = expected.entry(id).or_default();
            *larger = mark.max(*larger);
        }
        let snapshot = builder.build();
        let entries = expected.iter().map(|(id, mark)| up_to(*id, *mark, *mark));
        prop_assert!(snapshot.entries().eq(entries));
        prop_assert_eq!(snapshot.entries().len(), expected.len());
        let next = expected.values().max().map_or(0, |highest| highest + 1);
        prop_assert_eq!(snapshot.next_incarnation(), Incarnation(next));
        prop_assert_eq!(ReplicationState::restore(&snapshot).snapshot(), snapshot);
    }
}
