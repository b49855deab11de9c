//! Full disks on filesystems that write elsewhere what is written in place: btrfs, and XFS once a
//! copy shares the blocks of the file. There a save in place needs room, and without it is in doubt.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use repl_checkpoint::{FileStore, SlotStore};

use super::heals::{Answers, heals};
use super::{Image, done, text};
use crate::support::process::Process;
use crate::support::{AnyStore, skipped};

/// A neighbor that takes all free blocks until it is dropped.
struct Neighbor(PathBuf);

impl Neighbor {
    fn new(dir: &Path) -> Self {
        let path = dir.join("neighbor");
        File::create(&path).unwrap();
        // Most blocks are reserved, which is fast.
        let mut length = 0;
        for step in [64 << 20, 8 << 20, 1 << 20, 1 << 16] {
            let reserve = |offset: u64| {
                let (offset, step) = (offset.to_string(), step.to_string());
                done("fallocate", &["-o", &offset, "-l", &step, text(&path)])
            };
            while reserve(length) {
                length += step;
            }
        }
        // The last ones are written, so that nothing is left that was set aside.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        for piece in [vec![1; 1 << 16], vec![1; 1 << 12]] {
            while file.write_all(&piece).and_then(|()| file.sync_data()).is_ok() {}
        }
        Neighbor(path)
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        // XFS frees the blocks of a removed file some time later, and those cut off at once. Btrfs
        // has no room to cut anything off, and frees what is removed.
        let _ = File::create(&self.0).and_then(|file| file.sync_all());
        fs::remove_file(&self.0).unwrap();
    }
}

/// The answers on a disk without room, with the advice and the reason.
fn on_a_full_disk<S: AnyStore>(dir: &Path, fault: impl Fn() -> Neighbor, advice: &str, why: &str) {
    let in_place = format!(
        "in doubt: failed to write a slot of DIR/marks.slots; {advice}, then open the store again \
         before the next save: {why}"
    );
    let new_file = ["create", "write", "sync"].map(|act| {
        format!(
            "not saved: failed to {act} DIR/N.checkpoint.temp; the older checkpoint is untouched; \
             {advice}: {why}"
        )
    });
    let save: Vec<&str> = match S::NAME {
        SlotStore::NAME => vec![&in_place],
        _ => new_file.iter().map(String::as_str).collect(),
    };
    let mut follower = Process::start::<S>(dir);
    assert_eq!(follower.ask("open"), "fresh");
    let answers = Answers { save: &save, reopen: "reopened", new_file: false, lasts: true };
    heals::<S, _>(dir, follower, fault, &answers);
}

const ROOM: &str = "make room on its filesystem, for blocks and for inodes";
const NO_ROOM: &str = "No space left on device (os error 28)";

fn a_full_btrfs<S: AnyStore>() {
    let Some(image) = Image::btrfs() else { return };
    let fill = || Neighbor::new(image.dir());
    on_a_full_disk::<S>(&image.dir().join("marks"), fill, ROOM, NO_ROOM);
}

#[test]
fn on_a_full_btrfs_a_save_in_place_is_in_doubt_and_reopen_heals_it_once_there_is_room() {
    a_full_btrfs::<SlotStore>();
}

#[test]
fn on_a_full_btrfs_a_new_file_is_not_saved_and_is_once_there_is_room() {
    a_full_btrfs::<FileStore>();
}

fn a_full_xfs<S: AnyStore>() {
    let Some(image) = Image::xfs() else { return };
    let dir = image.dir().join("marks");
    let copy_and_fill = || {
        // The copy shares all blocks, so each of them must be written elsewhere.
        let copy = image.dir().join("copy");
        let _ = fs::remove_dir_all(&copy);
        assert!(done("cp", &["-r", "--reflink=always", text(&dir), text(&copy)]));
        assert!(done("sync", &["-f", text(image.dir())]));
        Neighbor::new(image.dir())
    };
    on_a_full_disk::<S>(&dir, copy_and_fill, ROOM, NO_ROOM);
}

#[test]
fn on_a_full_xfs_a_save_in_place_over_shared_blocks_is_in_doubt_and_reopen_heals_it() {
    a_full_xfs::<SlotStore>();
}

#[test]
fn on_a_full_xfs_with_shared_blocks_a_new_file_is_not_saved_and_is_once_there_is_room() {
    a_full_xfs::<FileStore>();
}

fn a_used_up_quota<S: AnyStore>() {
    let Some(image) = Image::btrfs() else { return };
    let below = image.dir().join("below");
    let commands: [&[&str]; 3] = [
        &["quota", "enable", text(image.dir())],
        &["subvolume", "create", text(&below)],
        &["qgroup", "limit", "1m", text(&below)],
    ];
    if !commands.iter().all(|command| done("btrfs", command)) {
        return skipped("no quotas of btrfs");
    }
    let fill = || Neighbor::new(&below);
    let advice = "raise the quota, or remove files that count towards it";
    let why = "Disk quota exceeded (os error 122)";
    on_a_full_disk::<S>(&below.join("marks"), fill, advice, why);
}

#[test]
fn a_used_up_quota_heals_as_a_full_disk_does() {
    a_used_up_quota::<SlotStore>();
    a_used_up_quota::<FileStore>();
}
