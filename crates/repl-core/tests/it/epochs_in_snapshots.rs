//! Snapshots hold the epochs of each shard, and so do the states that are made of them.

use std::collections::BTreeMap;

use repl_core::{
    AppliedSet, EpochStart, Epochs, NewShard, ReplicationState, ShardId, Snapshot, SnapshotEntry,
};

use crate::epochs::epochs;

const SHARD: ShardId = ShardId(7);

fn start(epoch: u64, first: u64) -> EpochStart {
    EpochStart { epoch, first }
}

/// A shard at `mark` in epoch 3, from segment 1 on.
fn at(mark: u64) -> ReplicationState {
    let state = ReplicationState::default();
    let new = NewShard::new(SHARD).with_mark(mark).with_epochs(epochs([(3, 1)]));
    state.add_shard(new).unwrap();
    state
}

#[test]
fn snapshots_clones_and_restored_states_keep_epochs() {
    let state = at(95);
    state.add_shard(NewShard::new(8)).unwrap();
    let before = state.snapshot();
    let _ = state.begin_epoch(SHARD, start(4, 91)).unwrap();
    assert_eq!(before.epochs(SHARD), Some(epochs([(3, 1)]))); // it shares nothing that changes
    let after = state.snapshot();
    assert_ne!(after, before);
    let entry = after.entry(SHARD).unwrap();
    assert_eq!((entry.mark(), &entry.epochs), (90, &epochs([(3, 1), (4, 91)])));
    assert_eq!(after.epochs(ShardId(8)), Some(Epochs::default()));
    assert_eq!(after.epochs(ShardId(9)), None);
    for copy in [ReplicationState::restore(&after), state.clone()] {
        assert_eq!(copy.snapshot(), after);
        assert_eq!(copy.epochs(SHARD), state.epochs(SHARD));
    }
    assert_eq!(after.entries().collect::<Snapshot>(), after);
    let mut one = after.clone();
    one.retain(|shard| shard == SHARD);
    assert_eq!(one.epochs(SHARD), after.epochs(SHARD));
}

#[test]
fn snapshots_that_differ_in_epochs_alone_are_not_equal() {
    let entry = |epochs: Epochs| {
        let entry = SnapshotEntry::new(SHARD, AppliedSet::up_to(9));
        [entry.with_epochs(epochs)].into_iter().collect::<Snapshot>()
    };
    let (a, b) = (entry(epochs([(3, 1)])), entry(epochs([(4, 1)])));
    assert_ne!(a, b);
    assert_ne!(a, entry(Epochs::default()));
    assert!(a.same_marks(&b));
    // Both have one mark: the later epoch counts, whichever comes first.
    for (x, y) in [(&a, &b), (&b, &a)] {
        assert_eq!(x.max(y), b);
    }
    assert_eq!(a.max(&a), a);
    assert_eq!(a.min(&a), a);
}

#[test]
fn max_and_min_take_the_epochs_with_the_mark() {
    let entry = |mark, epochs: Epochs| {
        let entry = SnapshotEntry::new(SHARD, AppliedSet::up_to(mark));
        [entry.with_epochs(epochs)].into_iter().collect::<Snapshot>()
    };
    let (low, high) = (entry(5, epochs([(4, 1)])), entry(9, epochs([(3, 1)])));
    assert_eq!((low.max(&high), high.max(&low)), (high.clone(), high.clone()));
    assert_eq!((low.min(&high), high.min(&low)), (low.clone(), low.clone()));
}

/// Shards in several leaves, so that leaves are split, joined and copied with their epochs.
#[test]
fn many_shards_keep_their_own_epochs() {
    let state = ReplicationState::default();
    let mut model = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(4);
    let mut kept = Vec::new();
    for i in 0..6000_u64 {
        let shard = ShardId(random.u64(0..900));
        let table = epochs([(i, 1), (i + 1, 5)]);
        match random.u64(0..8) {
            0..=2 if !model.contains_key(&shard) => {
                let with = random.bool();
                let table = if with { table } else { Epochs::default() };
                state.add_shard(NewShard::new(shard).with_epochs(table.clone())).unwrap();
                model.insert(shard, table);
            }
            3 => drop(state.remove_shard(shard).and_then(|_| model.remove(&shard))),
            4 => {
                if state.reset_shard(NewShard::new(shard).with_epochs(table.clone())).is_some() {
                    model.insert(shard, table);
                }
            }
            5 if i % 97 == 0 => kept.push((state.snapshot(), model.clone())),
            _ => {
                if let Ok(begun) = state.begin_epoch(shard, start(i + 2, i + 2)) {
                    assert!(begun.undo.is_empty());
                    let table = model.get_mut(&shard).unwrap();
                    *table = table.assign(start(i + 2, i + 2)).unwrap();
                }
            }
        }
    }
    let new: Vec<NewShard> =
        (1000..2000).map(|id| NewShard::new(id).with_epochs(epochs([(id, 1)]))).collect();
    state.add_shards(&new).unwrap();
    model.extend(new.iter().map(|new| (new.shard, new.epochs.clone())));
    kept.push((state.snapshot(), model.clone()));
    let gone: Vec<ShardId> = (0..2000).filter(|id| id % 3 == 0).map(ShardId).collect();
    state.remove_shards(&gone);
    model.retain(|shard, _| shard.0 % 3 != 0);
    kept.push((ReplicationState::restore(&state.snapshot()).snapshot(), model.clone()));
    for shard in (0..2000).map(ShardId) {
        assert_eq!(state.epochs(shard), model.get(&shard).cloned());
    }
    assert!(kept.len() > 5);
    for (snapshot, model) in kept {
        let found = snapshot.entries().map(|entry| (entry.shard, entry.epochs));
        assert!(found.eq(model.clone()));
        for (shard, epochs) in model {
            assert_eq!(snapshot.epochs(shard), Some(epochs));
        }
    }
}
