//! The exact calls of an open and of a save: a missing or moved call fails here.

use std::path::Path;

use repl_checkpoint::{CheckpointStore, FileStore, OpenStoreError, Save, SaveError, SlotStore};

use crate::support::faulty::{Fault, Faulty, How};
use crate::support::{STORE, loaded, marks, sealed};

pub(crate) const DIR: &str = "/disk/marks";
pub(crate) const EIO: i32 = 5;

pub(crate) fn open(disk: &Faulty) -> Result<FileStore<Faulty>, OpenStoreError> {
    FileStore::open_on(disk.clone(), Path::new(DIR), STORE)
}

pub(crate) fn open_slots(disk: &Faulty) -> Result<SlotStore<Faulty>, OpenStoreError> {
    SlotStore::open_on(disk.clone(), Path::new(DIR), STORE)
}

/// A store with generations 1 and 2; a third save removes the first.
pub(crate) fn with_two_saves() -> (Faulty, FileStore<Faulty>) {
    let disk = Faulty::new();
    let mut store = open(&disk).unwrap();
    for generation in 1..=2 {
        save(&mut store, generation).unwrap();
    }
    disk.arm(None);
    (disk, store)
}

pub(crate) fn bytes_of(generation: u64) -> Vec<u8> {
    sealed(generation, &marks(&[(1, generation * 10)]))
}

pub(crate) fn save(store: &mut impl CheckpointStore, generation: u64) -> Result<(), SaveError> {
    store.save(Save {
        generation,
        confirmed: generation - 1,
        bytes: &bytes_of(generation),
        base: None,
    })
}

#[test]
fn opening_an_existing_directory_makes_exactly_these_calls() {
    let (disk, store) = with_two_saves();
    drop(store);
    disk.put("/disk/marks/00000000000000000003.checkpoint.temp-1-0", b"half");
    disk.arm(None);
    open(&disk).unwrap();
    assert_eq!(
        disk.calls(),
        [
            "kind /disk/marks",
            "try_lock repl-checkpoint.lock",
            "open_dir /disk/marks",
            "list /disk/marks",
            "remove 00000000000000000003.checkpoint.temp",
        ]
    );
}

#[test]
fn opening_missing_directories_creates_and_syncs_them_and_the_first_save_syncs_the_others() {
    let disk = Faulty::new();
    let deep = Path::new("/disk/new/deep");
    let mut store = FileStore::open_on(disk.clone(), deep, STORE).unwrap();
    assert_eq!(
        disk.calls(),
        [
            "kind /disk/new/deep",
            "kind /disk/new",
            "kind /disk",
            "create_dir /disk/new",
            "create_dir /disk/new/deep",
            "open_dir /disk/new",
            "sync_dir /disk/new",
            "open_dir /disk",
            "sync_dir /disk",
            "try_lock /disk/new/deep/repl-checkpoint.lock",
            "open_dir /disk/new/deep",
            "list /disk/new/deep",
        ]
    );
    for generation in 1..=2 {
        disk.arm(None);
        save(&mut store, generation).unwrap();
        let calls = disk.calls();
        let syncs: Vec<&str> =
            calls.iter().map(String::as_str).take_while(|c| !c.starts_with("create_new")).collect();
        let others = ["open_dir /", "sync_dir /"];
        assert_eq!(syncs, if generation == 1 { &others[..] } else { &[] });
    }
}

#[test]
fn a_store_that_does_not_get_the_lock_makes_no_call_after_it() {
    let (disk, _store) = with_two_saves();
    disk.put("/disk/marks/00000000000000000003.checkpoint.temp-1-0", b"in the making");
    disk.arm(None);
    let refused = open(&disk).unwrap_err();
    assert!(matches!(refused, OpenStoreError::Locked { .. }));
    assert_eq!(disk.calls().last().unwrap(), "try_lock repl-checkpoint.lock");
    assert_eq!(disk.paths().len(), 3);
}

#[test]
fn a_load_lists_looks_and_reads_and_writes_nothing() {
    let (disk, mut store) = with_two_saves();
    loaded(&mut store).unwrap();
    assert_eq!(
        disk.calls(),
        [
            "list /disk/marks",
            "kind 00000000000000000002.checkpoint",
            "kind 00000000000000000001.checkpoint",
            "length 00000000000000000002.checkpoint",
            "read_at 00000000000000000002.checkpoint",
            "length 00000000000000000001.checkpoint",
            "read_at 00000000000000000001.checkpoint",
        ]
    );
}

const SAVE_3: [&str; 11] = [
    "create_new 00000000000000000003.checkpoint.temp",
    "write 00000000000000000003.checkpoint.temp",
    "sync_file 00000000000000000003.checkpoint.temp",
    "dir_is_at /disk/marks",
    "lock_is_in repl-checkpoint.lock",
    "rename 00000000000000000003.checkpoint.temp -> 00000000000000000003.checkpoint",
    "sync_dir /disk/marks",
    "dir_is_at /disk/marks",
    "lock_is_in repl-checkpoint.lock",
    "file_is_in 00000000000000000003.checkpoint",
    "remove 00000000000000000001.checkpoint",
];

#[test]
fn a_save_makes_exactly_these_calls() {
    let (disk, mut store) = with_two_saves();
    save(&mut store, 3).unwrap();
    assert_eq!(disk.calls(), SAVE_3);
}

#[test]
fn a_short_write_goes_on_and_an_interrupted_one_is_tried_again() {
    let total = bytes_of(3).len();
    for how in [How::Short(1), How::Short(total - 1), How::Errno(4)] {
        for times in [1, 5] {
            let (disk, mut store) = with_two_saves();
            disk.arm(Fault { on: "write", after: 0, times, how });
            save(&mut store, 3).unwrap();
            let calls = disk.calls();
            let writes = calls.iter().filter(|c| c.starts_with("write")).count();
            let needed = match how {
                How::Short(n) if n > 1 => 2,
                _ => times + 1,
            };
            assert_eq!(writes, needed, "{how:?} {times}");
            // There is no call between the last write and the sync, nor before the first write.
            assert_eq!(calls[0], SAVE_3[0]);
            assert_eq!(calls[writes + 1..], SAVE_3[2..]);
            let newest = loaded(&mut store).unwrap().remove(0);
            assert_eq!(newest.bytes.unwrap(), bytes_of(3));
        }
    }
}

#[test]
fn a_write_that_takes_nothing_is_an_error() {
    let (disk, mut store) = with_two_saves();
    disk.arm(Fault { on: "write", after: 0, times: usize::MAX, how: How::Short(0) });
    let failed = save(&mut store, 3).unwrap_err();
    assert!(
        matches!(&failed, SaveError::NotSaved { act: "write", source, .. }
            if source.kind() == std::io::ErrorKind::WriteZero),
        "{failed}"
    );
}

#[test]
fn a_file_whose_sync_failed_is_never_synced_again() {
    let (disk, mut store) = with_two_saves();
    disk.arm(Fault { on: "sync_file", after: 0, times: 1, how: How::Errno(EIO) });
    save(&mut store, 3).unwrap_err();
    let mut calls = SAVE_3[..3].to_vec();
    calls.push("remove 00000000000000000003.checkpoint.temp");
    assert_eq!(disk.calls(), calls);
    // The next save writes a new file under a new name.
    disk.arm(None);
    save(&mut store, 4).unwrap();
    assert_eq!(disk.calls()[0], "create_new 00000000000000000004.checkpoint.temp");
}

#[test]
fn a_poisoned_store_makes_no_call() {
    for on in ["rename", "sync_dir"] {
        let (disk, mut store) = with_two_saves();
        disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(EIO) });
        assert!(matches!(save(&mut store, 3), Err(SaveError::InDoubt { .. })));
        let last = disk.calls().pop().unwrap();
        assert!(last.starts_with(on), "{last}");
        disk.arm(None);
        for generation in 4..6 {
            let refused = save(&mut store, generation).unwrap_err();
            assert!(matches!(&refused, SaveError::Poisoned { path } if path == Path::new(DIR)));
        }
        assert_eq!(disk.calls(), [""; 0]);
    }
}

#[test]
fn a_save_gives_up_if_every_temporary_name_is_taken_and_a_later_one_succeeds() {
    let (disk, mut store) = with_two_saves();
    let taken = How::Errno(17) /* EEXIST */;
    disk.arm(Fault { on: "create_new", after: 0, times: usize::MAX, how: taken });
    let failed = save(&mut store, 3).unwrap_err();
    assert!(matches!(failed, SaveError::NotSaved { act: "create", .. }), "{failed}");
    disk.arm(Fault { on: "create_new", after: 0, times: 999, how: taken });
    save(&mut store, 4).unwrap();
}
