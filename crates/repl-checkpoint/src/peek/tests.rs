//! What is read while a file changes.

use std::fs;

use repl_core::ShardId;

use super::*;
use crate::{CheckpointStore, FileStore, JsonCodec, OnCorrupt, SlotStore, StoreId, recover};

fn saved(store: impl CheckpointStore + 'static, shards: u64, saves: u64) {
    let shards: Vec<ShardId> = (1..=shards).map(ShardId).collect();
    let mut follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail).unwrap();
    let first = follower.state.applied_seqno(ShardId(1)).unwrap_or(0);
    for next in first + 1..=first + saves {
        follower.state.advance(ShardId(1), next);
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}

/// The slot file after three more saves.
fn slot_file(dir: &Path, shards: u64) -> Vec<u8> {
    saved(SlotStore::open(dir, StoreId::UNNAMED).unwrap(), shards, 3);
    fs::read(dir.join(SLOT_FILE)).unwrap()
}

#[test]
fn a_file_after_one_that_was_removed_is_not_taken_for_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    saved(FileStore::open(dir.path(), StoreId::UNNAMED).unwrap(), 1, 1);
    let file = |g| (dir.path().join(checkpoint_file(g)), Some(g));
    let files = || [2, 1].into_iter().map(file);
    assert!(newest_of(files(), true).unwrap().unwrap_err().is_missing());
    assert_eq!(newest_of(files(), false).unwrap().unwrap().header.generation, 1);
}

#[test]
fn parts_of_two_slot_files_are_not_taken_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (slot_file(dir.path(), 1), slot_file(dir.path(), 120));
    assert!(whole_chains(&new).is_some());
    // The length of the old file, and a whole slot of the new one.
    assert!(new.len() < 3 * old.len());
    assert_eq!(whole_chains(&new[..old.len()]), None);
}

#[test]
fn a_torn_slot_is_seen_beside_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = slot_file(dir.path(), 1);
    assert!(whole_chains(&bytes).unwrap().is_all);
    *bytes.last_mut().unwrap() = 1;
    assert!(!whole_chains(&bytes).unwrap().is_all);
}

#[test]
fn a_damaged_first_page_hides_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let whole = slot_file(dir.path(), 1);
    let file = dir.path().join(SLOT_FILE);
    for at in [0, 5, 23, 40, 75, 100, 200] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        assert_eq!(peek(dir.path()).unwrap().header.generation, 3, "byte {at}");
    }
    let mut damaged = whole.clone();
    damaged[..4096].fill(0);
    fs::write(&file, &damaged).unwrap();
    assert_eq!(peek(&file).unwrap().header.generation, 3);
    // That of no slot file.
    damaged.push(0);
    fs::write(&file, &damaged).unwrap();
    assert!(matches!(peek(&file).unwrap_err(), PeekError::Damaged { .. }));
    // Of a slot it is said what is wrong with it.
    let mut damaged = whole;
    damaged.chunks_mut(4096).for_each(|page| page[220] ^= 1);
    fs::write(&file, &damaged).unwrap();
    match peek(&file).unwrap_err() {
        PeekError::Damaged { source: UnsealError::Checksum { .. }, .. } => {}
        error => panic!("{error:?}"),
    }
}
