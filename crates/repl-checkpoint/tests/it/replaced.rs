//! The lock, the directory or the slot file is removed or replaced under a running store: it
//! notices before it acknowledges another save.

use std::fs;
use std::path::{Path, PathBuf};

use repl_checkpoint::{FileStore, SlotStore, Status};

use crate::support::AnyStore;
use crate::support::follower::Follower;
use crate::support::process::Process;

const LOCK: &str = "replaced: the lock file";
const DIRECTORY: &str = "replaced: the directory";
const LAST: (Option<u64>, Option<u64>) = (Some(20), Some(10));

/// The second store, in this process or another one.
trait Second {
    fn ask(&mut self, order: &str) -> String;
    fn end(self);
}

impl Second for Process {
    fn ask(&mut self, order: &str) -> String {
        Process::ask(self, order)
    }

    fn end(self) {
        assert!(Process::end(self).success());
    }
}

impl Second for Follower {
    fn ask(&mut self, mark: &str) -> String {
        self.save(mark.parse().unwrap())
    }

    fn end(self) {}
}

type Start<T> = fn(&Path) -> T;

fn in_another<S: AnyStore>(dir: &Path) -> Process {
    let mut process = Process::start::<S>(dir);
    assert_eq!(process.ask("open"), "resumed at 2");
    process
}

fn in_this<S: AnyStore>(dir: &Path) -> Follower {
    let follower = Follower::open::<S>(dir).unwrap();
    assert_eq!(follower.origin(), "resumed at 2");
    follower
}

/// A directory within another, and a follower that has saved twice in it.
fn saved_twice<S: AnyStore>() -> (tempfile::TempDir, PathBuf, Follower) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("marks");
    let mut first = Follower::open::<S>(&dir).unwrap();
    assert_eq!([first.save(10), first.save(20)], ["saved 1", "saved 2"]);
    assert_eq!(first.floors(), LAST);
    (outer, dir, first)
}

/// The save fails with this, no later one is tried, and the floors stay.
fn is_frozen(first: &mut Follower, why: &str) {
    assert_eq!(first.save(1000), why);
    for mark in [1001, 1002] {
        assert_eq!(first.save(mark), "poisoned");
    }
    assert_eq!(first.floors(), LAST);
    let status = first.0.checkpointer.floors().health().status;
    assert!(matches!(status, Status::Poisoned { .. }), "{status:?}");
}

/// When the first store tries to save: before, after or between the saves of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Before,
    After,
    Between,
}

fn the_lock_is_removed<S: AnyStore, T: Second>(start: Start<T>) {
    for order in [Order::Before, Order::After, Order::Between] {
        let (_outer, dir, mut first) = saved_twice::<S>();
        fs::remove_file(dir.join("repl-checkpoint.lock")).unwrap();
        let mut second = start(&dir);
        if order == Order::Before {
            is_frozen(&mut first, LOCK);
        }
        assert_eq!(second.ask("300"), "saved 3", "{order:?}");
        if order == Order::Between {
            is_frozen(&mut first, LOCK);
        }
        assert_eq!(second.ask("301"), "saved 4", "{order:?}");
        if order == Order::After {
            is_frozen(&mut first, LOCK);
        }
        for _ in 0..2 {
            let refused = first.reopen::<S>(&dir);
            assert!(refused.contains("is in use: one follower owns a store"), "{refused}");
        }
        second.end();
        let refused = first.reopen::<S>(&dir);
        assert!(refused.contains("newest checkpoint in the store is generation 4"), "{refused}");
        assert!(refused.contains("end this process, and recover"), "{refused}");
        assert_eq!(first.save(1003), "poisoned");
        drop(first);
        let next = Follower::open::<S>(&dir).unwrap();
        assert_eq!((next.mark(), next.origin().as_str()), (301, "resumed at 4"), "{order:?}");
    }
}

#[test]
fn a_deleted_lock_is_noticed_and_the_saves_of_another_process_are_found() {
    the_lock_is_removed::<FileStore, Process>(in_another::<FileStore>);
    the_lock_is_removed::<SlotStore, Process>(in_another::<SlotStore>);
}

#[test]
fn a_deleted_lock_is_noticed_and_the_saves_of_another_store_of_this_process_are_found() {
    the_lock_is_removed::<FileStore, Follower>(in_this::<FileStore>);
    the_lock_is_removed::<SlotStore, Follower>(in_this::<SlotStore>);
}

fn the_second_never_saves<S: AnyStore, T: Second>(start: Start<T>) {
    let (_outer, dir, mut first) = saved_twice::<S>();
    fs::remove_file(dir.join("repl-checkpoint.lock")).unwrap();
    let second = start(&dir);
    is_frozen(&mut first, LOCK);
    let refused = first.reopen::<S>(&dir);
    assert!(refused.contains("is in use"), "{refused}");
    second.end();
    assert_eq!(first.reopen::<S>(&dir), "reopened");
    // The generation of the failed save is not used again.
    assert_eq!([first.save(2000), first.save(2001)], ["saved 4", "saved 5"]);
    assert_eq!(first.floors(), (Some(2001), Some(2000)));
    drop(first);
    assert_eq!(Follower::open::<S>(&dir).unwrap().mark(), 2001);
}

#[test]
fn if_the_second_store_never_saved_the_first_heals_once_it_is_gone() {
    the_second_never_saves::<FileStore, Process>(in_another::<FileStore>);
    the_second_never_saves::<SlotStore, Process>(in_another::<SlotStore>);
    the_second_never_saves::<FileStore, Follower>(in_this::<FileStore>);
    the_second_never_saves::<SlotStore, Follower>(in_this::<SlotStore>);
}

/// A lock file that is deleted while no other store opens: `reopen` makes a new one.
fn the_lock_alone<S: AnyStore>() {
    let (_outer, dir, mut first) = saved_twice::<S>();
    fs::remove_file(dir.join("repl-checkpoint.lock")).unwrap();
    is_frozen(&mut first, LOCK);
    assert_eq!(first.reopen::<S>(&dir), "reopened");
    assert!(first.save(2000).starts_with("saved "));
    assert!(dir.join("repl-checkpoint.lock").exists());
}

#[test]
fn a_deleted_lock_alone_is_noticed_and_reopen_makes_a_new_one() {
    the_lock_alone::<FileStore>();
    the_lock_alone::<SlotStore>();
}

/// The directory is renamed away, and a new one is at its path, with another store in it.
fn a_new_directory<S: AnyStore>() {
    let (outer, dir, mut first) = saved_twice::<S>();
    let away = outer.path().join("away");
    fs::rename(&dir, &away).unwrap();
    let mut second = Follower::open::<S>(&dir).unwrap();
    assert_eq!((second.origin().as_str(), second.save(5).as_str()), ("fresh", "saved 1"));
    is_frozen(&mut first, DIRECTORY);
    let refused = first.reopen::<S>(&dir);
    assert!(refused.contains("is in use"), "{refused}");
    drop(second);
    let refused = first.reopen::<S>(&dir);
    assert!(refused.contains("newest checkpoint in the store is generation 1"), "{refused}");
    // Brought back it heals, and what is in the new one is left alone.
    let new = outer.path().join("new");
    fs::rename(&dir, &new).unwrap();
    fs::rename(&away, &dir).unwrap();
    assert_eq!(first.reopen::<S>(&dir), "reopened");
    assert!(first.save(2000).starts_with("saved "));
    drop(first);
    assert_eq!(Follower::open::<S>(&dir).unwrap().mark(), 2000);
    assert_eq!(Follower::open::<S>(&new).unwrap().mark(), 5);
}

#[test]
fn a_new_directory_at_the_path_is_noticed_and_gets_no_acknowledged_save() {
    a_new_directory::<FileStore>();
    a_new_directory::<SlotStore>();
}

/// The lock file is moved into the new directory: the lock is still at its path.
fn a_new_directory_with_the_lock<S: AnyStore>() {
    let (outer, dir, mut first) = saved_twice::<S>();
    let away = outer.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    let lock = "repl-checkpoint.lock";
    fs::rename(away.join(lock), dir.join(lock)).unwrap();
    is_frozen(&mut first, DIRECTORY);
    let refused = first.reopen::<S>(&dir);
    assert!(refused.contains("the store that was opened is empty"), "{refused}");
    assert!(refused.contains("put its directory back"), "{refused}");
}

#[test]
fn a_new_directory_with_the_old_lock_in_it_is_noticed() {
    a_new_directory_with_the_lock::<FileStore>();
    a_new_directory_with_the_lock::<SlotStore>();
}

/// All files are moved into a new directory, so each is still at its path.
fn a_new_directory_with_all_files<S: AnyStore>() {
    let (outer, dir, mut first) = saved_twice::<S>();
    let away = outer.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(&away).unwrap().map(Result::unwrap) {
        fs::rename(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    is_frozen(&mut first, DIRECTORY);
}

#[test]
fn a_new_directory_with_all_files_in_it_is_noticed() {
    a_new_directory_with_all_files::<FileStore>();
    a_new_directory_with_all_files::<SlotStore>();
}

/// Between two saves the directory is somewhere else for a while.
fn moved_and_moved_back<S: AnyStore>() {
    let (outer, dir, mut first) = saved_twice::<S>();
    let away = outer.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::rename(&away, &dir).unwrap();
    assert_eq!([first.save(30), first.save(40)], ["saved 3", "saved 4"]);
    assert_eq!(first.floors(), (Some(40), Some(30)));
    // A save while it is away is not acknowledged.
    fs::rename(&dir, &away).unwrap();
    let save = first.save(50);
    let expected = match S::NAME {
        FileStore::NAME => "not saved: create 00000000000000000005.checkpoint.temp: NotFound",
        _ => DIRECTORY,
    };
    assert_eq!(save, expected);
    assert_eq!(first.floors(), (Some(40), Some(30)));
    fs::rename(&away, &dir).unwrap();
    if S::NAME == SlotStore::NAME {
        assert_eq!(
            (first.save(60), first.reopen::<S>(&dir)),
            ("poisoned".into(), "reopened".into())
        );
    }
    assert!(first.save(70).starts_with("saved "));
    drop(first);
    assert_eq!(Follower::open::<S>(&dir).unwrap().mark(), 70);
}

#[test]
fn a_directory_that_is_moved_and_moved_back_is_saved_to_again() {
    moved_and_moved_back::<FileStore>();
    moved_and_moved_back::<SlotStore>();
}

#[test]
fn a_slot_file_that_was_replaced_by_a_copy_is_noticed_and_reopen_goes_on_with_the_copy() {
    let (_outer, dir, mut first) = saved_twice::<SlotStore>();
    let (path, copy) = (dir.join("marks.slots"), dir.join("copy"));
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    is_frozen(&mut first, "replaced: the checkpoint file");
    assert_eq!(Follower::open::<SlotStore>(&dir).err(), Some(format!("locked: {}", dir.display())));
    assert_eq!(first.reopen::<SlotStore>(&dir), "reopened");
    assert_eq!([first.save(2000), first.save(2001)], ["saved 4", "saved 5"]);
    drop(first);
    assert_eq!(Follower::open::<SlotStore>(&dir).unwrap().mark(), 2001);
}

#[test]
fn a_slot_file_that_was_removed_is_noticed_and_found_to_have_vanished() {
    let (_outer, dir, mut first) = saved_twice::<SlotStore>();
    fs::remove_file(dir.join("marks.slots")).unwrap();
    is_frozen(&mut first, "replaced: the checkpoint file");
    let refused = first.reopen::<SlotStore>(&dir);
    assert!(refused.contains("holds no checkpoint"), "{refused}");
    drop(first);
    assert_eq!(Follower::open::<SlotStore>(&dir).err().as_deref(), Some("vanished"));
}
