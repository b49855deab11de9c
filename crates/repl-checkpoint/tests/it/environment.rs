//! Real faults on real filesystems.
//!
//! One file per kind of fault. `Follower` returns the outcome of each save as one line, so that a
//! test reads as a list of events.

mod failing_device;
mod injected;
mod kernel_calls;
mod no_right;
mod no_room;
mod shut_down;
mod trace;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use repl_checkpoint::{FileStore, SlotStore};

use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, copy_of, names};

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

/// Makes a file or directory immutable, even for root, until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    fn new(path: &Path) -> Option<Self> {
        done("chattr", &["+i", text(path)]).then(|| Immutable(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        assert!(done("chattr", &["-i", text(&self.0)]));
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
