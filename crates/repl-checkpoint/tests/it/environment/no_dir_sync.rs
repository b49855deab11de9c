//! A filesystem that refuses to sync directories (`EINVAL`), as some network filesystems do.

use std::path::Path;

use repl_checkpoint::{FileStore, SlotStore};

use super::text;
use super::trace::Traced;
use crate::support::AnyStore;
use crate::support::process::Process;

/// A process whose first sync of anything is refused.
fn refused_once<S: AnyStore>(dir: &Path, errno: &str) -> Process {
    let (log, this) = (dir.with_extension("log"), std::env::current_exe().unwrap());
    let inject = format!("inject=fsync:error={errno}:when=1");
    let by = ["strace", "-f", "-o", text(&log), "-e", "trace=fsync", "-e", &inject];
    Process::start_by::<S>(&by, &this, dir)
}

/// Opening says so; once the filesystem can sync it opens, and nothing was lost.
fn said_at_open<S: AnyStore>(errno: &str, words: &str) {
    let Some(traced) = Traced::new::<S>(0) else { return };
    let dir = traced.dir();
    let mut process = refused_once::<S>(&dir, errno);
    let message = process.ask("open and say all");
    let dir = dir.display();
    let expected = format!(
        "failed to sync the directory {dir}; its filesystem cannot sync directories, so no save \
         there would be durable: use another filesystem, or `NoSync` if a power cut may lose \
         saves: {words}"
    );
    assert_eq!(message, expected, "{} {errno}", S::NAME);
    assert_eq!(process.ask("open"), "resumed at 2", "{} {errno}", S::NAME);
    assert_eq!(process.ask("30"), "saved 3");
    process.end();
}

#[test]
fn a_filesystem_that_cannot_sync_directories_is_named_at_open_with_the_way_on() {
    for (errno, words) in [
        ("EINVAL", "Invalid argument (os error 22)"),
        ("EOPNOTSUPP", "Operation not supported (os error 95)"),
    ] {
        said_at_open::<FileStore>(errno, words);
        said_at_open::<SlotStore>(errno, words);
    }
}

/// Other failures of this sync are no property of the filesystem.
#[test]
fn another_error_of_that_sync_keeps_its_own_advice() {
    let Some(traced) = Traced::new::<FileStore>(0) else { return };
    let mut process = refused_once::<FileStore>(&traced.dir(), "EIO");
    let message = process.ask("open and say all");
    assert!(message.contains("replace the device if it fails"), "{message}");
    assert!(!message.contains("NoSync"), "{message}");
    process.end();
}

/// In a new directory the sync of its parent is the first one.
fn a_new_directory<S: AnyStore>() {
    let Some(traced) = Traced::new::<S>(0) else { return };
    let (outer, new) = (traced.dir(), traced.dir().join("new"));
    let mut process = refused_once::<S>(&new, "EINVAL");
    let message = process.ask("open and say all");
    let named = format!("failed to sync the directory {}; its filesystem cannot", outer.display());
    assert!(message.starts_with(&named), "{message}");
    process.end();
}

#[test]
fn a_parent_that_cannot_be_synced_is_named_when_a_new_directory_is_opened() {
    a_new_directory::<FileStore>();
    a_new_directory::<SlotStore>();
}
