//! Something at the path of the file that a save replaces: a mount, as containers mount single
//! files, or a directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use repl_checkpoint::{FileStore, SlotStore};

use super::heals::{Answers, heals};
use super::{Mount, text};
use crate::support::process::Process;
use crate::support::{AnyStore, file_name, names, skipped};

const TO_DO: &str = "unmount what is mounted on this file; mount its whole directory instead, then \
                     open the store again before the next save: Device or resource busy (os error \
                     16)";

/// A file mounted on itself.
fn on_itself(file: &Path) -> Option<Mount> {
    Mount::new(&["--bind", text(file)], file)
}

/// The file of the next save.
fn next_file<S: AnyStore>(dir: &Path) -> PathBuf {
    if S::NAME == SlotStore::NAME {
        return dir.join("marks.slots");
    }
    let newest = names(dir).pop().unwrap();
    let next = newest.trim_end_matches(".checkpoint").parse::<u64>().unwrap() + 1;
    let path = dir.join(file_name(next));
    File::create(&path).unwrap();
    path
}

fn mounted_on_the_next_file<S: AnyStore>(save: &str) {
    let outer = tempfile::tempdir().unwrap();
    let probe = outer.path().join("probe");
    File::create(&probe).unwrap();
    if on_itself(&probe).is_none() {
        return skipped("no bind mount: not root, or not allowed here");
    }
    let dir = outer.path().join("marks");
    let mut follower = Process::start::<S>(&dir);
    assert_eq!(follower.ask("open"), "fresh");
    let fault = || on_itself(&next_file::<S>(&dir)).unwrap();
    let save = format!("in doubt: failed to rename a new checkpoint to DIR/{save}; {TO_DO}");
    // A file store takes another name for each save.
    let lasts = S::NAME == SlotStore::NAME;
    let answers = Answers { save: &[&save], reopen: "reopened", new_file: true, lasts };
    heals::<S, _>(&dir, follower, fault, &answers);
    fs::remove_file(probe).unwrap();
}

#[test]
fn a_mount_on_the_file_that_a_save_replaces_is_named_and_reopen_heals_it() {
    mounted_on_the_next_file::<SlotStore>("marks.slots");
    mounted_on_the_next_file::<FileStore>("N.checkpoint");
}

/// A directory at a path, until this is dropped.
struct InTheWay(PathBuf);

impl InTheWay {
    fn new(file: PathBuf) -> Self {
        fs::rename(&file, file.with_extension("away")).unwrap();
        fs::create_dir(&file).unwrap();
        InTheWay(file)
    }
}

impl Drop for InTheWay {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
        if self.0.ends_with("marks.slots") {
            fs::rename(self.0.with_extension("away"), &self.0).unwrap();
        }
    }
}

fn a_directory_in_the_way<S: AnyStore>(save: &str, file: &str) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("marks");
    let mut follower = Process::start::<S>(&dir);
    assert_eq!(follower.ask("open"), "fresh");
    let fault = || InTheWay::new(next_file::<S>(&dir));
    let reopen = format!(
        "DIR/{file} is a directory, not a checkpoint file: nothing was read; find out what put it \
         there and move it away"
    );
    let answers = Answers { save: &[save], reopen: &reopen, new_file: true, lasts: true };
    heals::<S, _>(&dir, follower, fault, &answers);
}

#[test]
fn a_directory_at_the_path_of_the_file_is_named_and_heals_when_it_is_gone() {
    a_directory_in_the_way::<FileStore>(
        "in doubt: failed to rename a new checkpoint to DIR/N.checkpoint; move away the directory \
         at this path, then open the store again before the next save: Is a directory (os error \
         21)",
        "N.checkpoint",
    );
    a_directory_in_the_way::<SlotStore>(
        "not saved: failed to replace DIR/marks.slots; the older checkpoint is untouched: \
         DIR/marks.slots is a directory, not a checkpoint file: nothing was read; find out what \
         put it there and move it away",
        "marks.slots",
    );
}
