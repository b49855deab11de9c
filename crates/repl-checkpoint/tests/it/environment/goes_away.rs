//! What is below a running store goes away: its directory, its filesystem's right to write, and the
//! room of a thin device.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use repl_checkpoint::{FileStore, SlotStore};

use super::heals::{Answers, heals, masked};
use super::no_room::Ballast;
use super::{Image, Mount, done, temps, text};
use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, skipped};

/// A directory that is moved away until this is dropped.
struct MovedAway(PathBuf);

impl MovedAway {
    fn new(dir: &Path) -> Self {
        fs::rename(dir, dir.with_extension("away")).unwrap();
        MovedAway(dir.to_owned())
    }
}

impl Drop for MovedAway {
    fn drop(&mut self) {
        // A `reopen` that came too early has made a new one.
        let _ = fs::remove_dir_all(&self.0);
        fs::rename(self.0.with_extension("away"), &self.0).unwrap();
    }
}

fn moved_away<S: AnyStore>() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("marks");
    let mut follower = Process::start::<S>(&dir);
    assert_eq!(follower.ask("open"), "fresh");
    let save = "not acknowledged: the directory DIR was removed, moved or \
                replaced under the open store, so another store can save there; find out what did \
                it, and open the store again";
    let reopen = "the store that was opened is empty, and not what this process saved (generation \
                  N, or 8 in doubt): put its directory back in the place of the empty one, then \
                  open it again";
    let answers = Answers { save: &[save], reopen, new_file: true, lasts: true };
    heals::<S, _>(&dir, follower, || MovedAway::new(&dir), &answers);
}

#[test]
fn a_directory_that_was_moved_away_is_named_and_heals_when_it_is_brought_back() {
    moved_away::<FileStore>();
    moved_away::<SlotStore>();
}

/// Reports an error to ext4, which then writes nothing until it is mounted again.
fn fails(image: &Image) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = mounts.find(|mount| mount.get(1) == Some(&text(image.dir())));
    let device = found.map(|mount| mount[0].replace("/dev/", "")).unwrap_or_default();
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").is_ok()
}

fn an_error_of_the_filesystem<S: AnyStore>(failed: &str) {
    let Some(mut image) = Image::new(16, "mkfs.ext4", &["-q", "-e", "remount-ro"]) else { return };
    let dir = image.dir().join("marks");
    let mut follower = Follower::open::<S>(&dir).unwrap();
    assert_eq!([follower.save(10), follower.save(20)], ["saved 1", "saved 2"]);
    if !fails(&image) {
        return skipped("this ext4 has no trigger_fs_error");
    }
    let advice = "look into the kernel log: after an error, check its filesystem (fsck) before you \
                  mount it writable";
    let why = "Read-only file system (os error 30)";
    let expected = failed.replace("ADVICE", advice) + why;
    assert_eq!(masked(&dir, &follower.fails(30)), expected);
    let refused = format!(
        "failed to open the store again: failed to lock DIR/repl-checkpoint.lock; {advice}: {why}"
    );
    assert_eq!(masked(&dir, &follower.reopen::<S>(&dir)), refused);
    assert_eq!(follower.save(30), "poisoned");
    // The checkpointer has let go of all files, so the filesystem can be mounted again.
    let mended = follower.reopen_with(|| {
        image.mount = None;
        image.mount = image.mounted();
        S::open_at(&dir)
    });
    assert_eq!(mended, "reopened");
    assert!(follower.save(40).starts_with("saved "));
    assert_eq!(follower.floors(), (Some(40), None));
    assert!(follower.save(50).starts_with("saved "));
    assert_eq!(follower.floors(), (Some(50), Some(40)));
    drop(follower);
    assert_eq!(Follower::open::<S>(&dir).unwrap().mark(), 50);
}

#[test]
fn after_an_error_of_its_filesystem_a_store_heals_when_that_is_mounted_again() {
    an_error_of_the_filesystem::<FileStore>(
        "not saved: failed to create DIR/N.checkpoint.temp; the older checkpoint is untouched; \
         ADVICE: ",
    );
    an_error_of_the_filesystem::<SlotStore>(
        "in doubt: failed to write a slot of DIR/marks.slots; ADVICE, then open the store again \
         before the next save: ",
    );
}

/// ext4 without a journal, in a sparse image on a small disk: a device that promises more room than
/// it has.
struct Thin {
    inner: Option<Mount>,
    _small: Mount,
    at: tempfile::TempDir,
    outer: tempfile::TempDir,
}

impl Thin {
    fn new() -> Option<Self> {
        let [outer, at] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let Some(small) = Mount::new(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], outer.path())
        else {
            skipped("no tmpfs mount: not root, or not allowed here");
            return None;
        };
        let mut thin = Thin { inner: None, _small: small, at, outer };
        let image = thin.outer.path().join("image");
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        // A loop device reports a write as complete that its file took a part of. Blocks as long as
        // a page of that file are taken or refused whole.
        let options = ["-q", "-O", "^has_journal", "-b", "4096", "-N", "64"];
        if !done("mkfs.ext4", &[&options[..], &[text(&image)]].concat()) {
            skipped("no mkfs.ext4");
            return None;
        }
        thin.inner = Mount::new(&["-o", "loop,noatime", text(&image)], thin.at.path());
        if thin.inner.is_none() {
            skipped("no loop mount: not root, or not allowed here");
            return None;
        }
        Some(thin)
    }
}

fn without_room_at_the_sync<S: AnyStore>(file: &str) {
    let Some(thin) = Thin::new() else { return };
    let dir = thin.at.path().join("marks");
    let mut follower = Follower::open::<S>(&dir).unwrap();
    assert_eq!([follower.save(10), follower.save(20)], ["saved 1", "saved 2"]);
    assert!(done("sync", &["-f", text(thin.at.path())]));
    let full = Ballast::of_bytes(thin.outer.path());
    if S::NAME == SlotStore::NAME {
        assert_eq!(follower.save(25), "saved 3", "in place, over blocks that the device has");
    }
    follower.grow();
    let expected = format!(
        "not saved: failed to sync DIR/{file}.temp; the older checkpoint is untouched; make room on \
         its filesystem, for blocks and for inodes: No space left on device (os error 28)"
    );
    assert_eq!(masked(&dir, &follower.fails(30)), expected);
    assert_eq!(temps(&dir), 0);
    drop(full);
    assert!(follower.save(40).starts_with("saved "));
    assert_eq!(follower.reopen::<S>(&dir), "reopened");
    assert!(follower.save(50).starts_with("saved "));
    drop(follower);
    assert_eq!(Follower::open::<S>(&dir).unwrap().mark(), 50);
}

#[test]
fn a_device_without_room_fails_the_sync_of_a_new_file_and_heals_once_it_has_room() {
    without_room_at_the_sync::<FileStore>("N.checkpoint");
    without_room_at_the_sync::<SlotStore>("marks.slots");
}
