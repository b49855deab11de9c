//! A disk without syncs keeps everything but durability.

use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, NoSync, OnCorrupt, OpenStoreError, Recovered, SlotStore,
    recover,
};

use crate::support::{STORE, save};
use repl_core::ShardId;

const ONE: ShardId = ShardId(1);

fn recovered(store: impl CheckpointStore + 'static) -> Recovered {
    recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap()
}

fn keeps_what_it_saved<S: CheckpointStore + 'static>(
    open: impl Fn(&Path) -> Result<S, OpenStoreError>,
) {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(open(dir.path()).unwrap());
    for mark in 1..=10 {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    assert!(matches!(open(dir.path()), Err(OpenStoreError::Locked { .. })));
    drop(follower);
    assert_eq!(recovered(open(dir.path()).unwrap()).state.applied_seqno(ONE), Some(10));
}

#[test]
fn both_stores_save_lock_and_recover_on_a_disk_without_syncs() {
    keeps_what_it_saved(|dir| FileStore::open_on(NoSync, dir, STORE));
    keeps_what_it_saved(|dir| SlotStore::open_on(NoSync, dir, STORE));
}

#[test]
fn what_was_saved_without_syncs_is_read_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(SlotStore::open_on(NoSync, dir.path(), STORE).unwrap());
    follower.state.advance(ONE, 7);
    save(&mut follower.checkpointer);
    drop(follower);
    let follower = recovered(SlotStore::open(dir.path(), STORE).unwrap());
    assert_eq!(follower.state.applied_seqno(ONE), Some(7));
}
