//! One store at a time holds a directory.

use std::fs;
use std::path::Path;

use repl_checkpoint::{FileStore, OpenStoreError, SlotStore};

use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, STORE, contents, opened, recovered_from, save};

fn is_locked<S: AnyStore>(dir: &Path) -> bool {
    match S::open_at(dir) {
        Ok(_) => false,
        Err(OpenStoreError::Locked { path: named }) if named == dir => true,
        Err(other) => panic!("{other}"),
    }
}

fn a_second_store_is_refused<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let first: S = opened(dir.path());
    for refused in [S::open_at(dir.path()).err(), FileStore::open_at(dir.path()).err()] {
        let refused = refused.unwrap();
        assert!(matches!(&refused, OpenStoreError::Locked { path: d } if d == dir.path()));
        assert!(refused.to_string().contains(&dir.path().display().to_string()));
    }
    assert_eq!(contents(dir.path()), before);
    drop(first);
    assert!(!is_locked::<S>(dir.path()));
}

#[test]
fn a_second_store_in_this_process_is_refused_by_name() {
    a_second_store_is_refused::<FileStore>();
    a_second_store_is_refused::<SlotStore>();
}

fn a_refused_store_takes_nothing<S: AnyStore>(temp: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered_from::<S>(dir.path(), &[1]);
    // As in the middle of a save of the other store.
    let temp = dir.path().join(temp);
    fs::write(&temp, "in the making").unwrap();
    for _ in 0..3 {
        assert!(is_locked::<S>(dir.path()));
    }
    assert!(temp.exists());
    save(&mut first.checkpointer);
    assert!(is_locked::<S>(dir.path()));
}

#[test]
fn a_refused_store_leaves_the_directory_to_its_holder() {
    a_refused_store_takes_nothing::<FileStore>("00000000000000000001.checkpoint.temp-1-0");
    a_refused_store_takes_nothing::<SlotStore>("marks.slots.temp-1-0");
}

#[test]
fn a_directory_where_the_lock_should_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("repl-checkpoint.lock");
    fs::create_dir(&lock).unwrap();
    let refused = FileStore::open(dir.path(), STORE).unwrap_err();
    assert!(
        matches!(&refused, OpenStoreError::Io { act: "lock", path, .. } if *path == lock),
        "{refused}"
    );
    assert!(lock.is_dir());
}

fn a_killed_process_frees_the_lock<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let locked = format!("locked: {}", dir.path().display());
    let mut owner = Process::start::<S>(dir.path());
    assert_eq!(owner.ask("open"), "fresh");
    let mut second = Process::start::<S>(dir.path());
    for generation in 1..=3 {
        assert_eq!(second.ask("try to open"), locked);
        assert!(is_locked::<S>(dir.path()));
        assert_eq!(owner.ask(&format!("{generation}0")), format!("saved {generation}"));
    }
    let before = contents(dir.path());
    owner.kill();
    assert_eq!(contents(dir.path()), before);
    assert_eq!(second.ask("open"), "resumed at 3");
    assert_eq!(second.ask("40"), "saved 4");
    second.kill();
    assert_eq!(Follower::open::<S>(dir.path()).unwrap().mark(), 40);
}

#[test]
fn a_second_process_is_refused_until_the_first_is_killed_and_recovers_what_it_acknowledged() {
    a_killed_process_frees_the_lock::<FileStore>();
    a_killed_process_frees_the_lock::<SlotStore>();
}

fn another_process_is_refused<S: AnyStore, Other: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let mut own = Follower::open::<S>(dir.path()).unwrap();
    assert_eq!(own.save(10), "saved 1");
    let before = contents(dir.path());
    let mut same = Process::start::<S>(dir.path());
    let mut other = Process::start::<Other>(dir.path());
    let locked = format!("locked: {}", dir.path().display());
    for process in [&mut same, &mut other] {
        assert_eq!(process.ask("try to open"), locked);
    }
    assert_eq!(contents(dir.path()), before);
    drop(own);
    assert_eq!(same.ask("open"), "resumed at 1");
}

#[test]
fn another_process_is_refused_while_this_one_holds_the_directory() {
    another_process_is_refused::<FileStore, SlotStore>();
    another_process_is_refused::<SlotStore, FileStore>();
}

fn the_other_store_is_refused<S: AnyStore, Other: AnyStore>(file: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut owner = Process::start::<S>(dir.path());
    assert_eq!(owner.ask("open"), "fresh");
    assert_eq!(owner.ask("10"), "saved 1");
    owner.kill();
    let before = contents(dir.path());
    let mut other = Process::start::<Other>(dir.path());
    for _ in 0..2 {
        assert_eq!(other.ask("open"), format!("{}'s: {file}", S::NAME));
    }
    assert_eq!(contents(dir.path()), before);
    assert_eq!(Follower::open::<S>(dir.path()).unwrap().origin(), "resumed at 1");
}

#[test]
fn another_process_with_a_store_of_the_other_kind_is_refused() {
    the_other_store_is_refused::<FileStore, SlotStore>("00000000000000000001.checkpoint");
    the_other_store_is_refused::<SlotStore, FileStore>("marks.slots");
}

#[test]
fn a_symbolic_link_where_the_lock_should_be_is_refused_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (lock, target) = (dir.path().join("repl-checkpoint.lock"), dir.path().join("target"));
    std::os::unix::fs::symlink(&target, &lock).unwrap();
    for _ in 0..2 {
        let refused = FileStore::open(dir.path(), STORE).unwrap_err();
        assert!(
            matches!(&refused, OpenStoreError::Io { act: "lock", path, .. } if *path == lock),
            "{refused}"
        );
        assert!(!target.exists());
    }
}
