//! The lock of a store, where the kernel refuses it or takes its time.

use std::fs;
use std::path::Path;
use std::thread;

use repl_checkpoint::{FileStore, SlotStore};

use super::text;
use super::trace::Traced;
use crate::support::follower::Follower;
use crate::support::process::Process;
use crate::support::{AnyStore, eventually};

/// Starts a process whose first `flock` is tampered with.
fn tampered<S: AnyStore>(dir: &Path, how: &str) -> Process {
    let (log, this) = (dir.with_extension("log"), std::env::current_exe().unwrap());
    let inject = format!("inject=flock:{how}:when=1");
    let by = ["strace", "-f", "-o", text(&log), "-e", "trace=flock", "-e", &inject];
    Process::start_by::<S>(&by, &this, dir)
}

/// No other store holds the lock.
fn a_failed_lock_is_an_error<S: AnyStore>() {
    let Some(traced) = Traced::new::<S>(0) else { return };
    for errno in ["EIO", "EPERM", "EINTR"] {
        let mut process = tampered::<S>(&traced.dir(), &format!("error={errno}"));
        let failed = format!("refused: lock repl-checkpoint.lock: {errno}");
        assert_eq!(process.ask("try to open"), failed, "{}", S::NAME);
        assert_eq!(process.ask("try to open"), "resumed at 2", "{}", S::NAME);
        process.end();
    }
}

#[test]
fn a_lock_that_the_kernel_refuses_is_an_error_and_not_another_store() {
    a_failed_lock_is_an_error::<FileStore>();
    a_failed_lock_is_an_error::<SlotStore>();
}

/// A process has opened the lock file and not locked it yet. Then the file is replaced, and another
/// store locks the new one: the lock of the process would be on a file that no store opens again.
fn a_lock_on_a_replaced_file_is_none<S: AnyStore>() {
    let Some(traced) = Traced::new::<S>(0) else { return };
    let dir = traced.dir();
    let lock = dir.join("repl-checkpoint.lock");
    fs::remove_file(&lock).unwrap();
    let mut process = tampered::<S>(&dir, "delay_enter=2000000");
    thread::scope(|s| {
        let asked = s.spawn(|| process.ask("try to open"));
        eventually("a lock file that is opened", || lock.exists());
        fs::remove_file(&lock).unwrap();
        let _holder = Follower::open::<S>(&dir).unwrap();
        assert!(!asked.is_finished(), "the process has locked the file before it was replaced");
        let answer = asked.join().unwrap();
        assert_eq!(answer, format!("locked: {}", dir.display()), "{}", S::NAME);
    });
    process.end();
}

#[test]
fn a_lock_of_files_that_was_replaced_meanwhile_is_no_lock() {
    a_lock_on_a_replaced_file_is_none::<FileStore>();
}

#[test]
fn a_lock_of_slots_that_was_replaced_meanwhile_is_no_lock() {
    a_lock_on_a_replaced_file_is_none::<SlotStore>();
}
