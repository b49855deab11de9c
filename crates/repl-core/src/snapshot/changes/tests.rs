//! Keys that snapshots share are passed over together.

use super::{BLOCK, Side, SnapshotChange};
use crate::keys::RUN;
use crate::{NewShard, ReplicationState, ShardId, Snapshot};

/// Twice the ids, so that a shard may be added between two others.
fn state() -> ReplicationState {
    let shards: Vec<ShardId> = (0..3 * BLOCK as u64).map(|i| ShardId(2 * i)).collect();
    ReplicationState::new(&shards)
}

fn shared(now: (&Snapshot, usize), old: (&Snapshot, usize)) -> usize {
    let mut changes = now.0.changes_since(old.0);
    changes.now.skip(now.1);
    changes.old.skip(old.1);
    changes.shared_from_here()
}

#[test]
fn keys_are_shared_in_whole_runs_up_to_a_block() {
    let state = state();
    let (old, now) = (state.snapshot(), state.snapshot());
    assert_eq!(shared((&now, 0), (&old, 0)), BLOCK);
    assert_eq!(shared((&now, RUN), (&old, RUN)), BLOCK);
    assert_eq!(shared((&now, 3 * BLOCK - RUN), (&old, 3 * BLOCK - RUN)), RUN);
    assert_eq!(shared((&now, 3 * BLOCK), (&old, 3 * BLOCK)), 0);
    assert_eq!(shared((&now, 1), (&old, 1)), 0);
    assert_eq!(shared((&now, 1), (&old, 0)), 0);
    assert_eq!(shared((&now, 0), (&old, 1)), 0);
}

#[test]
fn keys_are_not_shared_where_a_run_has_changed() {
    let state = state();
    let old = state.snapshot();
    assert!(state.add_shard(NewShard::new(ShardId(4 * RUN as u64 + 1))).is_ok());
    let now = state.snapshot();
    assert_eq!(shared((&now, 0), (&old, 0)), 2 * RUN);
    assert_eq!(shared((&now, 2 * RUN), (&old, 2 * RUN)), 0);
}

#[test]
fn after_a_change_the_rest_of_the_block_is_still_shared() {
    let state = state();
    let old = state.snapshot();
    state.advance(ShardId(2 * (BLOCK as u64 + 10)), 7);
    let now = state.snapshot();
    let mut changes = now.changes_since(&old);
    let shard = ShardId(2 * (BLOCK as u64 + 10));
    assert_eq!(changes.next(), Some(SnapshotChange::Changed { shard, from: 0, to: 7 }));
    assert_eq!(changes.shared, BLOCK - 11);
    assert_eq!(changes.next(), None);
}

#[test]
fn a_side_that_skips_is_at_the_key_of_its_place() {
    let state = state();
    let snapshot = state.snapshot();
    let mut side = Side::of(&snapshot);
    for keys in [0, 1, RUN - 1, RUN, 2 * RUN + 3] {
        side.skip(keys);
        let place = side.key().map(|(key, _)| key.place());
        assert_eq!(place, Some(side.place));
    }
    assert_eq!((side.place, side.run, side.at), (4 * RUN + 3, 4, 3));
}
