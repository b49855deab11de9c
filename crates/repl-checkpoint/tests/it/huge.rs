//! A sparse file of gigabytes at a checkpoint's place, as a crash or a wrong copy leaves it: no
//! memory, time or reads in proportion to its length.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, OnCorrupt, OsDisk, SlotStore, peek, recover,
};
use repl_core::ShardId;

use crate::support::again::{again, numbers, peak_memory, said};
use crate::support::follower::{Follower, origin};
use crate::support::hooked::Hooked;
use crate::support::{AnyStore, STORE, chain, file, marks, put, sealed, skipped};

/// The variables with the directory, the store and what to do.
const DIR: &str = "REPL_CHECKPOINT_TEST_HUGE_DIR";
const KIND: &str = "REPL_CHECKPOINT_TEST_HUGE_STORE";
const DO: &str = "REPL_CHECKPOINT_TEST_HUGE_DO";
const SAYS: &str = "huge: ";

const SIZES: [u64; 2] = [3 << 30, 4 << 40];
/// More than a test binary needs by itself, and much less than the files.
const MEMORY: u64 = 64 << 20;
const READ: u64 = 1 << 20;
/// Milliseconds on a machine that does much else.
const TIME: u64 = 2000;

/// What a process of its own says that recovers with `OnCorrupt::Fail` or `FallBack`, or peeks.
fn answer<S: AnyStore>(dir: &Path, what: &str) -> String {
    let mut command = again(&[], "huge::one_look");
    let said = said(command.env(DIR, dir).env(KIND, S::NAME).env(DO, what), SAYS).unwrap();
    let (figures, answer) = said.split_once(": ").unwrap();
    let [memory, read, milliseconds] = numbers(figures)[..] else { panic!("{said}") };
    assert!(memory < MEMORY && read < READ && milliseconds < TIME, "{what}: {said}");
    answer.to_owned()
}

fn answers<S: AnyStore>(dir: &Path) -> [String; 3] {
    ["Fail", "FallBack", "peek"].map(|what| answer::<S>(dir, what))
}

/// Sets the length of a file, which is created if it is missing. Returns whether the filesystem
/// takes it.
fn stretched(path: &Path, length: u64) -> bool {
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(path).unwrap();
    let stretched = file.set_len(length).is_ok();
    if !stretched {
        skipped(&format!("no file of {length} bytes on this filesystem"));
    }
    stretched
}

/// The checkpoint of a generation, at ten times its number.
fn checkpoint(generation: u64) -> Vec<u8> {
    sealed(generation, &marks(&[(1, generation * 10)]))
}

/// The generations 1 to 3 as files.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for generation in 1..=3 {
        put(dir.path(), generation, &checkpoint(generation));
    }
    dir
}

#[test]
fn a_huge_file_of_zeros_is_damage_and_the_one_before_it_is_used() {
    for size in SIZES {
        let dir = files();
        if !stretched(&file(dir.path(), 4), size) {
            continue;
        }
        let [fails, falls_back, peeked] = answers::<FileStore>(dir.path());
        let damaged = format!("{} is damaged; generation 3", file(dir.path(), 4).display());
        assert!(fails.contains(&damaged), "{fails}");
        assert!(fails.ends_with("it does not begin with \"repl-checkpoint v\""), "{fails}");
        assert_eq!(falls_back, "fell back to 3 from 1, mark 30");
        assert_eq!(peeked, "peeked 3");
    }
}

#[test]
fn a_checkpoint_that_was_extended_by_gigabytes_is_damage_with_both_lengths() {
    for size in SIZES {
        let dir = files();
        if !stretched(&file(dir.path(), 3), size) {
            continue;
        }
        let whole = checkpoint(3);
        let header = 1 + whole.iter().position(|byte| *byte == b'\n').unwrap();
        let lengths = [whole.len() - header, usize::try_from(size).unwrap() - header];
        let [fails, falls_back, peeked] = answers::<FileStore>(dir.path());
        assert!(fails.contains("is damaged; generation 2"), "{fails}");
        for length in lengths {
            assert!(fails.contains(&length.to_string()), "{fails}, not {length}");
        }
        assert_eq!(falls_back, "fell back to 2 from 1, mark 20");
        assert_eq!(peeked, "peeked 2");
    }
}

#[test]
fn huge_files_of_older_generations_cost_nothing() {
    for size in SIZES {
        let dir = files();
        let junk = file(dir.path(), 1);
        if !stretched(&file(dir.path(), 2), size) || !stretched(&junk, 5 << 30) {
            continue;
        }
        // Not only zeros.
        let bytes = fs::read(file(dir.path(), 3)).unwrap().repeat(100);
        std::os::unix::fs::FileExt::write_at(&opened_to_write(&junk), &bytes, 1 << 30).unwrap();
        let resumed = "resumed at 3, mark 30";
        let expected = [resumed, resumed, "peeked 3"];
        assert_eq!(answers::<FileStore>(dir.path()), expected);
        // The next life removes them.
        let mut follower = Follower::open::<FileStore>(dir.path()).unwrap();
        assert_eq!([follower.save(40), follower.save(50)], ["saved 4", "saved 5"]);
        let is_left = |generation| file(dir.path(), generation).exists();
        assert_eq!([1, 2, 3, 4, 5].map(is_left), [false, false, false, true, true]);
    }
}

fn opened_to_write(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

/// The path of a slot file with the generations 1 to 3.
fn slots(dir: &Path) -> std::path::PathBuf {
    let mut follower = Follower::open::<SlotStore>(dir).unwrap();
    assert_eq!([10, 20, 30].map(|mark| follower.save(mark)), ["saved 1", "saved 2", "saved 3"]);
    dir.join("marks.slots")
}

#[test]
fn a_slot_file_that_was_extended_by_gigabytes_is_refused_with_both_lengths() {
    for size in SIZES {
        let dir = tempfile::tempdir().unwrap();
        let path = slots(dir.path());
        let before = fs::metadata(&path).unwrap().len();
        if !stretched(&path, size) {
            continue;
        }
        let [fails, falls_back, peeked] = answers::<SlotStore>(dir.path());
        let lengths = format!("it has {size} bytes, and its first page says {before}");
        assert!(fails.contains(&lengths) && falls_back.contains(&lengths), "{fails}, {falls_back}");
        assert!(peeked.contains("failed to read a checkpoint"), "{peeked}");
        // Cut to its length it is whole again.
        opened_to_write(&path).set_len(before).unwrap();
        assert_eq!(answers::<SlotStore>(dir.path())[0], "resumed at 3, mark 30");
    }
}

#[test]
fn a_huge_slot_file_without_a_whole_first_page_is_refused() {
    for size in SIZES {
        for zeros in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let path = slots(dir.path());
            if zeros {
                fs::remove_file(&path).unwrap();
            } else {
                let page = opened_to_write(&path);
                std::os::unix::fs::FileExt::write_at(&page, b"damaged", 0).unwrap();
            }
            if !stretched(&path, size) {
                continue;
            }
            let [fails, falls_back, peeked] = answers::<SlotStore>(dir.path());
            // The first slot begins where it did, and its checkpoint is whole.
            let is_refused = fails.contains("no part of it is whole");
            assert!(is_refused || !zeros && fails.contains("is damaged; generation 2"), "{fails}");
            let falls_back_to = if is_refused { "slot file" } else { "fell back to 2" };
            assert!(falls_back.starts_with(falls_back_to), "{falls_back}");
            let peeks = if is_refused { "failed to read a checkpoint" } else { "peeked 2" };
            assert!(peeked.contains(peeks), "{peeked}");
        }
    }
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn one_look() {
    let (Some(dir), Ok(kind), Ok(what)) =
        (std::env::var_os(DIR), std::env::var(KIND), std::env::var(DO))
    else {
        return;
    };
    let (dir, read) = (Path::new(&dir), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let answer = match what.as_str() {
        "peek" => match peek(dir) {
            Ok(found) => format!("peeked {}", found.header.generation),
            Err(error) => chain(&error),
        },
        "Fail" => recovered(dir, &kind, OnCorrupt::Fail, &read),
        _ => recovered(dir, &kind, OnCorrupt::FallBack, &read),
    };
    let milliseconds = began.elapsed().as_millis();
    println!("{SAYS}{} {} {milliseconds}: {answer}", peak_memory(), read.load(SeqCst));
}

/// Recovers, and counts the bytes that it reads.
fn recovered(dir: &Path, kind: &str, on_corrupt: OnCorrupt, read: &Arc<AtomicU64>) -> String {
    let count = Arc::clone(read);
    let disk = Hooked::look(OsDisk, move |call| {
        let read = if call.name == "read_at" { call.bytes as u64 } else { 0 };
        count.fetch_add(read, SeqCst);
    });
    let store: Box<dyn CheckpointStore> = match kind {
        FileStore::NAME => Box::new(FileStore::open_on(disk, dir, STORE).unwrap()),
        _ => Box::new(SlotStore::open_on(disk, dir, STORE).unwrap()),
    };
    match recover(store, JsonCodec, &[ShardId(1)], on_corrupt) {
        Ok(found) => {
            let mark = found.state.applied_seqno(ShardId(1)).unwrap();
            format!("{}, mark {mark}", origin(&found.report.source))
        }
        Err(error) => chain(&error),
    }
}
