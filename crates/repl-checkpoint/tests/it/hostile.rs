//! Files, names and processes that get in the way of a store.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, NoSync, OnCorrupt, OpenStoreError, OsDisk, Save,
    SaveError, SlotStore, peek, recover,
};
use repl_core::ShardId;

use crate::support::hooked::Hooked;
use crate::support::{STORE, file, marks, recovered_from, save};

/// Two processes may have one number: the first process of each container has number 1. With equal
/// names of temporary files a store that lost its lock would rename the half-written file of the
/// other one into place.
#[test]
fn a_store_that_lost_its_lock_replaces_nothing_though_the_other_process_has_the_same_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered_from::<SlotStore>(dir.path(), &[1]);
    for _ in 0..2 {
        save(&mut first.checkpointer);
    }
    drop(first);
    let path = dir.path().to_path_buf();
    let (half_tx, half) = mpsc::channel::<()>();
    let (ended_tx, ended) = mpsc::channel::<()>();
    let (half, ended) = (Mutex::new(half), Arc::new(Mutex::new(ended)));
    let other = Arc::new(Mutex::new(None));
    let (of_hook, at, renames) = (Arc::clone(&other), path.clone(), AtomicUsize::new(0));
    let disk = Hooked::look(OsDisk, move |call| {
        // The marker is the first; the second comes after the check of step 4.
        if call.name != "rename" || renames.fetch_add(1, SeqCst) != 1 {
            return;
        }
        // Somebody removes the lock file, and another process starts, and dies in its save.
        fs::remove_file(at.join("repl-checkpoint.lock")).unwrap();
        let (at, half_tx, ended) = (at.clone(), half_tx.clone(), Arc::clone(&ended));
        *of_hook.lock().unwrap() = Some(thread::spawn(move || saves_half(&at, half_tx, ended)));
        half.lock().unwrap().recv().unwrap();
    });
    let store = SlotStore::open_on(disk, &path, STORE).unwrap();
    let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    follower.state.advance(ShardId(1), 10);
    let failed = follower.checkpointer.checkpoint(|_| Ok(())).unwrap_err();
    ended_tx.send(()).unwrap();
    other.lock().unwrap().take().unwrap().join().unwrap_err();
    drop(follower);
    let store = SlotStore::open(&path, STORE).unwrap();
    let found = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail);
    assert!(found.is_ok(), "{failed}\nafter both: {:?}", found.err());
}

/// Saves until its temporary file exists, and dies when the other one has ended.
fn saves_half(dir: &Path, half: mpsc::Sender<()>, ended: Arc<Mutex<mpsc::Receiver<()>>>) {
    let writes = AtomicUsize::new(0);
    let disk = Hooked::look(OsDisk, move |call| {
        // The marker is the first.
        if call.name == "write" && writes.fetch_add(1, SeqCst) == 1 {
            half.send(()).unwrap();
            ended.lock().unwrap().recv().unwrap();
            std::panic::resume_unwind(Box::new("dead"));
        }
    });
    let store = SlotStore::open_on(disk, dir, STORE).unwrap();
    let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    follower.state.advance(ShardId(1), 20);
    let _ = follower.checkpointer.checkpoint(|_| Ok(()));
}

#[test]
fn a_store_that_was_opened_through_a_symbolic_link_saves() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let store = FileStore::open_on(NoSync, &link, STORE).unwrap();
    let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    let saved = follower.checkpointer.checkpoint(|_| Ok(()));
    assert!(saved.is_ok(), "{}", saved.unwrap_err());
}

#[test]
fn a_look_at_a_pipe_does_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = file(dir.path(), 1);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (tx, rx) = mpsc::channel();
    let at: PathBuf = dir.path().into();
    thread::spawn(move || tx.send(peek(at).is_err()));
    let looked = rx.recv_timeout(std::time::Duration::from_secs(2));
    // Ends the thread.
    let _ = std::fs::OpenOptions::new().read(true).write(true).open(&pipe);
    assert_eq!(looked, Ok(true));
}

/// A store that lost its lock still writes one slot in place before it notices. If it has skipped a
/// number, as after a save that failed, its checkpoint counts as newer than those of its successor.
#[test]
fn a_slot_store_acknowledges_no_save_that_a_later_recovery_does_not_find() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = |generation, confirmed, mark| {
        let header = repl_checkpoint::Header { store: STORE, generation, confirmed };
        marks(&[(1, mark)]).seal(&JsonCodec, header).unwrap()
    };
    let mut old = SlotStore::open(dir.path(), STORE).unwrap();
    for generation in [1, 2] {
        let confirmed = generation - 1;
        let bytes = bytes(generation, confirmed, generation);
        old.save(Save { generation, confirmed, bytes: &bytes, base: None }).unwrap();
    }
    fs::remove_file(dir.path().join("repl-checkpoint.lock")).unwrap();
    let store = SlotStore::open(dir.path(), STORE).unwrap();
    let mut new = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    // Generation 3 was tried and not saved.
    let bytes = bytes(4, 2, 4);
    let refused =
        old.save(Save { generation: 4, confirmed: 2, bytes: &bytes, base: None }).unwrap_err();
    assert!(matches!(refused, SaveError::Replaced { .. }), "{refused}");
    drop(old);
    let mut acknowledged = 2;
    for mark in 100..104 {
        new.state.advance(ShardId(1), mark);
        if new.checkpointer.checkpoint(|_| Ok(())).is_ok() {
            acknowledged = mark;
        }
        let copy = tempfile::tempdir().unwrap();
        let slots = |dir: &Path| dir.join("marks.slots");
        fs::copy(slots(dir.path()), slots(copy.path())).unwrap();
        let store = SlotStore::open(copy.path(), STORE).unwrap();
        let found = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
        let found = found.state.applied_seqno(ShardId(1)).unwrap();
        assert!(found >= acknowledged, "acknowledged {acknowledged}, found {found}");
    }
    assert!(acknowledged > 2);
}

fn leaves_another_directory_fresh<S: crate::support::AnyStore>() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("marks");
    save(&mut recovered_from::<S>(&dir, &[1]).checkpointer);
    let mut follower = recovered_from::<S>(&dir, &[1]);
    fs::rename(&dir, parent.path().join("marks.old")).unwrap();
    fs::create_dir(&dir).unwrap();
    let refused = follower.checkpointer.checkpoint(|_| Ok(())).unwrap_err().to_string();
    drop(follower);
    let mut store: S = crate::support::opened(&dir);
    let found = store.load().map(Iterator::count);
    assert!(matches!(found, Ok(0)), "{refused}; then {}", found.unwrap_err());
}

#[test]
fn a_file_store_puts_no_marker_into_a_directory_that_has_taken_the_place_of_its_own() {
    leaves_another_directory_fresh::<FileStore>();
}

#[test]
fn a_slot_store_puts_no_marker_into_a_directory_that_has_taken_the_place_of_its_own() {
    leaves_another_directory_fresh::<SlotStore>();
}

#[test]
fn no_slot_file_has_a_name_that_another_one_gives_to_a_file_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["x.lock", "x.marker", "x.temp-1-2", "x.temp-y.temp-1-2"] {
        let refused = SlotStore::open_file(dir.path().join(name), STORE).unwrap_err();
        assert!(matches!(refused, OpenStoreError::Io { .. }), "{refused}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    for name in ["x.locks", "marker", "x.temp-1", "x.temp-1-a"] {
        SlotStore::open_file(dir.path().join(name), STORE).unwrap();
    }
}
