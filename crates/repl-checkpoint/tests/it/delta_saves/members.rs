//! Shards that come, go and begin again between two deltas, and orphans.

use repl_checkpoint::{Checkpoint, CheckpointStore, JsonCodec, Save, Saved, ShardCheckpoint};
use repl_core::{EpochStart, Incarnation, NewShard, ShardId};

use super::{follower, holds, move_by_one, written};
use crate::support::chained::{Chained, Wrote};
use crate::support::{begun, durable, header, save, shard};

#[test]
fn a_shard_that_is_added_is_in_the_deltas_on_saves_without_it() {
    let (store, mut follower) = follower();
    follower.state.add_shard(NewShard::new(ShardId(99))).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[99], &[]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[99], &[]));
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[7], &[]));
}

#[test]
fn a_shard_that_is_removed_is_removed_from_the_saves_that_hold_it() {
    let (store, mut follower) = follower();
    follower.state.remove_shard(ShardId(7)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[], &[7]));
    move_by_one(&follower, [8]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[8], &[7]));
    move_by_one(&follower, [9]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[8, 9], &[]));
}

#[test]
fn a_shard_that_is_reset_is_a_change_even_to_a_lower_mark() {
    let (store, mut follower) = follower();
    follower.state.reset_shard(NewShard::new(ShardId(7))).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    assert_eq!(store.newest().shard(ShardId(7)).unwrap().mark, 0);
    follower.state.reset_shard(NewShard::new(ShardId(7)).with_mark(1)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[7], &[]));
}

#[test]
fn a_shard_that_is_removed_and_added_again_is_a_change() {
    let (store, mut follower) = follower();
    follower.state.remove_shard(ShardId(7)).unwrap();
    follower.state.add_shard(NewShard::new(ShardId(7)).with_mark(1)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    // With a save in between.
    follower.state.remove_shard(ShardId(7)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[], &[7]));
    follower.state.add_shard(NewShard::new(ShardId(7))).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[7], &[]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[7], &[]));
}

#[test]
fn a_shard_that_came_and_went_leaves_its_incarnation_behind() {
    let (store, mut follower) = follower();
    let next = store.newest().next_incarnation;
    follower.state.add_shard(NewShard::new(ShardId(99))).unwrap();
    follower.state.remove_shard(ShardId(99)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[], &[]));
    assert!(store.newest().next_incarnation > next);
    // With a save in between: the save before the last never held it.
    follower.state.add_shard(NewShard::new(ShardId(99))).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[99], &[]));
    follower.state.remove_shard(ShardId(99)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[], &[]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[], &[99]));
}

/// A follower that tracks all but shards 3 and 4, and whose next save builds on its first.
fn with_orphans() -> (Chained, repl_checkpoint::Recovered) {
    let (store, first) = follower();
    drop(first);
    let tracked: Vec<_> = super::all().into_iter().filter(|s| ![3, 4].contains(&s.0)).collect();
    let mut second = store.recovered(&tracked[..]);
    assert_eq!(second.checkpointer.orphaned_shards().len(), 2);
    assert_eq!(written(&store, &mut second), Wrote::Whole);
    assert_eq!(written(&store, &mut second), Wrote::Whole);
    (store, second)
}

#[test]
fn a_delta_holds_an_epoch_that_a_shard_has_begun() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7]);
    let start = EpochStart { epoch: 4, first: 2 };
    assert_eq!(follower.state.begin_epoch(ShardId(7), start).unwrap().shard.applied(), 1);
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    let row = store.newest().shard(ShardId(7)).unwrap().clone();
    assert_eq!((&row.epochs[..], row.mark), (&[start][..], 1));
}

#[test]
fn a_delta_keeps_the_epochs_of_a_shard() {
    let mut store = Chained::default();
    let epochs = [EpochStart { epoch: 3, first: 1 }];
    let with_epochs = |id| ShardCheckpoint { epochs: Box::new(epochs), ..shard(id, 5) };
    let shards = (0..super::SHARDS).map(with_epochs).collect();
    let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
    let bytes = checkpoint.seal(&JsonCodec, header(1)).unwrap();
    store.save(Save { generation: 1, confirmed: 0, bytes: &bytes, base: None }).unwrap();
    let mut follower = store.recovered(&super::all()[..]);
    assert_eq!([save(&mut follower.checkpointer), save(&mut follower.checkpointer)], [2, 3]);
    move_by_one(&follower, [7]);
    save(&mut follower.checkpointer);
    assert_eq!(store.wrote(), Wrote::delta(2, &[7], &[]));
    assert_eq!(store.newest().shard(ShardId(7)).unwrap().epochs[..], epochs);
}

#[test]
fn orphans_stay_beside_deltas() {
    let (store, mut follower) = with_orphans();
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[7], &[]));
    assert_eq!(store.newest().shard(ShardId(3)).unwrap().mark, 1);
}

#[test]
fn an_orphan_that_is_dropped_is_removed() {
    let (store, mut follower) = with_orphans();
    assert!(follower.checkpointer.drop_orphan(ShardId(3)));
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[], &[3]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[], &[3]));
    assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    assert!(follower.checkpointer.floors().is_unreferenced(ShardId(3)));
}

#[test]
fn an_orphan_that_is_dropped_after_the_snapshot_is_removed() {
    let (store, mut follower) = with_orphans();
    move_by_one(&follower, [7]);
    let attempt = begun(&mut follower.checkpointer);
    follower.checkpointer.drop_orphan(ShardId(4));
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(store.wrote(), Wrote::delta(3, &[7], &[4]));
    holds(&store, &follower);
}

#[test]
fn an_orphan_that_is_tracked_is_a_change() {
    let (store, mut follower) = with_orphans();
    follower.state.add_shard(NewShard::new(ShardId(3)).with_mark(1)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[3], &[]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[3], &[]));
    follower.state.remove_shard(ShardId(3)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(5, &[], &[3]));
}

#[test]
fn an_orphan_that_is_tracked_and_removed_between_two_saves_stays_an_orphan() {
    let (store, mut follower) = with_orphans();
    follower.state.add_shard(NewShard::new(ShardId(3)).with_mark(1)).unwrap();
    follower.state.remove_shard(ShardId(3)).unwrap();
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[], &[]));
    assert!(store.newest().shard(ShardId(3)).is_some());
}
