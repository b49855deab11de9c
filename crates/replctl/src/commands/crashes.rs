//! Each writing command is killed at each of its calls, and then given again.

mod dying;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use repl_checkpoint::{
    CheckpointStore, Disk, FileStore, JsonCodec, NoSync, OnCorrupt, OsDisk, Recovered, SlotStore,
    Source, StoreId, peek, recover,
};
use repl_core::ShardId;

use self::dying::DyingDisk;
use super::{convert, fall_back, forget, restore, set};
use crate::edit::Allowed;
use crate::failure::Failure;
use crate::new_place::{NewCodec, NewKind};

const ID: StoreId = StoreId(7);
const SHARDS: [ShardId; 2] = [ShardId(1), ShardId(2)];
const BOTH: Allowed = Allowed { replay: true, skip: true };
const KINDS: [NewKind; 3] = [NewKind::Files, NewKind::Slots, NewKind::SlotFile];

fn recovered(path: &Path, kind: NewKind, on_corrupt: OnCorrupt) -> Recovered {
    let store: Box<dyn CheckpointStore> = match kind {
        NewKind::Files => Box::new(FileStore::open_on(NoSync, path, ID).unwrap()),
        NewKind::Slots => Box::new(SlotStore::open_on(NoSync, path, ID).unwrap()),
        NewKind::SlotFile => Box::new(SlotStore::open_file_on(NoSync, path, ID).unwrap()),
    };
    recover(store, JsonCodec, &SHARDS, on_corrupt).unwrap()
}

/// A store with shard 1 at this mark, and shard 2 at 7.
fn make(path: &Path, kind: NewKind, mark: u64) {
    let mut follower = recovered(path, kind, OnCorrupt::Fail);
    follower.state.advance(ShardId(2), 7);
    for mark in [mark - 2, mark - 1, mark] {
        follower.state.advance(ShardId(1), mark);
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}

/// The marks of both shards, as an engine recovers them.
fn marks(path: &Path, kind: NewKind) -> (Option<u64>, Option<u64>) {
    let follower = recovered(path, kind, OnCorrupt::Fail);
    let of = |shard| {
        let is_missing = follower.report.missing.contains(&shard);
        follower.state.applied_seqno(shard).filter(|_| !is_missing)
    };
    (of(ShardId(1)), of(ShardId(2)))
}

/// The whole copies beside a store.
fn copies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_whole = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".aside-") && !name.ends_with(".unfinished")
    };
    entries.filter(is_whole).collect()
}

/// The number of lines in the audit file of a store.
fn lines(dir: &Path) -> usize {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let audit = paths.filter(|path| path.extension().is_some_and(|end| end == "audit"));
    audit.map(|path| fs::read_to_string(path).unwrap().lines().count()).sum()
}

/// Runs a command on a new store, and kills it at each of its calls in turn. `check` looks at what
/// is left, and whether the command was killed; then the command is given again.
fn killed_at_each_call(
    prepare: impl Fn(&Path),
    run: &dyn Fn(&DyingDisk, &Path) -> Result<(), Failure>,
    check: impl Fn(&Path, bool),
) {
    let (mut calls, mut is_dead) = (0, true);
    while is_dead {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        at_rest(dir.path());
        let disk = DyingDisk::after(calls);
        let result = run(&disk, dir.path());
        is_dead = disk.is_dead();
        assert!(is_dead || result.is_ok(), "{:?}", result.map_err(|failure| failure.reason));
        check(dir.path(), is_dead);
        at_rest(dir.path());
        let again = run(&DyingDisk::after(usize::MAX), dir.path());
        assert!(again.is_ok(), "at {calls}: {:?}", again.map_err(|failure| failure.reason));
        check(dir.path(), false);
        calls += 1;
    }
    assert!(calls > 20, "it makes more calls than {calls}");
}

/// Makes the slot files look old: damage in a new one is read again for some time, as a save may be
/// writing there.
fn at_rest(dir: &Path) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            at_rest(&path);
        } else if path.extension().is_some_and(|end| end == "slots" || end == "marks") {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        }
    }
}

fn path_of(dir: &Path, kind: NewKind) -> PathBuf {
    let name = if kind == NewKind::SlotFile { "follower.marks" } else { "marks" };
    let path = dir.join(name);
    if kind != NewKind::SlotFile && !path.exists() {
        fs::create_dir(&path).unwrap();
    }
    path
}

fn dir_of(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap() }
}

#[test]
fn a_set_that_is_killed_leaves_the_old_mark_or_the_new_one_with_the_old_one_aside() {
    for kind in KINDS {
        killed_at_each_call(
            |dir| make(&path_of(dir, kind), kind, 42),
            &|disk, dir| set::set(disk, &path_of(dir, kind), ShardId(1), 40, BOTH).map(|_| ()),
            |dir, is_dead| {
                let path = path_of(dir, kind);
                let found = marks(&path, kind);
                assert!(found == (Some(40), Some(7)) || is_dead && found == (Some(42), Some(7)));
                if found.0 == Some(40) {
                    let aside = copies(dir_of(&path));
                    let of =
                        |path: &PathBuf| peek(path).unwrap().checkpoint.unwrap().shards[0].mark;
                    assert!(aside.iter().any(|path| of(path) == 42), "{kind:?}");
                    assert!(lines(dir_of(&path)) > 0, "{kind:?}");
                }
            },
        );
    }
}

#[test]
fn a_forget_that_is_killed_leaves_the_shard_or_a_copy_of_it_aside() {
    for kind in KINDS {
        killed_at_each_call(
            |dir| make(&path_of(dir, kind), kind, 42),
            &|disk, dir| match forget::forget(disk, &path_of(dir, kind), ShardId(1), true) {
                // It was forgotten before the kill.
                Err(failure) if &*failure.reason == "shard 1 is not in it" => Ok(()),
                result => result.map(|_| ()),
            },
            |dir, is_dead| {
                let path = path_of(dir, kind);
                let found = marks(&path, kind);
                assert!(found == (None, Some(7)) || is_dead && found == (Some(42), Some(7)));
                assert!(found.0.is_some() || !copies(dir_of(&path)).is_empty());
            },
        );
    }
}

/// Damages the newest checkpoint of a store.
fn damage(path: &Path, kind: NewKind) {
    let newest = peek(path).unwrap();
    let mut bytes = fs::read(&newest.path).unwrap();
    let text = format!("generation={:020}", newest.header.generation);
    let at = bytes.windows(text.len()).position(|found| found == text.as_bytes()).unwrap();
    bytes[at + text.len() - 1] ^= 0x10;
    fs::write(&newest.path, bytes).unwrap();
    assert!(peek(path).unwrap().header.generation < newest.header.generation, "{kind:?}");
}

#[test]
fn a_fall_back_that_is_killed_leaves_the_damaged_checkpoint_or_has_it_aside() {
    for kind in KINDS {
        killed_at_each_call(
            |dir| {
                make(&path_of(dir, kind), kind, 42);
                damage(&path_of(dir, kind), kind);
            },
            &|disk, dir| fall_back::fall_back(disk, &path_of(dir, kind), false).map(|_| ()),
            |dir, is_dead| {
                let path = path_of(dir, kind);
                let found = recovered(&path, kind, OnCorrupt::FallBack);
                assert_eq!(found.state.applied_seqno(ShardId(1)), Some(41));
                let is_damaged = matches!(found.report.source, Source::FellBack { .. });
                assert!(is_dead || !is_damaged);
                let files = copies(dir_of(&path)).into_iter().flat_map(|dir| {
                    fs::read_dir(dir).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap())
                });
                let is_aside = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                assert!(
                    is_damaged || is_aside.into_iter().any(|file| file.contains("\"mark\":42"))
                );
            },
        );
    }
}

#[test]
fn a_restore_that_is_killed_leaves_what_was_there_or_the_backup_with_that_aside() {
    for kind in KINDS {
        killed_at_each_call(
            |dir| {
                make(&path_of(dir, kind), kind, 42);
                let backup = dir.join("backup");
                make(&backup, NewKind::Files, 30);
            },
            &|disk, dir| {
                let (backup, path) = (dir.join("backup"), path_of(dir, kind));
                restore::restore(disk, &backup, &path, None, BOTH).map(|_| ())
            },
            |dir, is_dead| {
                let path = path_of(dir, kind);
                let found = marks(&path, kind);
                assert!(found == (Some(30), Some(7)) || is_dead && found == (Some(42), Some(7)));
                assert!(found.0 == Some(42) || !copies(dir_of(&path)).is_empty());
            },
        );
    }
}

#[test]
fn a_restore_over_nothing_whole_leaves_a_store_that_is_refused_or_the_backup() {
    let kind = NewKind::Slots;
    killed_at_each_call(
        |dir| {
            let path = path_of(dir, kind);
            make(&path, kind, 42);
            let file = path.join("marks.slots");
            let length = fs::metadata(&file).unwrap().len();
            fs::write(&file, vec![0; usize::try_from(length).unwrap()]).unwrap();
            make(&dir.join("backup"), NewKind::Files, 30);
        },
        &|disk, dir| {
            let (backup, path) = (dir.join("backup"), path_of(dir, kind));
            restore::restore(disk, &backup, &path, Some(kind), BOTH).map(|_| ())
        },
        |dir, is_dead| {
            let path = path_of(dir, kind);
            let store = SlotStore::open_on(NoSync, &path, ID).unwrap();
            match recover(store, JsonCodec, &SHARDS, OnCorrupt::Fail) {
                Ok(found) => assert_eq!(found.state.applied_seqno(ShardId(1)), Some(30)),
                Err(_) => assert!(is_dead),
            }
        },
    );
}

#[test]
fn a_convert_that_is_killed_leaves_nothing_or_the_whole_new_store_and_the_old_one_as_it_is() {
    for kind in KINDS {
        killed_at_each_call(
            |dir| make(&path_of(dir, kind), kind, 42),
            &|disk, dir| {
                let (from, to) = (path_of(dir, kind), dir.join("new"));
                let (codec, new) = (Some(NewCodec::Json), Some(NewKind::Slots));
                match convert::convert(disk, &from, &to, codec, new) {
                    Err(failure) if failure.reason.contains("it is not empty") => Ok(()),
                    result => result.map(|_| ()),
                }
            },
            |dir, is_dead| {
                assert_eq!(marks(&path_of(dir, kind), kind), (Some(42), Some(7)));
                match peek(dir.join("new")) {
                    Ok(_) => assert_eq!(marks(&dir.join("new"), NewKind::Slots).0, Some(42)),
                    Err(_) => assert!(is_dead),
                }
            },
        );
    }
}

#[test]
fn a_dead_process_makes_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let disk = DyingDisk::after(1);
    disk.create_dir(&dir.path().join("first")).unwrap();
    assert!(disk.create_dir(&dir.path().join("second")).is_err());
    assert_eq!(OsDisk.list(dir.path()).unwrap(), ["first"]);
}
