//! Files of other stores and programs are refused by name, on the real disk.

use std::fs;
use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, CorruptReason, FileStore, JsonCodec, LoadError, OnCorrupt, OpenStoreError,
    RecoverError, RecoverErrorKind, Recovered, Save, SaveError, SlotFileError, SlotStore, Source,
    StoreId, UnsealError, recover,
};
use repl_core::ShardId;

use crate::support::{
    AnyStore, CODECS, Named, NewCodec, STORE, contents, header, marks, names, opened,
    recovered_from, save, sealed,
};

const NAME: &str = "marks.slots";

fn saved() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<SlotStore>(dir.path(), &[1]).checkpointer);
    dir
}

fn refused(dir: &Path) -> RecoverError {
    let before = contents(dir);
    let store: SlotStore = opened(dir);
    let error = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::FallBack).unwrap_err();
    assert_eq!(contents(dir), before);
    error
}

fn bad_slots(dir: &Path) -> SlotFileError {
    match refused(dir).into_parts().0 {
        RecoverErrorKind::Load(LoadError::Slots { path, reason }) => {
            assert_eq!(path, dir.join(NAME));
            reason
        }
        other => panic!("{other}"),
    }
}

#[test]
fn neither_store_opens_the_others_directory() {
    let slots = saved();
    let files = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<FileStore>(files.path(), &[1]).checkpointer);
    for (dir, error, file, expected) in [
        (&slots, FileStore::open_at(slots.path()).err(), NAME, "SlotStore"),
        (
            &files,
            SlotStore::open_at(files.path()).err(),
            "00000000000000000001.checkpoint",
            "FileStore",
        ),
    ] {
        let before = contents(dir.path());
        let error = error.unwrap();
        let OpenStoreError::OtherKind { dir: d, file: f, expected: e } = &error else {
            panic!("{error}");
        };
        assert_eq!((d.as_path(), f.as_str(), *e), (dir.path(), file, expected));
        for part in [dir.path().to_str().unwrap(), file, expected] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(contents(dir.path()), before);
    }
}

#[test]
fn a_slot_file_path_that_is_not_a_file_is_refused_and_not_followed() {
    let outside = saved();
    let target = outside.path().join(NAME);
    let before = fs::read(&target).unwrap();
    let link: &dyn Fn(&Path) = &|at| std::os::unix::fs::symlink(&target, at).unwrap();
    let dir: &dyn Fn(&Path) = &|at| fs::create_dir(at).unwrap();
    for (put, expected) in [(link, "a symbolic link"), (dir, "a directory")] {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join(NAME));
        let error = refused(dir.path());
        assert!(
            matches!(error.kind(), RecoverErrorKind::Load(LoadError::NotAFile { found, .. }) if *found == expected),
            "{error}"
        );
        let mut store = error.into_store();
        let bytes = sealed(1, &marks(&[(1, 1)]));
        let failed = store
            .save(Save { generation: 1, confirmed: 0, bytes: &bytes, base: None })
            .unwrap_err();
        assert!(matches!(failed, SaveError::NotSaved { act: "replace", .. }), "{failed}");
    }
    assert_eq!(fs::read(target).unwrap(), before);
}

/// A link may appear between the check and the open.
#[test]
fn a_file_that_is_replaced_by_a_link_is_not_written_through_it() {
    let (dir, outside) = (saved(), saved());
    let mut store: SlotStore = opened(dir.path());
    let (path, target) = (dir.path().join(NAME), outside.path().join(NAME));
    let before = fs::read(&target).unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let bytes = sealed(2, &marks(&[(1, 1)]));
    store.save(Save { generation: 2, confirmed: 1, bytes: &bytes, base: None }).unwrap_err();
    assert_eq!(fs::read(target).unwrap(), before);
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for foreign in [b"".to_vec(), b"mine".to_vec(), vec![7; 4 * 4096], sealed(1, &marks(&[(1, 1)]))]
    {
        fs::write(dir.path().join(NAME), &foreign).unwrap();
        assert_eq!(bad_slots(dir.path()), SlotFileError::NothingWhole);
    }
}

#[test]
fn another_stores_file_is_refused_whether_or_not_its_slots_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = StoreId(0xbad);
    let mut store = SlotStore::open(dir.path(), theirs).unwrap();
    let bytes = sealed(1, &marks(&[(1, 1)]));
    store.save(Save { generation: 1, confirmed: 0, bytes: &bytes, base: None }).unwrap();
    drop(store);
    let other = SlotFileError::OtherStore { expected: STORE, found: theirs };
    assert_eq!(bad_slots(dir.path()), other);
    assert!(other.to_string().contains("open it by its own id"));
    let mut store: SlotStore = opened(dir.path());
    let failed =
        store.save(Save { generation: 2, confirmed: 1, bytes: &bytes, base: None }).unwrap_err();
    assert!(matches!(failed, SaveError::NotSaved { act: "replace", .. }), "{failed}");
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    let dir = saved();
    let path = dir.path().join(NAME);
    let mut bytes = fs::read(&path).unwrap();
    let line = "repl-checkpoint slots v3 of a newer program\n";
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(bad_slots(dir.path()), SlotFileError::Version { version: "3".to_owned() });
}

#[test]
fn a_cut_off_file_is_refused_with_its_length() {
    let dir = saved();
    let path = dir.path().join(NAME);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(bad_slots(dir.path()), SlotFileError::Length { expected: 16384, found: 16383 });
}

#[test]
fn another_codecs_checkpoint_is_refused_and_never_fallen_back_from() {
    let dir = saved();
    let mut store: SlotStore = opened(dir.path());
    let bytes = marks(&[(1, 20)]).seal(&Named("other"), header(2)).unwrap();
    store.save(Save { generation: 2, confirmed: 1, bytes: &bytes, base: None }).unwrap();
    drop(store);
    match refused(dir.path()).kind() {
        RecoverErrorKind::Refused { refused, .. } => assert!(matches!(
            refused.reason,
            CorruptReason::Unseal(UnsealError::OtherCodec { expected: "json", .. })
        )),
        other => panic!("{other}"),
    }
}

#[test]
fn foreign_files_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign =
        ["README", "marks.slots.bak", "marks.slots.temp", "marks.slots.temp-1", "x.temp-1-1"];
    for name in foreign {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    fs::write(dir.path().join("marks.slots.temp-77-3"), "of a dead process").unwrap();
    let mut follower = recovered_from::<SlotStore>(dir.path(), &[1]);
    for _ in 0..2 {
        save(&mut follower.checkpointer);
    }
    let mut all: Vec<_> = foreign.into_iter().chain([NAME]).map(str::to_owned).collect();
    all.sort();
    assert_eq!(names(dir.path()), all);
}

fn recovered_with(dir: &Path, codec: NewCodec) -> Recovered {
    let store: SlotStore = opened(dir);
    recover(store, codec(), &[ShardId(1)], OnCorrupt::Fail).unwrap()
}

/// Damage to any one slot at any time, with either codec.
#[test]
fn a_floor_given_out_is_never_above_what_a_later_recovery_returns() {
    for codec in CODECS.iter().copied() {
        let dir = tempfile::tempdir().unwrap();
        let mut floor = None;
        for process in 0..3 {
            let mut follower = recovered_with(dir.path(), codec);
            for mark in 1..=4 {
                follower.state.advance(ShardId(1), process * 10 + mark);
                follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
                let floors = follower.checkpointer.floors();
                floor = floor.max(floors.retention_floor(ShardId(1)));
                let file = fs::read(dir.path().join(NAME)).unwrap();
                for damaged in 0..3 {
                    let mut bytes = file.clone();
                    bytes[4096 * (damaged + 1) + 200] ^= 1;
                    let copy = tempfile::tempdir().unwrap();
                    fs::write(copy.path().join(NAME), &bytes).unwrap();
                    let found = recovered_with(copy.path(), codec);
                    let recovered = found.state.applied_seqno(ShardId(1));
                    assert!(floor <= recovered, "{floor:?} {recovered:?}");
                }
            }
        }
        assert_eq!(floor, Some(23));
        let last = recovered_with(dir.path(), codec);
        assert!(matches!(last.report.source, Source::Resumed { generation: 12 }));
        assert_eq!(last.state.applied_seqno(ShardId(1)), Some(24));
    }
}
