//! Directories that are not writable, or no longer: nothing is lost, and a later save succeeds once
//! they are. A save in place uses a file that is already open.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use repl_checkpoint::{FileStore, SlotStore};

use super::{Expected, Immutable, Mount, done, survives, text};
use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, contents, names, recovered_from, save, skipped};

/// Makes the directory read-only until this is dropped.
pub(super) fn read_only(dir: &Path) -> Option<Mount> {
    let mount = Mount::new(&["--bind", text(dir)], dir)?;
    assert!(done("mount", &["-o", "remount,ro,bind", text(dir)]));
    Some(mount)
}

/// No new file can be created, for this reason. A save in place creates none.
macro_rules! no_new_file {
    ($reason:literal) => {
        Expected {
            files: [
                concat!("not saved: create 00000000000000000003.checkpoint.temp: ", $reason),
                concat!("not saved: create 00000000000000000004.checkpoint.temp: ", $reason),
                "saved 5",
            ],
            slots: ["saved 3", concat!("not saved: create marks.slots.temp: ", $reason), "saved 5"],
        }
    };
}

fn a_read_only_filesystem<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let Some(mount) = read_only(dir.path()) else {
        return skipped("no bind mount: not root, or not allowed here");
    };
    let refused = |dir: &Path| Follower::open::<S>(dir).err().unwrap();
    assert_eq!(refused(dir.path()), "refused: lock repl-checkpoint.lock: EROFS");
    assert_eq!(refused(&dir.path().join("fresh")), "refused: create fresh: EROFS");
    assert_eq!(contents(dir.path()), before);
    drop(mount);
    assert_eq!(Follower::open::<S>(dir.path()).unwrap().origin(), "resumed at 1");
}

#[test]
fn a_read_only_filesystem_is_refused_at_open_and_changes_nothing() {
    a_read_only_filesystem::<FileStore>();
    a_read_only_filesystem::<SlotStore>();
}

fn becomes_read_only<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    if read_only(dir.path()).is_none() {
        return skipped("no bind mount: not root, or not allowed here");
    }
    let follower = Follower::open::<S>(dir.path()).unwrap();
    let fault = || read_only(dir.path()).unwrap();
    survives::<S, _>(dir.path(), follower, fault, &no_new_file!("EROFS"));
}

#[test]
fn a_filesystem_that_becomes_read_only_loses_nothing_and_is_saved_to_again_later() {
    becomes_read_only::<FileStore>();
    becomes_read_only::<SlotStore>();
}

fn becomes_immutable<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    if Immutable::new(dir.path()).is_none() {
        return skipped("no chattr +i: not root, or not on this filesystem");
    }
    let follower = Follower::open::<S>(dir.path()).unwrap();
    let fault = || Immutable::new(dir.path()).unwrap();
    survives::<S, _>(dir.path(), follower, fault, &no_new_file!("EPERM"));
}

#[test]
fn a_directory_that_becomes_immutable_loses_nothing_and_is_saved_to_again_later() {
    becomes_immutable::<FileStore>();
    becomes_immutable::<SlotStore>();
}

fn immutable_from_the_start<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let Some(immutable) = Immutable::new(dir.path()) else {
        return skipped("no chattr +i: not root, or not on this filesystem");
    };
    let refused = Follower::open::<S>(dir.path()).err().unwrap();
    drop(immutable);
    assert_eq!(refused, "refused: lock repl-checkpoint.lock: EPERM");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_directory_that_is_immutable_at_open_is_refused() {
    immutable_from_the_start::<FileStore>();
    immutable_from_the_start::<SlotStore>();
}

/// The slot file itself is immutable, which a write in place finds too late: it is in doubt.
#[test]
fn a_save_to_an_immutable_slot_file_is_in_doubt_and_the_next_process_replaces_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = Follower::open::<SlotStore>(dir.path()).unwrap();
    assert_eq!(follower.save(10), "saved 1");
    let Some(immutable) = Immutable::new(&dir.path().join("marks.slots")) else {
        return skipped("no chattr +i: not root, or not on this filesystem");
    };
    let before = contents(dir.path());
    assert_eq!(follower.save(20), "in doubt: write a slot of marks.slots: EPERM");
    assert_eq!(contents(dir.path()), before);
    drop((immutable, follower));
    let mut next = Follower::open::<SlotStore>(dir.path()).unwrap();
    assert_eq!((next.origin(), next.mark()), ("resumed at 1".to_owned(), 10));
    assert_eq!(next.save(20), "saved 2");
}

pub(super) const NOBODY: u32 = 65534;

/// This program as the user nobody, with a directory of its own.
pub(super) struct Nobody {
    outer: tempfile::TempDir,
}

impl Nobody {
    /// Copies this program to where every user may run it, and makes a directory beside it.
    pub(super) fn new() -> Option<Self> {
        let nobody = Nobody { outer: tempfile::tempdir().unwrap() };
        fs::set_permissions(nobody.outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Another process copies it: a child that is just starting inherits open files, and a
        // program that is open for writing cannot be run.
        let program = std::env::current_exe().unwrap();
        assert!(done("cp", &[text(&program), text(&nobody.outer.path().join("program"))]));
        fs::create_dir(nobody.dir()).unwrap();
        if !done("setpriv", &["--reuid=65534", "--clear-groups", "true"]) {
            skipped("no setpriv, or no right to become nobody");
            return None;
        }
        Some(nobody)
    }

    pub(super) fn dir(&self) -> std::path::PathBuf {
        self.outer.path().join("marks")
    }

    pub(super) fn starts<S: AnyStore>(&self) -> Process {
        let by = ["setpriv", "--reuid=65534", "--clear-groups"];
        Process::start_by::<S>(&by, &self.outer.path().join("program"), &self.dir())
    }
}

/// Gives the directory to root until this is dropped.
struct Taken<'a>(&'a Path);

impl<'a> Taken<'a> {
    fn new(dir: &'a Path) -> Self {
        chown(dir, Some(0), None).unwrap();
        Taken(dir)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        chown(self.0, Some(NOBODY), None).unwrap();
    }
}

fn another_users_directory<S: AnyStore>() {
    let Some(nobody) = Nobody::new() else { return };
    let mut follower = nobody.starts::<S>();
    assert_eq!(follower.ask("open"), "refused: lock repl-checkpoint.lock: EACCES");
    fs::set_permissions(nobody.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(follower.ask("open"), "refused: lock repl-checkpoint.lock: EACCES");
    assert_eq!(names(&nobody.dir()), [""; 0]);
    fs::set_permissions(nobody.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(nobody.dir(), Some(NOBODY), None).unwrap();
    assert_eq!(follower.ask("open"), "fresh");
    let dir = nobody.dir();
    survives::<S, _>(&dir, follower, || Taken::new(&dir), &no_new_file!("EACCES"));
}

#[test]
fn a_directory_of_another_user_loses_nothing_and_is_saved_to_again_when_it_is_ours() {
    another_users_directory::<FileStore>();
    another_users_directory::<SlotStore>();
}
