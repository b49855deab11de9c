//! One follower owns a directory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use repl_checkpoint::{CheckpointStore, FileStore, OpenStoreError, SlotStore};

use crate::support::{AnyStore, STORE, contents, eventually, opened, recovered_from, save};

/// Tells the child which directory to lock.
const HOLD: &str = "REPL_CHECKPOINT_TEST_HOLD";

/// Tells it which store to lock it with.
const AS: &str = "REPL_CHECKPOINT_TEST_HOLD_AS";

fn is_locked<S: AnyStore>(dir: &Path) -> bool {
    match S::open_at(dir) {
        Ok(_) => false,
        Err(OpenStoreError::Locked { dir: named }) if named == dir => true,
        Err(other) => panic!("{other}"),
    }
}

/// Another process that holds the lock of `dir`, until it is killed or its input ends.
fn another_process_with<S: AnyStore>(dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::the_other_process", "--ignored", "--nocapture"])
        .env(HOLD, dir)
        .env(AS, S::NAME)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let mut lines = said.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("holds the lock")));
    child
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn the_other_process() {
    let Some(dir) = std::env::var_os(HOLD) else {
        return;
    };
    let dir = Path::new(&dir);
    let _store: Box<dyn CheckpointStore> = match std::env::var(AS).as_deref() {
        Ok(SlotStore::NAME) => Box::new(SlotStore::open_at(dir).unwrap()),
        _ => Box::new(FileStore::open_at(dir).unwrap()),
    };
    println!("holds the lock");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

fn a_second_store_is_refused<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let first: S = opened(dir.path());
    for refused in [S::open_at(dir.path()).err(), FileStore::open_at(dir.path()).err()] {
        let refused = refused.unwrap();
        assert!(matches!(&refused, OpenStoreError::Locked { dir: d } if d == dir.path()));
        assert!(refused.to_string().contains(&dir.path().display().to_string()));
    }
    assert_eq!(contents(dir.path()), before);
    drop(first);
    eventually("a free lock", || !is_locked::<S>(dir.path()));
}

#[test]
fn a_second_store_in_this_process_is_refused_by_name() {
    a_second_store_is_refused::<FileStore>();
    a_second_store_is_refused::<SlotStore>();
}

fn who_is_refused_takes_nothing<S: AnyStore>(temp: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered_from::<S>(dir.path(), &[1]);
    // As if in the middle of the other's save.
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
fn a_store_that_is_refused_takes_nothing_from_the_one_that_holds_the_directory() {
    who_is_refused_takes_nothing::<FileStore>("00000000000000000001.checkpoint.temp-1-0");
    who_is_refused_takes_nothing::<SlotStore>("marks.slots.temp-1-0");
}

#[test]
fn a_directory_where_the_lock_should_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("LOCK");
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
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let mut owner = another_process_with::<S>(dir.path());
    let refused = is_locked::<S>(dir.path());
    owner.kill().unwrap(); // SIGKILL
    owner.wait().unwrap();
    assert!(refused);
    eventually("a free lock", || !is_locked::<S>(dir.path()));
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_second_process_is_refused_until_the_first_is_killed() {
    a_killed_process_frees_the_lock::<FileStore>();
    a_killed_process_frees_the_lock::<SlotStore>();
}

fn another_process_is_refused<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened::<S>(dir.path());
    let said = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::the_other_process", "--ignored", "--nocapture"])
        .env(HOLD, dir.path())
        .env(AS, S::NAME)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success());
    assert!(errors.contains("Locked"), "{errors}");
    drop(store);
}

#[test]
fn another_process_is_refused_while_this_one_holds_the_directory() {
    another_process_is_refused::<FileStore>();
    another_process_is_refused::<SlotStore>();
}

#[test]
fn a_symbolic_link_where_the_lock_should_be_is_refused_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (lock, target) = (dir.path().join("LOCK"), dir.path().join("target"));
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
