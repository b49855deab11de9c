//! A sync that fails on a real block device: a later sync of the same bytes proves nothing.
//!
//! The device is a loop device. While the file behind it is immutable, the device refuses every
//! write, and the kernel drops the pages that it could not write as if it had written them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repl_checkpoint::{FileStore, SlotStore};

use super::{Immutable, Mount, done, temps, text};
use crate::support::follower::{Follower, ONE};
use crate::support::{AnyStore, skipped};

/// An ext4 filesystem on a device of its own, without a journal, which would end all writing at the
/// first failure.
struct Device {
    mount: Option<Mount>,
    at: tempfile::TempDir,
    outer: tempfile::TempDir,
}

impl Device {
    fn new() -> Option<Self> {
        let [outer, at] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut device = Device { mount: None, at, outer };
        let image = device.image();
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let formatted = done("mkfs.ext4", &["-q", "-O", "^has_journal", text(&image)]);
        if !formatted || Immutable::new(&image).is_none() {
            skipped("no mkfs.ext4, or no chattr +i");
            return None;
        }
        device.mount = device.mounted();
        if device.mount.is_none() {
            skipped("no loop mount: not root, or not allowed here");
            return None;
        }
        Some(device)
    }

    fn image(&self) -> PathBuf {
        self.outer.path().join("image")
    }

    fn dir(&self) -> PathBuf {
        self.at.path().join("marks")
    }

    fn mounted(&self) -> Option<Mount> {
        Mount::new(&["-o", "loop,noatime", text(&self.image())], self.at.path())
    }

    /// Refuses every write, until what this returns is dropped.
    fn breaks(&self) -> Immutable {
        // Only the save is lost then.
        assert!(done("sync", &["-f", text(self.at.path())]));
        Immutable::new(&self.image()).unwrap()
    }

    /// Drops the caches, as a restart of the machine does.
    fn restarts(&mut self) {
        self.mount = None;
        // The old loop device may not be detached yet.
        let end = Instant::now() + Duration::from_secs(10);
        while self.mount.is_none() {
            assert!(Instant::now() < end, "10 s passed, and it cannot be mounted again");
            self.mount = self.mounted();
        }
    }
}

/// Two acknowledged checkpoints on a working device.
fn two_saves<S: AnyStore>(dir: &Path) -> Follower {
    let mut follower = Follower::open::<S>(dir).unwrap();
    assert_eq!([follower.save(10), follower.save(20)], ["saved 1", "saved 2"]);
    follower
}

/// After a failed sync a process reads the new marks from the cache or, if the machine has
/// reclaimed that memory, the old ones from the device.
fn may_be_either(follower: &Follower) -> bool {
    ["resumed at 2", "resumed at 3"].contains(&&*follower.origin())
        && [20, 30].contains(&follower.mark())
}

/// What a process has only read is provisional until it has saved.
fn promises_nothing(follower: &Follower) -> bool {
    let floors = follower.0.checkpointer.floors();
    floors.checkpointed(ONE).is_none() && floors.retention_floor(ONE).is_none()
}

#[test]
fn a_save_in_place_that_could_not_be_synced_is_in_the_cache_and_gone_after_a_restart() {
    let Some(mut device) = Device::new() else { return };
    let dir = device.dir();
    let mut follower = two_saves::<SlotStore>(&dir);
    let broken = device.breaks();
    assert_eq!(follower.save(30), "in doubt: sync marks.slots: EIO");
    assert_eq!(follower.save(30), "poisoned");
    let floors = follower.0.checkpointer.floors();
    assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(20), Some(10)));
    drop(follower);

    // The device still refuses every write, and yet a later sync succeeds.
    let file = File::open(dir.join("marks.slots")).unwrap();
    assert!((0..9).any(|_| file.sync_data().is_ok()));
    let next = Follower::open::<SlotStore>(&dir).unwrap();
    assert!(may_be_either(&next) && promises_nothing(&next));
    drop((next, file, broken));

    device.restarts();
    let mut last = Follower::open::<SlotStore>(&dir).unwrap();
    assert_eq!((last.origin(), last.mark()), ("resumed at 2".to_owned(), 20));
    assert_eq!(last.save(30), "saved 3");
}

#[test]
fn what_was_only_in_the_cache_is_on_the_disk_after_the_first_save_of_the_next_process() {
    let Some(mut device) = Device::new() else { return };
    let dir = device.dir();
    let mut follower = two_saves::<SlotStore>(&dir);
    let broken = device.breaks();
    assert_eq!(follower.save(30), "in doubt: sync marks.slots: EIO");
    drop((follower, broken));

    let mut next = Follower::open::<SlotStore>(&dir).unwrap();
    assert!(may_be_either(&next), "{}", next.origin());
    // The save goes into a new file: another sync of the old one would write nothing.
    let saved = next.save(30);
    assert!(["saved 3", "saved 4"].contains(&&*saved), "{saved}");
    drop(next);
    device.restarts();
    let last = Follower::open::<SlotStore>(&dir).unwrap();
    assert_eq!((last.origin(), last.mark()), (saved.replace("saved", "resumed at"), 30));
}

/// A failed save into a new file leaves the older one, with either store.
fn a_new_file_that_cannot_be_synced<S: AnyStore>(file: &str, grow: bool) {
    let Some(mut device) = Device::new() else { return };
    let dir = device.dir();
    let mut follower = two_saves::<S>(&dir);
    if grow {
        follower.grow();
    }
    let broken = device.breaks();
    // Once, as a longer failure may damage the filesystem itself.
    let temp = file.replace('N', &format!("{:020}", 3));
    assert_eq!(follower.save(30), format!("not saved: sync {temp}.temp: EIO"));
    assert_eq!(temps(&dir), 0);
    drop(broken);
    assert_eq!(follower.save(40), "saved 4");
    drop(follower);
    device.restarts();
    let last = Follower::open::<S>(&dir).unwrap();
    assert_eq!((last.origin(), last.mark()), ("resumed at 4".to_owned(), 40));
}

#[test]
fn a_new_file_that_could_not_be_synced_is_not_saved_and_another_one_is_when_the_device_works() {
    a_new_file_that_cannot_be_synced::<FileStore>("N.checkpoint", false);
    a_new_file_that_cannot_be_synced::<SlotStore>("marks.slots", true);
}
