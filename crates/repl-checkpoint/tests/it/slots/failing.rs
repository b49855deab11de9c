//! Every failing call of every kind of save has the documented outcome.

use std::io;

use repl_checkpoint::{CheckpointStore, LoadError, OpenStoreError, Save, SaveError};

use super::{FILE, Slots, after_saves, found_on, opened, save, with_saves};
use crate::io_errors::{EACCES, EINTR, EROFS, ERRNOS, errno, nth};
use crate::protocol::{DIR, EIO, bytes_of};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::{chain, loaded, marks, sealed};

/// One kind of save: the prepared store, its newest acknowledged generation, and the save.
struct Case {
    name: &'static str,
    prepared: fn() -> (Faulty, Slots),
    acknowledged: u64,
    save: fn(&mut Slots, u64) -> Result<(), SaveError>,
}

fn in_a_new_process(disk: Faulty) -> (Faulty, Slots) {
    let store = opened(&disk).unwrap();
    disk.arm(None);
    (disk, store)
}

/// More shards than fit a slot.
fn save_long(store: &mut Slots, generation: u64) -> Result<(), SaveError> {
    let others = (2..200).map(|id| (id, 7));
    let all: Vec<_> = [(1, generation * 10)].into_iter().chain(others).collect();
    let bytes = sealed(generation, &marks(&all));
    store.save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None })
}

const CASES: [Case; 5] = [
    Case {
        name: "the first of all",
        prepared: || in_a_new_process(Faulty::new()),
        acknowledged: 0,
        save: save_1_or_more,
    },
    Case {
        name: "the first of a process",
        prepared: || in_a_new_process(after_saves(3)),
        acknowledged: 3,
        save: save_1_or_more,
    },
    Case { name: "in place", prepared: || with_saves(3), acknowledged: 3, save: save_1_or_more },
    Case { name: "outgrowing", prepared: || with_saves(3), acknowledged: 3, save: save_long },
    Case {
        name: "outgrowing at once",
        prepared: || in_a_new_process(after_saves(3)),
        acknowledged: 3,
        save: save_long,
    },
];

fn save_1_or_more(store: &mut Slots, generation: u64) -> Result<(), SaveError> {
    save(store, generation)
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Saved,
    NotSaved(&'static str),
    InDoubt(&'static str),
}

/// The documented outcome of a fault at a call, after these calls.
fn of_a_save(call: &str, before: &[String], with: i32) -> Outcome {
    let (verb, path) = call.split_once(' ').unwrap();
    let may_not_sync = [EROFS, EACCES].contains(&with);
    let is_published =
        before.iter().any(|c| c.starts_with("rename marks") || c.starts_with("write_at"));
    match verb {
        "write" | "write_at" if with == EINTR => Outcome::Saved,
        "begin_sync" => Outcome::Saved, // a hint
        "length" | "read_at" => Outcome::NotSaved("read"),
        // Parents of existing directories belong to others.
        "open_dir" | "sync_dir" if path != DIR && may_not_sync => Outcome::Saved,
        "open_dir" | "sync_dir" if path != DIR => Outcome::NotSaved("sync the directory"),
        "create_new" if path.ends_with(".marker") => Outcome::InDoubt("create"),
        // Its name says all, and a marker that was found stays.
        "write" | "create_new" | "rename" if path.contains(".marker") => Outcome::Saved,
        "lock_is_in" | "dir_is_at" | "file_is_in" if is_published => Outcome::InDoubt("look at"),
        "kind" | "lock_is_in" | "dir_is_at" => Outcome::NotSaved("look at"),
        "create_new" => Outcome::NotSaved("create"),
        "write" => Outcome::NotSaved("write"),
        "sync_file" => Outcome::NotSaved("sync"),
        "write_at" => Outcome::InDoubt("write a slot of"),
        "sync_data" => Outcome::InDoubt("sync"),
        "rename" => Outcome::InDoubt("rename a new checkpoint to"),
        "sync_dir" => Outcome::InDoubt("sync the directory"),
        other => panic!("unknown call {other}"),
    }
}

fn outcome_of(result: &Result<(), SaveError>, with: i32) -> Outcome {
    match result {
        Ok(()) => Outcome::Saved,
        Err(SaveError::NotSaved { act, source, .. }) => {
            assert_eq!(errno(source), with);
            Outcome::NotSaved(act)
        }
        Err(SaveError::InDoubt { act, source, .. }) => {
            assert_eq!(errno(source), with);
            Outcome::InDoubt(act)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Calls `check` with every case and every call of its save.
fn every_call(check: impl Fn(&Case, &[String], usize)) {
    for case in &CASES {
        let (disk, mut store) = (case.prepared)();
        (case.save)(&mut store, case.acknowledged + 1).unwrap();
        let calls = disk.calls();
        for i in 0..calls.len() {
            check(case, &calls, i);
        }
    }
}

#[test]
fn every_failing_call_of_a_save_has_the_documented_outcome() {
    every_call(|case, calls, i| {
        let call = &calls[i];
        for with in ERRNOS {
            let what = format!("{}: {call} {with}", case.name);
            let (disk, mut store) = (case.prepared)();
            let old = case.acknowledged;
            disk.arm(nth(i, with, 1));
            let result = (case.save)(&mut store, old + 1);
            let outcome = outcome_of(&result, with);
            assert_eq!(outcome, of_a_save(call, &calls[..i], with), "{what}");
            assert!(!disk.paths().iter().any(|p| p.contains("temp")) || call.starts_with("rename"));
            disk.arm(None);
            match outcome {
                Outcome::Saved => {
                    save(&mut store, old + 2).unwrap();
                    drop(store);
                }
                Outcome::NotSaved(_) => {
                    // A save that was not made is never found, and the next one succeeds.
                    drop(store);
                    assert_eq!(found_on(&disk), (old, 0), "{what}");
                    save(&mut opened(&disk).unwrap(), old + 2).unwrap();
                }
                Outcome::InDoubt(_) => {
                    let next = save(&mut store, old + 2);
                    assert!(matches!(next, Err(SaveError::Poisoned { .. })), "{what}");
                    drop(store);
                    let (found, damaged) = found_on(&disk);
                    assert!(damaged == 0 && (old..=old + 1).contains(&found), "{what}");
                    save(&mut opened(&disk).unwrap(), old + 2).unwrap();
                }
            }
            assert_eq!(found_on(&disk), (old + 2, 0), "{what}");
        }
    });
}

#[test]
fn a_save_that_failed_may_be_followed_by_another_of_the_same_process() {
    every_call(|case, calls, i| {
        let call = &calls[i];
        for with in ERRNOS.into_iter().filter(|e| *e != EINTR) {
            let (disk, mut store) = (case.prepared)();
            disk.arm(nth(i, with, 1));
            let result = (case.save)(&mut store, case.acknowledged + 1);
            disk.arm(None);
            let next = save(&mut store, case.acknowledged + 2);
            let poisoned = result.is_err_and(|error| error.is_poisoning());
            assert_eq!(next.is_ok(), !poisoned, "{}: {call}", case.name);
        }
    });
}

#[test]
fn a_disk_that_fails_for_good_keeps_the_older_checkpoint() {
    every_call(|case, calls, i| {
        let call = &calls[i];
        for with in ERRNOS.into_iter().filter(|e| *e != EINTR) {
            let (disk, mut store) = (case.prepared)();
            disk.arm(nth(i, with, usize::MAX));
            let first = (case.save)(&mut store, case.acknowledged + 1).unwrap_err();
            let again = (case.save)(&mut store, case.acknowledged + 2).unwrap_err();
            assert_eq!(again.is_poisoning(), first.is_poisoning(), "{}: {call} {with}", case.name);
            drop(store);
            let (found, _) = found_on(&disk);
            assert!((case.acknowledged..=case.acknowledged + 1).contains(&found), "{}", case.name);
        }
    });
}

/// The call is done and still fails, as on a network disk that loses the answer.
#[test]
fn a_call_that_was_done_and_failed_never_loses_what_was_saved() {
    every_call(|case, calls, i| {
        let call = &calls[i];
        let (disk, mut store) = (case.prepared)();
        disk.arm(Fault { on: "", after: i, times: 1, how: How::DoneBut(EIO) });
        let saved = (case.save)(&mut store, case.acknowledged + 1);
        drop(store);
        let (found, _) = found_on(&disk);
        let new = u64::from(saved.is_ok() || saved.is_err_and(|error| error.is_poisoning()));
        assert_eq!(found, case.acknowledged + new, "{}: {call}", case.name);
    });
}

/// `NotSaved` promises that no recovery finds the save. A write that took bytes cannot promise it.
#[test]
fn a_write_that_fails_after_some_bytes_is_in_doubt() {
    for taken in [1, 100, 230, 3000] {
        let (disk, mut store) = with_saves(3);
        disk.arm(Fault { on: "write_at", after: 0, times: 1, how: How::Short(taken) });
        let before = disk.bytes(FILE).unwrap();
        disk.then(Fault { on: "write_at", after: 0, times: 1, how: How::Errno(EIO) });
        let failed = save(&mut store, 4);
        assert!(matches!(failed, Err(SaveError::InDoubt { .. })), "{taken}: {failed:?}");
        drop(store);
        let (found, damaged) = found_on(&disk);
        let after = disk.bytes(FILE).unwrap();
        let slot = &after[3 * 4096..];
        let expected = match (slot == &before[3 * 4096..], slot.starts_with(&bytes_of(4))) {
            (true, _) => (3, 0),
            (_, true) => (4, 0),
            _ => (3, 1),
        };
        assert_eq!((found, damaged), expected, "{taken}");
        assert_eq!(after[..3 * 4096], before[..3 * 4096]);
    }
}

#[test]
fn no_failing_call_of_an_open_loses_a_checkpoint() {
    let disk = after_saves(3);
    opened(&disk).unwrap();
    for (i, call) in disk.calls().into_iter().enumerate() {
        for with in ERRNOS {
            for times in [1, usize::MAX] {
                let disk = after_saves(3);
                disk.arm(nth(i, with, times));
                if let Err(error) = opened(&disk) {
                    let OpenStoreError::Io { source, .. } = &error else { panic!("{error}") };
                    assert_eq!(errno(source), with, "{call}");
                }
                assert_eq!(found_on(&disk), (3, 0), "{call} {with}");
            }
        }
    }
}

#[test]
fn a_load_that_cannot_look_or_read_is_an_error_that_names_the_file() {
    for with in ERRNOS {
        for (on, act) in [("kind", "look at"), ("length", "read"), ("read_at", "read")] {
            let (disk, mut store) = with_saves(3);
            disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(with) });
            let LoadError::Io { act: a, path, source } = loaded(&mut store).unwrap_err() else {
                panic!("{on}");
            };
            assert_eq!((a, path.to_str(), errno(&source)), (act, Some(FILE), with));
        }
    }
}

#[test]
fn an_error_keeps_its_cause() {
    let (disk, mut store) = (CASES[1].prepared)();
    disk.put(FILE, b"not a slot file");
    let failed = save(&mut store, 4).unwrap_err();
    let SaveError::NotSaved { act: "replace", source, .. } = &failed else { panic!("{failed}") };
    assert_eq!(source.kind(), io::ErrorKind::InvalidData);
    assert!(chain(&failed).contains("not a slot file"), "{failed}");
    assert_eq!(disk.bytes(FILE).unwrap(), b"not a slot file");
}
