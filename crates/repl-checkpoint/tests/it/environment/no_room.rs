//! Full disks and reached limits: nothing is lost, and a later save succeeds once there is room. A
//! save in place needs no room, on a filesystem that overwrites.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use repl_checkpoint::{FileStore, SlotStore};

use super::{Expected, Mount, done, survives};
use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, contents, recovered_from, save, skipped};

/// Files that fill a disk until this is dropped.
pub(super) struct Ballast(PathBuf);

impl Ballast {
    /// Takes all free bytes.
    pub(super) fn of_bytes(disk: &Path) -> Self {
        let path = disk.join("ballast");
        let full = fs::write(&path, vec![1; 1 << 20]).unwrap_err();
        assert_eq!(full.raw_os_error(), Some(28));
        Ballast(path)
    }

    /// Takes all free inodes.
    fn of_names(disk: &Path) -> Self {
        let path = disk.join("ballast");
        fs::create_dir(&path).unwrap();
        let mut names = (0..).map(|n| fs::write(path.join(format!("{n}")), ""));
        let full = names.find_map(Result::err).unwrap();
        assert_eq!(full.raw_os_error(), Some(28));
        Ballast(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        if self.0.is_dir() {
            fs::remove_dir_all(&self.0).unwrap();
        } else {
            fs::remove_file(&self.0).unwrap();
        }
    }
}

/// Saves on a small disk before, while and after it is full.
fn a_full_disk<S: AnyStore>(fill: fn(&Path) -> Ballast, expected: &Expected) {
    let outer = tempfile::tempdir().unwrap();
    let small = ["-t", "tmpfs", "-o", "size=512k,nr_inodes=16", "tmpfs"];
    let Some(mount) = Mount::new(&small, outer.path()) else {
        return skipped("no tmpfs mount: not root, or not allowed here");
    };
    let dir = outer.path().join("marks");
    let follower = Follower::open::<S>(&dir).unwrap();
    survives::<S, _>(&dir, follower, || fill(outer.path()), expected);
    drop(mount);
}

#[test]
fn on_a_disk_without_space_nothing_is_lost_and_a_save_in_place_goes_on() {
    let expected = Expected {
        files: [
            "not saved: write 00000000000000000003.checkpoint.temp: ENOSPC",
            "not saved: write 00000000000000000004.checkpoint.temp: ENOSPC",
            "saved 5",
        ],
        slots: ["saved 3", "not saved: write marks.slots.temp: ENOSPC", "saved 5"],
    };
    a_full_disk::<FileStore>(Ballast::of_bytes, &expected);
    a_full_disk::<SlotStore>(Ballast::of_bytes, &expected);
}

#[test]
fn on_a_disk_without_inodes_nothing_is_lost_and_a_save_in_place_goes_on() {
    let expected = Expected {
        files: [
            "not saved: create 00000000000000000003.checkpoint.temp: ENOSPC",
            "not saved: create 00000000000000000004.checkpoint.temp: ENOSPC",
            "saved 5",
        ],
        slots: ["saved 3", "not saved: create marks.slots.temp: ENOSPC", "saved 5"],
    };
    a_full_disk::<FileStore>(Ballast::of_names, &expected);
    a_full_disk::<SlotStore>(Ballast::of_names, &expected);
}

fn a_new_store_without_inodes<S: AnyStore>() {
    let outer = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "nr_inodes=16", "tmpfs"], outer.path())
    else {
        return skipped("no tmpfs mount: not root, or not allowed here");
    };
    let (there, missing) = (outer.path().join("there"), outer.path().join("missing"));
    fs::create_dir(&there).unwrap();
    let ballast = Ballast::of_names(outer.path());
    let refused = |dir: &Path| Follower::open::<S>(dir).err().unwrap();
    assert_eq!(refused(&there), "refused: lock repl-checkpoint.lock: ENOSPC");
    assert_eq!(refused(&missing), "refused: create missing: ENOSPC");
    drop(ballast);
    for dir in [there, missing] {
        assert_eq!(Follower::open::<S>(&dir).unwrap().save(10), "saved 1");
    }
    drop(mount);
}

#[test]
fn a_disk_without_inodes_is_refused_at_open() {
    a_new_store_without_inodes::<FileStore>();
    a_new_store_without_inodes::<SlotStore>();
}

/// Limits another process until this is dropped.
struct Limited {
    process: String,
    limit: &'static str,
    before: String,
}

impl Limited {
    fn new(process: u32, limit: &'static str, to: usize) -> Self {
        let process = process.to_string();
        let asked = ["--raw", "--noheadings", "--output=SOFT", &format!("--{limit}")];
        let before = Command::new("prlimit").args(["--pid", &process]).args(asked).output();
        let before = String::from_utf8(before.unwrap().stdout).unwrap().trim().to_owned();
        let limited = Limited { process, limit, before };
        assert!(limited.set(&to.to_string()));
        limited
    }

    fn set(&self, to: &str) -> bool {
        // Only the soft limit, which can be raised again.
        let Limited { process, limit, .. } = self;
        done("prlimit", &["--pid", process, &format!("--{limit}={to}:")])
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        assert!(self.set(&self.before));
    }
}

/// A follower in another process, to be limited.
fn another_process<S: AnyStore>(dir: &Path) -> Option<Process> {
    if !done("prlimit", &["--version"]) {
        skipped("no prlimit to limit another process with");
        return None;
    }
    // A write beyond the limit must not kill the process.
    let by = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let mut follower = Process::start_by::<S>(&by, &std::env::current_exe().unwrap(), dir);
    assert_eq!(follower.ask("open"), "fresh");
    Some(follower)
}

fn a_limited_process<S: AnyStore>(limit: &'static str, to: usize, expected: &Expected) {
    let dir = tempfile::tempdir().unwrap();
    let Some(follower) = another_process::<S>(dir.path()) else { return };
    let id = follower.id();
    survives::<S, _>(dir.path(), follower, || Limited::new(id, limit, to), expected);
}

#[test]
fn a_process_that_runs_out_of_descriptors_loses_nothing_and_saves_on_in_place() {
    let expected = Expected {
        files: [
            "not saved: create 00000000000000000003.checkpoint.temp: EMFILE",
            "not saved: create 00000000000000000004.checkpoint.temp: EMFILE",
            "saved 5",
        ],
        slots: ["saved 3", "not saved: read marks.slots: EMFILE", "saved 5"],
    };
    a_limited_process::<FileStore>("nofile", 3, &expected);
    a_limited_process::<SlotStore>("nofile", 3, &expected);
}

#[test]
fn a_process_whose_files_may_not_grow_loses_nothing() {
    let expected = Expected {
        files: [
            "not saved: write 00000000000000000003.checkpoint.temp: EFBIG",
            "not saved: write 00000000000000000004.checkpoint.temp: EFBIG",
            "saved 5",
        ],
        // A slot file is longer than this from the first save on, and writes within it are allowed.
        slots: ["saved 3", "not saved: write marks.slots.temp: EFBIG", "saved 5"],
    };
    a_limited_process::<FileStore>("fsize", 100, &expected);
    a_limited_process::<SlotStore>("fsize", 4 * 4096, &expected);
}

/// A limit in the middle of a slot: half of the new checkpoint is written.
#[test]
fn half_a_save_in_place_is_in_doubt_and_the_next_process_finds_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut follower) = another_process::<SlotStore>(dir.path()) else { return };
    for mark in 1..=2 {
        assert_eq!(follower.ask(&format!("{mark}0")), format!("saved {mark}"));
    }
    // Slot 1 is next; slot 0 holds a copy of the first checkpoint.
    let limit = Limited::new(follower.id(), "fsize", 2 * 4096 + 200);
    assert_eq!(follower.ask("30"), "in doubt: write a slot of marks.slots: EFBIG");
    assert_eq!(follower.ask("30"), "poisoned");
    drop(limit);
    assert_eq!(follower.ask("30"), "poisoned", "until it is opened again");
    assert_eq!(follower.ask("open"), "fell back to 2 from 1");
    assert_eq!(follower.ask("30"), "saved 4");
    assert!(follower.end().success());
    assert_eq!(Follower::open::<SlotStore>(dir.path()).unwrap().mark(), 30);
}

/// A process without a free descriptor for the directory.
fn a_store_without_descriptors<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    // The fourth is for the loader, and no file that the tests were started with.
    let by = ["sh", "-c", "exec 3>&- && ulimit -n 4 && exec \"$0\" \"$@\""];
    let mut follower = Process::start_by::<S>(&by, &std::env::current_exe().unwrap(), dir.path());
    let refused = follower.ask("open");
    assert!(refused.starts_with("refused: ") && refused.ends_with(": EMFILE"), "{refused}");
    assert!(follower.end().success());
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_process_without_descriptors_is_refused_at_open() {
    a_store_without_descriptors::<FileStore>();
    a_store_without_descriptors::<SlotStore>();
}
