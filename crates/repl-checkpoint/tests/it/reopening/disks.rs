//! Both stores on a disk whose every call fails once, in every way.

use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, OnCorrupt, OpenStoreError, Recovered, ReopenError,
    SlotStore, Status, recover,
};

use super::ONE;
use crate::protocol::{EIO, open, open_slots};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::{STORE, durable, save};

/// Which of the two stores.
type Open<S> = fn(&Faulty) -> Result<S, OpenStoreError>;

/// A follower that has saved mark `n` as generation `n`, up to `saves`.
fn follower<S: CheckpointStore + 'static>(open: Open<S>, saves: u64) -> (Faulty, Recovered) {
    let disk = Faulty::new();
    let mut follower = recover(open(&disk).unwrap(), JsonCodec, &[ONE], OnCorrupt::Fail).unwrap();
    for mark in 1..=saves {
        follower.state.advance(ONE, mark);
        assert_eq!(save(&mut follower.checkpointer), mark);
    }
    disk.arm(None);
    (disk, follower)
}

/// The mark that a process recovers which starts now.
fn recovered_mark<S: CheckpointStore + 'static>(open: Open<S>, disk: &Faulty) -> u64 {
    let found = recover(open(disk).unwrap(), JsonCodec, &[ONE], OnCorrupt::FallBack).unwrap();
    found.state.applied_seqno(ONE).unwrap()
}

/// Saves with a fault, opens the store again if that is in doubt, and saves twice. Returns whether
/// it was in doubt.
fn settled<S: CheckpointStore + 'static>(open: Open<S>, saves: u64, arm: impl Fn(&Faulty)) -> bool {
    let (disk, mut follower) = follower(open, saves);
    let (floors, shard) = (follower.checkpointer.floors(), follower.state.shard(ONE).unwrap());
    shard.advance(saves + 1);
    arm(&disk);
    let failed = follower.checkpointer.checkpoint(durable);
    disk.arm(None);
    let in_doubt = failed.is_err_and(|error| error.is_poisoning());
    if in_doubt {
        follower.checkpointer.begin().unwrap_err();
        assert_eq!(disk.calls(), [""; 0]);
        follower.checkpointer.reopen(|| open(&disk)).unwrap();
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (None, None));
    }
    assert!(!matches!(floors.health().status, Status::Poisoned { .. }));
    // The handle of before still moves the mark.
    shard.advance(saves + 2);
    assert_eq!(save(&mut follower.checkpointer), saves + 2);
    assert_eq!(save(&mut follower.checkpointer), saves + 3);
    assert_eq!(floors.retention_floor(ONE), Some(saves + 2));
    drop(follower);
    assert_eq!(recovered_mark(open, &disk), saves + 2);
    in_doubt
}

/// Lets every call of a save fail; returns the number of doubts that were settled.
fn every_call<S: CheckpointStore + 'static>(open: Open<S>) -> usize {
    let mut doubts = 0;
    for saves in [0, 1, 2, 3, 5] {
        let (disk, mut undisturbed) = follower(open, saves);
        undisturbed.state.advance(ONE, saves + 1);
        save(&mut undisturbed.checkpointer);
        for call in 0..disk.calls().len() {
            for how in [How::Errno(EIO), How::DoneBut(EIO)] {
                let fault = Fault { on: "", after: call, times: 1, how };
                doubts += usize::from(settled(open, saves, |disk| disk.arm(fault.clone())));
            }
        }
    }
    doubts
}

#[test]
fn whatever_call_of_a_save_fails_a_file_store_can_be_opened_again() {
    // The rename, the sync of the directory and the three checks after it, each in two ways; and
    // the two calls that name the marker, in the first save of all.
    assert_eq!(every_call(open), 5 * 5 * 2 + 2 * 2);
}

#[test]
fn whatever_call_of_a_save_fails_a_slot_store_can_be_opened_again() {
    // The same calls in the first save, then the write and the sync of a slot and three checks.
    assert_eq!(every_call(open_slots), 5 * 2 + 2 * 2 + 5 * 4 * 2);
}

/// A part of a slot is written: damage above the acknowledged save.
#[test]
fn a_torn_slot_does_no_harm() {
    let mut doubts = 0;
    for saves in [2, 3, 4, 5] {
        for taken in [1, 100, 230, 300] {
            doubts += usize::from(settled(open_slots, saves, |disk| {
                disk.arm(Fault { on: "write_at", after: 0, times: 1, how: How::Short(taken) });
                disk.then(Fault { on: "write_at", after: 0, times: 1, how: How::Errno(EIO) });
            }));
        }
    }
    assert_eq!(doubts, 4 * 4);
}

fn doubt_after_doubt<S: CheckpointStore + 'static>(open: Open<S>) {
    let (disk, mut follower) = follower(open, 3);
    for mark in 4..9 {
        follower.state.advance(ONE, mark);
        // The first save after an open writes a new file with either store.
        let on = if mark == 4 { "sync_d" } else { "sync_dir /disk/marks" };
        disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(EIO) });
        let error = follower.checkpointer.checkpoint(durable).unwrap_err();
        assert!(error.is_poisoning(), "{error}");
        disk.arm(None);
        follower.checkpointer.reopen(|| open(&disk)).unwrap();
    }
    assert_eq!(save(&mut follower.checkpointer), 9);
    drop(follower);
    assert_eq!(recovered_mark(open, &disk), 8);
}

#[test]
fn one_doubt_after_the_other_is_settled() {
    doubt_after_doubt(open);
    doubt_after_doubt(open_slots);
}

fn every_call_of_a_reopen<S: CheckpointStore + 'static>(open: Open<S>) {
    let (disk, mut undisturbed) = follower(open, 3);
    undisturbed.checkpointer.reopen(|| open(&disk)).unwrap();
    let mut failed = 0;
    for call in 0..disk.calls().len() {
        let (disk, mut follower) = follower(open, 3);
        follower.state.advance(ONE, 4);
        disk.arm(Fault { on: "", after: call, times: 1, how: How::Errno(EIO) });
        if follower.checkpointer.reopen(|| open(&disk)).is_err() {
            failed += 1;
            follower.checkpointer.begin().unwrap_err();
            disk.arm(None);
            follower.checkpointer.reopen(|| open(&disk)).unwrap();
        }
        assert_eq!(save(&mut follower.checkpointer), 4);
        drop(follower);
        assert_eq!(recovered_mark(open, &disk), 4);
    }
    assert!(failed > 3, "{failed}");
}

#[test]
fn whatever_call_of_a_reopen_fails_it_can_be_tried_again() {
    every_call_of_a_reopen(open);
    every_call_of_a_reopen(open_slots);
}

#[test]
fn another_directory_and_a_store_of_the_other_kind_are_refused() {
    let (disk, mut follower) = follower(open, 3);
    let checkpointer = &mut follower.checkpointer;
    let error = checkpointer.reopen(|| open_slots(&disk)).unwrap_err();
    assert!(matches!(error, ReopenError::Open(_)), "{error}");
    let elsewhere = Path::new("/disk/other");
    let error = checkpointer.reopen(|| FileStore::open_on(disk.clone(), elsewhere, STORE));
    assert!(matches!(error, Err(ReopenError::OtherCheckpoint { found: 0, .. })), "{error:?}");
    let error = checkpointer.reopen(|| SlotStore::open_on(disk.clone(), elsewhere, STORE));
    assert!(matches!(error, Err(ReopenError::OtherCheckpoint { found: 0, .. })), "{error:?}");
    checkpointer.reopen(|| open(&disk)).unwrap();
    assert_eq!(save(checkpointer), 4);
}
