//! Real faults on real filesystems.
//!
//! One file per kind of fault. `Follower` returns the outcome of each save as one line, so that a
//! test reads as a list of events.

mod copy_on_write;
mod failing_device;
mod goes_away;
mod heals;
mod injected;
mod kernel_calls;
mod locking;
mod mounted_over;
mod no_dir_sync;
mod no_right;
mod no_room;
mod rights_taken;
mod shut_down;
mod trace;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use repl_checkpoint::{FileStore, SlotStore};

use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, copy_of, names, skipped};

/// Runs a command; returns whether it exists and succeeded.
fn done(command: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(command).args(arguments).output();
    ran.is_ok_and(|output| output.status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A mount, unmounted when it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(arguments: &[&str], on: &Path) -> Option<Self> {
        done("mount", &[arguments, &[text(on)]].concat()).then(|| Mount(on.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that another test is just starting keeps files open for a moment.
        for _ in 0..200 {
            if done("umount", &[text(&self.0)]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(done("umount", &["-l", text(&self.0)]));
    }
}

/// A filesystem in an image.
struct Image {
    mount: Option<Mount>,
    at: tempfile::TempDir,
    outer: tempfile::TempDir,
}

impl Image {
    /// Makes and mounts it, with a length in MiB; `None` if that is not possible here.
    fn new(length: u64, make: &str, options: &[&str]) -> Option<Self> {
        let [outer, at] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut image = Image { mount: None, at, outer };
        File::create(image.file()).unwrap().set_len(length << 20).unwrap();
        if !done(make, &[options, &[text(&image.file())]].concat()) {
            skipped(&format!("no {make}"));
            return None;
        }
        image.mount = image.mounted();
        if image.mount.is_none() {
            skipped("no loop mount: not root, or no such filesystem here");
            return None;
        }
        Some(image)
    }

    fn btrfs() -> Option<Self> {
        Self::new(64, "mkfs.btrfs", &["-q", "--mixed"])
    }

    fn xfs() -> Option<Self> {
        Self::new(300, "mkfs.xfs", &["-q", "-m", "reflink=1"])
    }

    fn file(&self) -> PathBuf {
        self.outer.path().join("image")
    }

    fn mounted(&self) -> Option<Mount> {
        Mount::new(&["-o", "loop", text(&self.file())], self.at.path())
    }

    fn dir(&self) -> &Path {
        self.at.path()
    }
}

/// An attribute of a file or directory, set until this is dropped.
struct Attribute(char, PathBuf);

impl Attribute {
    fn new(attribute: char, path: &Path) -> Option<Self> {
        let set = done("chattr", &[&format!("+{attribute}"), text(path)]);
        set.then(|| Attribute(attribute, path.to_owned()))
    }
}

impl Drop for Attribute {
    fn drop(&mut self) {
        assert!(done("chattr", &[&format!("-{}", self.0), text(&self.1)]));
    }
}

/// Makes a file or directory immutable, even for root, until this is dropped.
struct Immutable(#[expect(dead_code, reason = "held")] Attribute);

impl Immutable {
    fn new(path: &Path) -> Option<Self> {
        Attribute::new('i', path).map(Immutable)
    }
}

/// The outcomes of a save that fits its place, of one that needs room, and of one after the fault.
type Three = [&'static str; 3];

/// The expected outcomes of the three saves for each store.
struct Expected {
    files: Three,
    slots: Three,
}

impl Expected {
    fn of<S: AnyStore>(&self) -> Three {
        match S::NAME {
            FileStore::NAME => self.files,
            SlotStore::NAME => self.slots,
            other => panic!("{other}"),
        }
    }
}

/// A follower of one shard, in this process or another.
trait Follow {
    fn does(&mut self, order: &str) -> String;
}

impl Follow for Follower {
    fn does(&mut self, order: &str) -> String {
        match order {
            "grow" => self.grow(),
            "shrink" => self.shrink(),
            mark => return self.save(mark.parse().unwrap()),
        }
        String::new()
    }
}

impl Follow for Process {
    fn does(&mut self, order: &str) -> String {
        self.ask(order)
    }
}

/// Saves twice, then under a fault, then after it. Whatever the saves under the fault return, the
/// next process finds what was acknowledged last.
fn survives<S: AnyStore, F>(
    dir: &Path,
    mut follower: impl Follow,
    fault: impl FnOnce() -> F,
    expected: &Expected,
) {
    for (mark, saved) in [("10", "saved 1"), ("20", "saved 2")] {
        assert_eq!(follower.does(mark), saved);
    }
    let fault = fault();
    let same = follower.does("30");
    follower.does("grow");
    let larger = follower.does("40");
    let acknowledged = if same.starts_with("saved") { 30 } else { 20 };
    assert_eq!(temps(dir), 0);
    let meanwhile = copy_of(dir);
    assert_eq!(Follower::open::<S>(meanwhile.path()).unwrap().mark(), acknowledged);
    drop(fault);
    let after = follower.does("50");
    assert_eq!([&*same, &*larger, &*after], expected.of::<S>(), "{}", S::NAME);
    drop(follower);
    let next = Follower::open::<S>(dir).unwrap();
    assert_eq!((next.mark(), temps(dir)), (50, 0));
}

fn temps(dir: &Path) -> usize {
    names(dir).iter().filter(|name| name.contains(".temp-")).count()
}
