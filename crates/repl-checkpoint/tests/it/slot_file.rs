//! A slot file at a path of the engine's choice, beside other files.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use repl_checkpoint::{
    JsonCodec, LoadError, OnCorrupt, OpenStoreError, RecoverErrorKind, Recovered, SlotStore,
    recover,
};
use repl_core::ShardId;

use crate::support::{STORE, relative_dir, save};

const ONE: ShardId = ShardId(1);

fn recovered(path: &Path) -> Recovered {
    let store = SlotStore::open_file(path, STORE).unwrap();
    recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap()
}

/// Saves a mark.
fn saved(path: &Path, mark: u64) {
    let mut follower = recovered(path);
    follower.state.advance(ONE, mark);
    save(&mut follower.checkpointer);
}

fn mark(path: &Path) -> Option<u64> {
    recovered(path).state.applied_seqno(ONE)
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| name(e.unwrap())).collect();
    names.sort();
    names
}

#[test]
fn two_slot_files_in_one_directory_know_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a.marks", "b.marks"].map(|name| dir.path().join(name));
    let (mut one, mut two) = (recovered(&a), recovered(&b));
    one.state.advance(ONE, 1);
    two.state.advance(ONE, 2);
    save(&mut one.checkpointer);
    save(&mut two.checkpointer);
    drop((one, two));
    assert_eq!((mark(&a), mark(&b)), (Some(1), Some(2)));
    assert_eq!(
        names(dir.path()),
        ["a.marks", "a.marks.lock", "a.marks.marker", "b.marks", "b.marks.lock", "b.marks.marker"]
    );
}

#[test]
fn the_store_tells_its_path_and_takes_no_other_file_for_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("marks");
    let others = ["marks.temp-1-x", "other.temp-1-1", "00000000000000000001.checkpoint", "marks2"];
    for name in others {
        fs::write(dir.path().join(name), "the engine's").unwrap();
    }
    fs::write(dir.path().join("marks.temp-1-1"), "half a save").unwrap();
    let store = SlotStore::open_file(&path, STORE).unwrap();
    assert_eq!(store.path(), path.canonicalize().unwrap_or(path.clone()));
    drop(store);
    saved(&path, 5);
    let mut expected = vec!["marks", "marks.lock", "marks.marker"];
    expected.extend(others);
    expected.sort_unstable();
    assert_eq!(names(dir.path()), expected);
}

#[test]
fn a_moved_file_is_recovered_at_its_new_path() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    saved(&old, 9);
    fs::rename(&old, &new).unwrap();
    assert_eq!(mark(&new), Some(9));
}

#[test]
fn one_store_at_a_time_holds_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("marks");
    let held = SlotStore::open_file(&path, STORE).unwrap();
    let refused = SlotStore::open_file(&path, STORE).unwrap_err();
    assert!(matches!(&refused, OpenStoreError::Locked { path: p } if *p == path));
    drop(held);
    SlotStore::open_file(&path, STORE).unwrap();
}

#[test]
fn the_slot_file_of_a_directory_has_the_lock_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let held = SlotStore::open(dir.path(), STORE).unwrap();
    let refused = SlotStore::open_file(held.path(), STORE).unwrap_err();
    assert!(matches!(refused, OpenStoreError::Locked { .. }));
    let path = held.path();
    drop(held);
    saved(&path, 3);
    let follower =
        recover(SlotStore::open(dir.path(), STORE).unwrap(), JsonCodec, &[ONE], OnCorrupt::Fail);
    assert_eq!(follower.unwrap().state.applied_seqno(ONE), Some(3));
}

#[test]
fn missing_parents_are_created_and_a_relative_path_stays_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    saved(&dir.path().join("new/deep/marks"), 4);
    assert_eq!(mark(&dir.path().join("new/deep/marks")), Some(4));
    let (dir, relative) = relative_dir();
    let store = SlotStore::open_file(relative.join("marks"), STORE).unwrap();
    assert_eq!(store.path(), dir.path().canonicalize().unwrap().join("marks"));
}

#[test]
fn a_name_that_is_no_text_is_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OsStr::from_bytes(b"marks-\xff"));
    saved(&path, 6);
    let temp = dir.path().join(OsStr::from_bytes(b"marks-\xff.temp-1-1"));
    fs::write(&temp, "half a save").unwrap();
    assert_eq!(mark(&path), Some(6));
    assert!(!temp.exists());
}

#[test]
fn a_path_without_a_file_name_is_refused() {
    for path in ["/", "..", ""] {
        assert!(matches!(SlotStore::open_file(path, STORE), Err(OpenStoreError::Io { .. })));
    }
}

#[test]
fn a_name_that_a_store_gives_to_its_other_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = format!("{:020}.checkpoint", 42);
    for name in ["marks.lock", "marks.marker", "marks.temp-1-1", "repl-checkpoint", &checkpoint] {
        let refused = SlotStore::open_file(dir.path().join(name), STORE).unwrap_err();
        let cause = refused.source().unwrap().to_string();
        assert!(cause.contains("gives to its other files"), "{cause}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_name_that_is_opened_is_short_enough_to_save_under() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for length in 198..=255 {
        let name = "x".repeat(length);
        let opened = SlotStore::open_file(missing.join(&name), STORE).map(drop);
        if let Err(refused) = opened {
            assert!(length > 200, "{length}: {refused}");
            assert!(!missing.join(name + ".lock").exists());
        } else {
            for life in [1, 2] {
                saved(&missing.join(&name), life);
            }
        }
    }
    let refused = SlotStore::open_file(missing.join("x".repeat(255)), STORE).unwrap_err();
    let reason = std::error::Error::source(&refused).unwrap().to_string();
    assert!(reason.contains("too long"), "{reason}");
}

#[test]
fn a_symbolic_link_in_place_of_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    saved(&file, 1);
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let store = SlotStore::open_file(&link, STORE).unwrap();
    let refused = recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap_err();
    assert!(matches!(
        refused.kind(),
        RecoverErrorKind::Load(LoadError::NotAFile { found: "a symbolic link", .. })
    ));
}
