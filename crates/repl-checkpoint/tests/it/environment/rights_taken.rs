//! Rights that are taken while a follower runs: the message says what to do, and `reopen` heals it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use repl_checkpoint::{FileStore, SlotStore};

use super::Attribute;
use super::heals::{Answers, heals, masked};
use super::no_right::{NOBODY, Nobody, read_only};
use crate::support::process::Process;
use crate::support::{AnyStore, names, skipped};

const RIGHT: &str = "let the user of this process do this: look at owner, mode and `lsattr` of the \
                     file and its directory";

/// Changes a path until this is dropped.
struct Changed<T: Fn()>(T);

impl<T: Fn()> Drop for Changed<T> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn owned_by(path: &Path, owner: u32) {
    chown(path, Some(owner), None).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The message of a save that cannot create its temporary file.
fn not_created<S: AnyStore>(advice: &str, why: &str) -> String {
    let file = if S::NAME == SlotStore::NAME { "marks.slots" } else { "N.checkpoint" };
    format!(
        "not saved: failed to create DIR/{file}.temp; the older checkpoint is untouched; {advice}: \
         {why}"
    )
}

/// The message of a save that cannot rename it.
fn not_renamed<S: AnyStore>(why: &str) -> String {
    let file = if S::NAME == SlotStore::NAME { "marks.slots" } else { "N.checkpoint" };
    format!(
        "in doubt: failed to rename a new checkpoint to DIR/{file}; {RIGHT}, then open the store \
         again before the next save: {why}"
    )
}

fn as_nobody<S: AnyStore, F>(fault: impl Fn(&Path) -> F, save: &str, reopen: &str) {
    let Some(nobody) = Nobody::new() else { return };
    let dir = nobody.dir();
    owned_by(&dir, NOBODY);
    let mut follower = nobody.starts::<S>();
    assert_eq!(follower.ask("open"), "fresh");
    let answers = Answers { save: &[save], reopen, new_file: true, lasts: true };
    heals::<S, _>(&dir, follower, || fault(&dir), &answers);
}

const EACCES: &str = "Permission denied (os error 13)";
const EPERM: &str = "Operation not permitted (os error 1)";

fn another_owner<S: AnyStore>() {
    let fault = |dir: &Path| {
        owned_by(dir, 0);
        let dir = dir.to_owned();
        Changed(move || owned_by(&dir, NOBODY))
    };
    as_nobody::<S, _>(fault, &not_created::<S>(RIGHT, EACCES), "reopened");
}

#[test]
fn a_directory_given_to_another_owner_is_named_and_heals_when_it_is_given_back() {
    another_owner::<FileStore>();
    another_owner::<SlotStore>();
}

fn another_mode<S: AnyStore>(mode: u32, save: &str, reopen: &str) {
    let fault = |dir: &Path| {
        set_mode(dir, mode);
        let dir = dir.to_owned();
        Changed(move || set_mode(&dir, 0o755))
    };
    as_nobody::<S, _>(fault, save, reopen);
}

#[test]
fn a_directory_without_the_right_to_write_is_named_and_heals_when_the_mode_is_set_back() {
    another_mode::<FileStore>(0o500, &not_created::<FileStore>(RIGHT, EACCES), "reopened");
    another_mode::<SlotStore>(0o500, &not_created::<SlotStore>(RIGHT, EACCES), "reopened");
}

#[test]
fn a_directory_without_any_right_is_named_also_by_reopen() {
    let reopen = format!(
        "failed to open the store again: failed to lock DIR/repl-checkpoint.lock; {RIGHT}: {EACCES}"
    );
    let lock = format!(
        "not saved: failed to look at DIR/repl-checkpoint.lock; the older checkpoint is untouched; \
         {RIGHT}: {EACCES}"
    );
    another_mode::<FileStore>(0, &lock, &reopen);
    let read = format!(
        "not saved: failed to look at DIR/marks.slots; the older checkpoint is untouched; {RIGHT}: \
         {EACCES}"
    );
    another_mode::<SlotStore>(0, &read, &reopen);
}

/// In a sticky directory only the owner of a file may replace it.
#[test]
fn a_slot_file_of_another_owner_in_a_sticky_directory_is_in_doubt_and_reopen_heals_it() {
    let fault = |dir: &Path| {
        set_mode(dir, 0o1777);
        let file = dir.join("marks.slots");
        owned_by(dir, 0);
        owned_by(&file, 0);
        set_mode(&file, 0o644);
        let dir = dir.to_owned();
        Changed(move || {
            owned_by(&dir, NOBODY);
            owned_by(&dir.join("marks.slots"), NOBODY);
        })
    };
    as_nobody::<SlotStore, _>(fault, &not_renamed::<SlotStore>(EPERM), "reopened");
}

/// A directory on which root sets an attribute or a mount.
fn of_root<S: AnyStore, F>(fault: fn(&Path) -> Option<F>, save: &str, reopen: &str) {
    let dir = tempfile::tempdir().unwrap();
    if fault(dir.path()).is_none() {
        return skipped("no chattr or no bind mount: not root, or not on this filesystem");
    }
    let mut follower = Process::start::<S>(dir.path());
    assert_eq!(follower.ask("open"), "fresh");
    let answers = Answers { save: &[save], reopen, new_file: true, lasts: true };
    heals::<S, _>(dir.path(), follower, || fault(dir.path()).unwrap(), &answers);
}

fn append_only(dir: &Path) -> Option<Attribute> {
    Attribute::new('a', dir)
}

#[test]
fn a_rename_in_an_append_only_directory_is_in_doubt_and_reopen_heals_it() {
    of_root::<FileStore, _>(append_only, &not_renamed::<FileStore>(EPERM), "reopened");
    of_root::<SlotStore, _>(append_only, &not_renamed::<SlotStore>(EPERM), "reopened");
}

fn becomes_read_only<S: AnyStore>() {
    let advice = "look into the kernel log: after an error, check its filesystem (fsck) before you \
                  mount it writable";
    let why = "Read-only file system (os error 30)";
    let reopen = format!(
        "failed to open the store again: failed to lock DIR/repl-checkpoint.lock; {advice}: {why}"
    );
    of_root::<S, _>(read_only, &not_created::<S>(advice, why), &reopen);
}

#[test]
fn a_read_only_mount_over_the_directory_is_named_and_reopen_heals_it() {
    becomes_read_only::<FileStore>();
    becomes_read_only::<SlotStore>();
}

/// A file that root has put back, for example from a copy, and that the follower may not read.
fn an_unreadable_checkpoint<S: AnyStore>(refused: &str) {
    let Some(nobody) = Nobody::new() else { return };
    let dir = nobody.dir();
    owned_by(&dir, NOBODY);
    let mut follower = nobody.starts::<S>();
    assert_eq!(follower.ask("open"), "fresh");
    assert_eq!([follower.ask("10"), follower.ask("20")], ["saved 1", "saved 2"]);
    let newest = dir.join(names(&dir).pop().unwrap());
    owned_by(&newest, 0);
    let said = masked(&dir, &follower.ask("reopen"));
    assert_eq!(said, format!("{refused}; {RIGHT}: {EACCES}"));
    assert_eq!(follower.ask("30"), "poisoned");
    owned_by(&newest, NOBODY);
    assert_eq!(follower.ask("reopen"), "reopened");
    assert_eq!([follower.ask("35"), follower.ask("40")], ["saved 3", "saved 4"]);
    assert_eq!(follower.ask("floors"), "(Some(40), Some(35))");
}

#[test]
fn a_checkpoint_of_another_owner_is_named_by_reopen_which_goes_on_when_it_is_readable() {
    an_unreadable_checkpoint::<FileStore>(
        "checkpoint DIR/N.checkpoint was refused: it cannot be read",
    );
    an_unreadable_checkpoint::<SlotStore>("failed to read DIR/marks.slots");
}
