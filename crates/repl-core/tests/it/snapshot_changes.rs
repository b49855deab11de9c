//! `changes_since` finds what a comparison of every entry finds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use repl_core::{
    AppliedSet, LogId, NewShard, ReplicationState, ShardId, Snapshot, SnapshotChange, SnapshotEntry,
};

/// Enough for several runs of keys and leaves.
const SHARDS: u64 = 1500;

fn every_entry_compared(now: &Snapshot, old: &Snapshot) -> Vec<SnapshotChange> {
    let by_id = |snapshot: &Snapshot| -> BTreeMap<ShardId, SnapshotEntry> {
        snapshot.entries().map(|entry| (entry.shard, entry)).collect()
    };
    let (now, old) = (by_id(now), by_id(old));
    let mut shards: Vec<ShardId> = now.keys().chain(old.keys()).copied().collect();
    shards.sort();
    shards.dedup();
    let change = |shard: ShardId| match (now.get(&shard), old.get(&shard)) {
        (Some(now), None) => Some(SnapshotChange::Added { shard, mark: now.mark() }),
        (None, Some(_)) => Some(SnapshotChange::Removed { shard }),
        (Some(now), Some(old)) if now.incarnation != old.incarnation => {
            Some(SnapshotChange::Reset { shard, mark: now.mark() })
        }
        (Some(now), Some(old)) if now != old => {
            Some(SnapshotChange::Changed { shard, from: old.mark(), to: now.mark() })
        }
        _ => None,
    };
    shards.into_iter().filter_map(change).collect()
}

fn agree(now: &Snapshot, old: &Snapshot) -> Result<(), TestCaseError> {
    let found: Vec<_> = now.changes_since(old).collect();
    prop_assert_eq!(found, every_entry_compared(now, old));
    Ok(())
}

#[derive(Debug, Clone)]
enum Act {
    Advance(u64, u64),
    Complete(u64, u64),
    Add(u64),
    Remove(u64),
    RemoveMany(u64, u64),
    Reset(u64),
    MoveAll,
}

fn act() -> impl Strategy<Value = Act> {
    // Ids near each other, and the first and last ones.
    let id = || prop_oneof![0..SHARDS, 250..260_u64, Just(0), SHARDS - 1..SHARDS + 3];
    prop_oneof![
        6 => (id(), 1..9_u64).prop_map(|(id, by)| Act::Advance(id, by)),
        3 => (id(), 2..12_u64).prop_map(|(id, above)| Act::Complete(id, above)),
        2 => id().prop_map(Act::Add),
        2 => id().prop_map(Act::Remove),
        1 => (id(), 1..300_u64).prop_map(|(id, count)| Act::RemoveMany(id, count)),
        2 => id().prop_map(Act::Reset),
        1 => Just(Act::MoveAll),
    ]
}

fn run(state: &ReplicationState, acts: &[Act]) {
    for act in acts {
        match *act {
            Act::Advance(id, by) => {
                let shard = ShardId(id);
                let mark = state.applied_seqno(shard).unwrap_or(0);
                state.advance(shard, mark + by);
            }
            Act::Complete(id, above) => {
                if let Some(shard) = state.shard(ShardId(id)) {
                    shard.complete(shard.applied() + above);
                }
            }
            Act::Add(id) => drop(state.add_shard(NewShard::new(ShardId(id)))),
            Act::Remove(id) => drop(state.remove_shard(ShardId(id))),
            Act::RemoveMany(id, count) => {
                let shards: Vec<_> = (id..id + count).map(ShardId).collect();
                drop(state.remove_shards(&shards));
            }
            Act::Reset(id) => {
                drop(state.reset_shard(NewShard::new(ShardId(id)).with_mark(1)));
            }
            Act::MoveAll => {
                for shard in state.shards() {
                    state.advance(shard, state.applied_seqno(shard).unwrap_or(0) + 1);
                }
            }
        }
    }
}

fn entry() -> impl Strategy<Value = SnapshotEntry> {
    let set = (0..4_u64, prop::collection::vec(0..9_u64, 0..3))
        .prop_map(|(mark, seqnos)| AppliedSet::new(mark, seqnos));
    (0..600_u64, set, 0..2_u64, 0..3_u64).prop_map(|(shard, set, log, incarnation)| {
        SnapshotEntry::new(shard, set)
            .with_log(LogId::from(log))
            .with_incarnation(repl_core::Incarnation(incarnation))
    })
}

fn by_hand() -> impl Strategy<Value = Snapshot> {
    prop::collection::vec(entry(), 0..500).prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changes_of_one_state_are_those_that_a_comparison_of_every_entry_finds(
        before in prop::collection::vec(act(), 0..20),
        after in prop::collection::vec(act(), 0..20),
    ) {
        let state = ReplicationState::new(&(0..SHARDS).map(ShardId).collect::<Vec<_>>());
        run(&state, &before);
        let old = state.snapshot();
        run(&state, &after);
        let now = state.snapshot();
        agree(&now, &old)?;
        agree(&old, &now)?;
        agree(&now.clone().without_above(), &now)?;
        agree(&now, &ReplicationState::restore(&now).snapshot())?;
    }

    #[test]
    fn changes_of_snapshots_made_by_hand_are_those_that_a_comparison_of_every_entry_finds(
        a in by_hand(),
        b in by_hand(),
    ) {
        agree(&a, &b)?;
        agree(&a, &a.clone())?;
        agree(&a, &Snapshot::default())?;
        agree(&Snapshot::default(), &b)?;
    }
}

#[test]
fn every_difference_of_one_shard_is_found() {
    let of = |entry: SnapshotEntry| [entry].into_iter().collect::<Snapshot>();
    let set = AppliedSet::up_to(5);
    let shard = ShardId(7);
    let old = of(SnapshotEntry::new(shard, set.clone()));
    let first = |now: &Snapshot| now.changes_since(&old).next();
    let same_mark = Some(SnapshotChange::Changed { shard, from: 5, to: 5 });
    assert_eq!(first(&old.clone()), None);
    let ranges = of(SnapshotEntry::new(shard, AppliedSet::new(5, [8..=9])));
    assert_eq!(first(&ranges), same_mark);
    assert_eq!(old.changes_since(&ranges).next(), same_mark);
    let other = of(SnapshotEntry::new(shard, AppliedSet::new(5, [8..=10])));
    assert_eq!(other.changes_since(&ranges).next(), same_mark);
    let log = of(SnapshotEntry::new(shard, set.clone()).with_log(LogId::from(3_u64)));
    assert_eq!(first(&log), same_mark);
    let reset = SnapshotEntry::new(shard, set).with_incarnation(repl_core::Incarnation(1));
    assert_eq!(first(&of(reset)), Some(SnapshotChange::Reset { shard, mark: 5 }));
    let lowered = of(SnapshotEntry::new(shard, AppliedSet::up_to(3)));
    assert_eq!(first(&lowered), Some(SnapshotChange::Changed { shard, from: 5, to: 3 }));
    assert_eq!(first(&Snapshot::default()), Some(SnapshotChange::Removed { shard }));
    assert_eq!(
        old.changes_since(&Snapshot::default()).map(|c| c.shard()).collect::<Vec<_>>(),
        [shard]
    );
}
