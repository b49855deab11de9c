//! The calls of each kind of save, in order, and the file that they leave.

use repl_checkpoint::{CheckpointStore, OpenStoreError, Save, SaveError, SlotStore};

use super::{FILE, PAGE, after_saves, file, found_on, opened, save, slots, whole, with_saves};
use crate::protocol::{DIR, EIO, bytes_of};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::{loaded, marks, sealed};

const SYNC_PARENTS: [&str; 4] = ["open_dir /disk", "sync_dir /disk", "open_dir /", "sync_dir /"];
const CREATE: &str = "create_new marks.slots.temp";
const WRITE: [&str; 4] = [
    "write marks.slots.temp",
    "sync_file marks.slots.temp",
    "dir_is_at /disk/marks",
    "lock_is_in repl-checkpoint.lock",
];
const PUBLISH: [&str; 2] = ["rename marks.slots.temp -> marks.slots", "sync_dir /disk/marks"];
const MARK: [&str; 3] =
    ["create_new repl-checkpoint.marker", "write repl-checkpoint.marker", "sync_dir /disk/marks"];
const RENEW: [&str; 5] = [
    "dir_is_at /disk/marks",
    "lock_is_in repl-checkpoint.lock",
    "create_new repl-checkpoint.marker.temp",
    "write repl-checkpoint.marker.temp",
    "rename repl-checkpoint.marker.temp -> repl-checkpoint.marker",
];
const CHECK: [&str; 3] =
    ["dir_is_at /disk/marks", "lock_is_in repl-checkpoint.lock", "file_is_in marks.slots"];

#[test]
fn an_open_makes_the_calls_of_a_file_store_and_writes_nothing() {
    let disk = after_saves(2);
    disk.put("/disk/marks/marks.slots.temp-1-0", b"half");
    disk.arm(None);
    let before = file(&disk);
    opened(&disk).unwrap();
    assert_eq!(
        disk.calls(),
        [
            "kind /disk/marks",
            "try_lock repl-checkpoint.lock",
            "open_dir /disk/marks",
            "list /disk/marks",
            "remove marks.slots.temp",
        ]
    );
    assert_eq!(file(&disk), before);
    assert_eq!(disk.paths(), [FILE]);
}

#[test]
fn a_store_that_does_not_get_the_lock_makes_no_call_after_it() {
    let (disk, _store) = with_saves(1);
    assert!(matches!(opened(&disk), Err(OpenStoreError::Locked { .. })));
    assert_eq!(disk.calls().last().unwrap(), "try_lock repl-checkpoint.lock");
}

#[test]
fn a_store_without_a_save_is_fresh_and_has_no_slot_file() {
    let disk = Faulty::new();
    assert_eq!(found_on(&disk), (0, 0));
    assert_eq!(disk.paths(), [""; 0]);
}

#[test]
fn the_first_save_ever_creates_the_file_whole_and_renames_it_into_place() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    disk.arm(None);
    save(&mut store, 1).unwrap();
    // Opening has created the directory and synced its parent.
    let before = [&["kind marks.slots"], &SYNC_PARENTS[2..], &[CREATE]].concat();
    assert_eq!(disk.calls(), [&before[..], &WRITE, &PUBLISH, &MARK, &CHECK].concat());
    assert_eq!(slots(&file(&disk)), [Some(1); 3]);
    assert_eq!(file(&disk).len(), 4 * PAGE);
}

#[test]
fn a_save_is_one_write_and_one_data_sync() {
    let (disk, mut store) = with_saves(1);
    for (generation, offset) in (2..).zip([4096, 8192, 12288, 4096, 8192]) {
        disk.arm(None);
        save(&mut store, generation).unwrap();
        // The file is still open under the name of its creation.
        let [write, begin] =
            ["write_at", "begin_sync"].map(|on| format!("{on} {offset}+4096 of marks.slots.temp"));
        let sync = ["sync_data marks.slots.temp"];
        let calls = [&[&*write, &begin], &CHECK[..2], &sync, &CHECK[2..]].concat();
        assert_eq!(disk.calls(), calls);
    }
    assert_eq!(slots(&file(&disk)), [Some(5), Some(6), Some(4)]);
}

/// The file that it found may be in the cache alone.
#[test]
fn the_first_save_of_a_later_process_writes_all_that_is_kept_into_a_new_file() {
    let disk = after_saves(3);
    let mut store = opened(&disk).unwrap();
    disk.arm(None);
    save(&mut store, 4).unwrap();
    let read =
        [&["kind marks.slots", "length marks.slots"], &["read_at marks.slots"; 6][..]].concat();
    let kept = [&[CREATE], &["read_at marks.slots"; 2][..]].concat();
    assert_eq!(
        disk.calls(),
        [&read[..], &SYNC_PARENTS, &RENEW, &kept, &WRITE, &PUBLISH, &CHECK].concat()
    );
    assert_eq!(slots(&file(&disk)), [Some(2), Some(3), Some(4)]);
    disk.arm(None);
    save(&mut store, 5).unwrap();
    assert_eq!(disk.calls()[0], "write_at 4096+4096 of marks.slots.temp");
}

#[test]
fn a_load_looks_and_reads_and_gives_each_checkpoint_once_the_newest_first() {
    let (disk, mut store) = with_saves(1);
    assert_eq!(whole(&mut store), [1]);
    save(&mut store, 2).unwrap();
    assert_eq!(whole(&mut store), [2, 1]);
    save(&mut store, 3).unwrap();
    save(&mut store, 4).unwrap();
    disk.arm(None);
    let found = loaded(&mut store).unwrap();
    // The first page and the headers of each slot; then each checkpoint as the iterator comes to it,
    // and once more as it goes on to the next.
    let calls = [&["kind marks.slots", "length marks.slots"], &["read_at marks.slots"; 10][..]];
    assert_eq!(disk.calls(), calls.concat());
    for (candidate, generation) in found.into_iter().zip([4, 3, 2]) {
        assert_eq!(candidate.path.to_str(), Some(FILE));
        assert_eq!(candidate.generation, Some(generation));
        assert_eq!(candidate.bytes.unwrap(), bytes_of(generation));
    }
}

#[test]
fn what_follows_an_envelope_is_unused_however_long_the_one_before_was() {
    let (disk, mut store) = with_saves(1);
    let long =
        |generation| sealed(generation, &marks(&(0..90).map(|id| (id, 7)).collect::<Vec<_>>()));
    let put = |store: &mut SlotStore<Faulty>, generation, bytes: &[u8]| {
        store.save(Save { generation, confirmed: generation - 1, bytes, base: None }).unwrap();
    };
    for generation in 2..=4 {
        put(&mut store, generation, &long(generation));
    }
    for generation in 5..=10 {
        put(&mut store, generation, &bytes_of(generation));
    }
    assert_eq!(slots(&file(&disk)), [Some(8), Some(9), Some(10)]);
    assert_eq!(
        found_on(&{
            drop(store);
            disk
        }),
        (10, 0)
    );
}

#[test]
fn a_save_writes_whole_pages_and_no_more_than_it_or_the_one_before_it_in_the_slot_takes() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    let of_length = |generation, shards: u64| {
        sealed(generation, &marks(&(0..shards).map(|id| (id, 7)).collect::<Vec<_>>()))
    };
    let written =
        [400, 2, 2, 2, 200, 2, 2, 2, 2].into_iter().zip(1..).map(|(shards, generation)| {
            let bytes = of_length(generation, shards);
            disk.arm(None);
            store
                .save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None })
                .unwrap();
            let call = disk.calls().into_iter().find(|call| call.starts_with("write_at"))?;
            let (_, length) = call.split_once('+')?;
            Some((
                bytes.len().div_ceil(PAGE),
                length.split(' ').next()?.parse::<usize>().ok()? / PAGE,
            ))
        });
    let written: Vec<_> = written.collect();
    let (one, whole) = (Some((1, 1)), of_length(1, 400).len().div_ceil(PAGE));
    let (half, after_whole) = (of_length(5, 200).len().div_ceil(PAGE), Some((1, whole)));
    assert!(1 < half && half < whole);
    // Every slot of the new file holds the first save; the fifth goes to a slot of that length.
    let expected = [
        None,
        after_whole,
        after_whole,
        after_whole,
        Some((half, half)),
        one,
        one,
        Some((1, half)),
        one,
    ];
    assert_eq!(written, expected);
}

#[test]
fn a_short_write_goes_on_and_an_interrupted_one_is_tried_again() {
    for how in [How::Short(1), How::Short(100), How::Short(PAGE - 1), How::Errno(4)] {
        for times in [1, 5] {
            let (disk, mut store) = with_saves(3);
            disk.arm(Fault { on: "write_at", after: 0, times, how });
            save(&mut store, 4).unwrap();
            let calls = disk.calls();
            let written = calls.len() - 1 - CHECK.len() - 1;
            assert!(calls[..written].iter().all(|c| c.starts_with("write_at")), "{calls:?}");
            assert!(calls[written].starts_with("begin_sync"), "{calls:?}");
            assert!(calls[calls.len() - 2].starts_with("sync_data"), "{calls:?}");
            drop(store);
            assert_eq!(found_on(&disk), (4, 0), "{how:?} {times}");
        }
    }
}

#[test]
fn a_write_that_takes_nothing_is_an_error() {
    let (disk, mut store) = with_saves(3);
    disk.arm(Fault { on: "write_at", after: 0, times: usize::MAX, how: How::Short(0) });
    let failed = save(&mut store, 4).unwrap_err();
    assert!(
        matches!(&failed, SaveError::InDoubt { act: "write a slot of", source, .. }
            if source.kind() == std::io::ErrorKind::WriteZero),
        "{failed}"
    );
}

#[test]
fn a_poisoned_store_makes_no_call() {
    for on in ["write_at", "sync_data"] {
        let (disk, mut store) = with_saves(3);
        disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(EIO) });
        assert!(matches!(save(&mut store, 4), Err(SaveError::InDoubt { .. })));
        assert!(disk.calls().pop().unwrap().starts_with(on));
        disk.arm(None);
        for generation in 5..7 {
            let refused = save(&mut store, generation).unwrap_err();
            assert!(matches!(&refused, SaveError::Poisoned { path } if path.to_str() == Some(DIR)));
        }
        assert_eq!(disk.calls(), [""; 0]);
    }
}
