//! Every failing call of an open and of a save has the documented outcome, and nothing is lost.

use std::io;

use repl_checkpoint::{FileStore, LoadError, OpenStoreError, SaveError};

use crate::protocol::{DIR, EIO, bytes_of, open, save, with_two_saves};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::loaded;

pub(crate) const EINTR: i32 = 4;
pub(crate) const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const ERRNOS: [i32; 6] = [EIO, ENOSPC, EROFS, EACCES, EMFILE, EINTR];
const TEMP: &str = "/disk/marks/00000000000000000009.checkpoint.temp-1-0";

pub(crate) fn nth(after: usize, errno: i32, times: usize) -> Fault {
    Fault { on: "", after, times, how: How::Errno(errno) }
}

/// The whole generations that the next process finds.
fn found_by_the_next_process(disk: &Faulty) -> Vec<u64> {
    disk.arm(None);
    let mut store = open(disk).unwrap();
    let whole = |c: repl_checkpoint::Candidate| {
        let generation = c.generation.unwrap();
        assert_eq!(c.bytes.unwrap(), bytes_of(generation));
        generation
    };
    let found = loaded(&mut store).unwrap().into_iter().map(whole).collect();
    assert!(!disk.paths().iter().any(|p| p.contains("temp")), "a temp file outlived an open");
    found
}

fn no_temp(disk: &Faulty) {
    assert!(!disk.paths().iter().any(|p| p.contains("temp")), "{:?}", disk.paths());
}

pub(crate) fn errno(source: &io::Error) -> i32 {
    source.raw_os_error().unwrap()
}

/// The documented outcome of a fault at this call of a save.
#[derive(Debug, PartialEq)]
enum Outcome {
    Saved,
    NotSaved(&'static str),
    InDoubt,
}

fn of_a_save(call: &str, is_renamed: bool, with: i32) -> Outcome {
    match call.split(' ').next().unwrap() {
        "lock_is_in" | "dir_is_at" if !is_renamed => Outcome::NotSaved("look at"),
        "write" if with == EINTR => Outcome::Saved,
        "create_new" => Outcome::NotSaved("create"),
        "write" => Outcome::NotSaved("write"),
        "sync_file" => Outcome::NotSaved("sync"),
        "rename" | "sync_dir" | "lock_is_in" | "dir_is_at" | "file_is_in" => Outcome::InDoubt,
        "remove" => Outcome::Saved,
        other => panic!("unknown call {other}"),
    }
}

fn check_save(disk: &Faulty, store: &mut FileStore<Faulty>, expected: &Outcome, with: i32) {
    let result = save(store, 3);
    match (&result, expected) {
        (Ok(()), Outcome::Saved) => {}
        (Err(error @ SaveError::NotSaved { act, source, .. }), Outcome::NotSaved(expected)) => {
            assert_eq!((act, errno(source)), (expected, with));
            assert!(!error.is_poisoning());
            no_temp(disk);
        }
        (Err(error @ SaveError::InDoubt { source, .. }), Outcome::InDoubt) => {
            assert_eq!(errno(source), with);
            assert!(error.is_poisoning());
        }
        _ => panic!("{result:?} where {expected:?} was expected"),
    }
}

#[test]
fn every_failing_call_of_a_save_has_the_documented_outcome() {
    let (disk, mut store) = with_two_saves();
    save(&mut store, 3).unwrap();
    let calls = disk.calls();
    for (i, call) in calls.iter().enumerate() {
        for with in ERRNOS {
            let (disk, mut store) = with_two_saves();
            let is_renamed = calls[..i].iter().any(|call| call.starts_with("rename"));
            let expected = of_a_save(call, is_renamed, with);
            disk.arm(nth(i, with, 1));
            check_save(&disk, &mut store, &expected, with);

            disk.arm(None);
            let next = save(&mut store, 4);
            match expected {
                Outcome::InDoubt => {
                    assert!(matches!(next, Err(SaveError::Poisoned { .. })), "{call} {with}");
                    drop(store);
                    let found = found_by_the_next_process(&disk);
                    let new: &[u64] = if is_renamed { &[3, 2, 1] } else { &[2, 1] };
                    assert_eq!(found, new, "{call} {with}");
                }
                Outcome::Saved | Outcome::NotSaved(_) => {
                    next.unwrap();
                    drop(store);
                    let kept = if expected == Outcome::Saved { vec![4, 3] } else { vec![4] };
                    assert_eq!(found_by_the_next_process(&disk), kept, "{call} {with}");
                }
            }
        }
    }
}

#[test]
fn the_older_checkpoint_is_there_whichever_call_fails() {
    let (disk, mut store) = with_two_saves();
    save(&mut store, 3).unwrap();
    for i in 0..disk.calls().len() {
        for with in ERRNOS {
            let (disk, mut store) = with_two_saves();
            disk.arm(nth(i, with, 1));
            let saved = save(&mut store, 3).is_ok();
            drop(store);
            let found = found_by_the_next_process(&disk);
            assert!(found.contains(&2));
            assert!(!saved || found.contains(&3));
        }
    }
}

#[test]
fn a_disk_that_fails_for_good_keeps_the_older_checkpoint() {
    let (disk, mut store) = with_two_saves();
    save(&mut store, 3).unwrap();
    let calls = disk.calls();
    for (i, call) in calls.iter().enumerate() {
        for with in ERRNOS.into_iter().filter(|e| *e != EINTR) {
            let (disk, mut store) = with_two_saves();
            disk.arm(nth(i, with, usize::MAX));
            let result = save(&mut store, 3);
            let is_renamed = calls[..i].iter().any(|call| call.starts_with("rename"));
            assert_eq!(result.is_ok(), of_a_save(call, is_renamed, with) == Outcome::Saved);
            let again = save(&mut store, 4).unwrap_err();
            let doubted = matches!(result, Err(SaveError::InDoubt { .. }));
            assert_eq!(again.is_poisoning(), doubted);
            drop(store);
            let found = found_by_the_next_process(&disk);
            assert!(found.contains(&2), "{call} {with}");
        }
    }
}

#[test]
fn a_rename_that_happened_and_failed_is_in_doubt() {
    let (disk, mut store) = with_two_saves();
    disk.arm(Fault { on: "rename", after: 0, times: 1, how: How::DoneBut(EIO) });
    assert!(matches!(save(&mut store, 3), Err(SaveError::InDoubt { .. })));
    drop(store);
    assert_eq!(found_by_the_next_process(&disk), [3, 2, 1]);
}

#[test]
fn retention_that_fails_is_no_error_and_is_tried_again_at_the_next_save() {
    let (disk, mut store) = with_two_saves();
    for generation in 3..=5 {
        disk.arm(Fault { on: "remove", after: 0, times: usize::MAX, how: How::Errno(EIO) });
        save(&mut store, generation).unwrap();
        assert_eq!(disk.paths().len() as u64, generation);
    }
    disk.arm(None);
    save(&mut store, 6).unwrap();
    drop(store);
    assert_eq!(found_by_the_next_process(&disk), [6, 5]);
}

#[test]
fn a_temporary_file_that_cannot_be_removed_stops_no_later_save_and_no_open() {
    let (disk, mut store) = with_two_saves();
    // Both the sync and the removal after it fail.
    disk.arm(nth(2, EIO, 2));
    let failed = save(&mut store, 3).unwrap_err();
    assert!(matches!(failed, SaveError::NotSaved { act: "sync", .. }));
    assert_eq!(disk.paths().len(), 3);
    disk.arm(None);
    save(&mut store, 4).unwrap();
    drop(store);
    disk.put(TEMP, b"of an earlier process");
    assert_eq!(found_by_the_next_process(&disk), [4]);
}

/// The act and the path in the error after a fault at this call of an open, or `None` if the open
/// succeeds all the same.
fn of_an_open(call: &str) -> Option<(&'static str, String)> {
    let (verb, name) = call.split_once(' ').unwrap();
    let path = if name.starts_with('/') { name.to_owned() } else { format!("{DIR}/{name}") };
    let act = match verb {
        "kind" => "look at",
        "create_dir" => "create",
        "open_dir" if path == DIR => "open",
        "open_dir" | "sync_dir" => "sync the directory",
        "try_lock" => "lock",
        "list" => "list",
        // A temporary file that stays blocks nothing.
        "remove" => return None,
        other => panic!("unknown call {other}"),
    };
    Some((act, path))
}

/// Fails each call of an open in each way, and checks what the next process finds.
fn any_call_of_an_open_may_fail(prepared: impl Fn() -> Faulty, kept: &[u64]) {
    let disk = prepared();
    open(&disk).unwrap();
    for (i, call) in disk.calls().into_iter().enumerate() {
        let expected = of_an_open(&call);
        for with in ERRNOS {
            let disk = prepared();
            disk.arm(nth(i, with, 1));
            match (open(&disk), &expected) {
                (Ok(_), None) => {}
                (Err(OpenStoreError::Io { act, path, source }), Some(expected)) => {
                    let path = path.display().to_string().replace("temp-1-0", "temp");
                    assert_eq!((act, &path, errno(&source)), (expected.0, &expected.1, with));
                }
                (result, expected) => panic!("{call} {with}: {result:?}, not {expected:?}"),
            }
            // Nothing is lost, and the lock is free again.
            assert_eq!(found_by_the_next_process(&disk), kept, "{call} {with}");

            let disk = prepared();
            disk.arm(nth(i, with, usize::MAX));
            assert_eq!(open(&disk).is_ok(), call.starts_with("remove"), "{call} {with} for good");
            assert_eq!(found_by_the_next_process(&disk), kept, "{call} {with} for good");
        }
    }
}

#[test]
fn every_failing_call_of_an_open_has_the_documented_outcome() {
    let with_temp = || {
        let (disk, store) = with_two_saves();
        drop(store);
        disk.put(TEMP, b"half");
        disk.arm(None);
        disk
    };
    any_call_of_an_open_may_fail(with_temp, &[2, 1]);
}

#[test]
fn every_failing_call_of_an_open_that_creates_has_the_documented_outcome() {
    any_call_of_an_open_may_fail(Faulty::new, &[]);
}

#[test]
fn a_load_that_cannot_list_or_look_is_an_error_that_names_the_place() {
    for with in ERRNOS {
        for (on, act, path) in [
            ("list", "list", DIR.to_owned()),
            ("kind", "look at", format!("{DIR}/00000000000000000002.checkpoint")),
        ] {
            let (disk, mut store) = with_two_saves();
            disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(with) });
            match loaded(&mut store).unwrap_err() {
                LoadError::Io { act: a, path: p, source } => {
                    assert_eq!((a, p.to_str().unwrap(), errno(&source)), (act, &*path, with));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_handed_on_with_its_error() {
    let (disk, mut store) = with_two_saves();
    disk.arm(Fault { on: "read", after: 0, times: 1, how: How::Errno(EIO) });
    let found = loaded(&mut store).unwrap();
    assert_eq!(errno(found[0].bytes.as_ref().unwrap_err()), EIO);
    assert_eq!(found[1].bytes.as_ref().unwrap(), &bytes_of(1));
}
