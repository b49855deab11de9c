//! Every call of a save by a real process fails in every way, or is its last call.
//!
//! strace injects the fault into the n-th call of its kind. A run without a fault finds that
//! number.

use repl_checkpoint::{FileStore, OnCorrupt, SlotStore};

use super::temps;
use super::trace::{Call, Traced};
use crate::support::follower::Follower;
use crate::support::{AnyStore, opened};

/// A call of the traced save, its fault, the answers for that save and the next one (until the
/// process dies), and what the next process finds.
///
/// `THIS`, `NEXT` and `OLDER` are generations, `TEMP` is the temporary file.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str);

/// Sync the file, rename it, sync the directory, remove older files.
const FILES: &[Row] = &[
    ("openat temp", "error=ENOSPC", &["not saved: create TEMP: ENOSPC", "saved NEXT"], NEXT),
    ("openat temp", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    ("openat temp", KILL, &[], OLDER),
    ("write temp", "error=ENOSPC", &["not saved: write TEMP: ENOSPC", "saved NEXT"], NEXT),
    ("write temp", "error=EIO", &["not saved: write TEMP: EIO", "saved NEXT"], NEXT),
    ("write temp", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    ("write temp", "retval=0", &["not saved: write TEMP: WriteZero", "saved NEXT"], NEXT),
    ("write temp", KILL, &[], OLDER),
    // The kernel takes nothing and returns a length: the file lacks its first bytes.
    ("write temp", "retval=1", &["saved THIS"], "corrupt, OLDER is whole"),
    ("write temp", "retval=7", &["saved THIS"], "corrupt, OLDER is whole"),
    ("write temp", "retval=200", &["saved THIS"], "corrupt, OLDER is whole"),
    ("fsync temp", "error=EIO", &["not saved: sync TEMP: EIO", "saved NEXT"], NEXT),
    ("fsync temp", "error=ENOSPC", &["not saved: sync TEMP: ENOSPC", "saved NEXT"], NEXT),
    ("fsync temp", "error=EDQUOT", &["not saved: sync TEMP: EDQUOT", "saved NEXT"], NEXT),
    ("fsync temp", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    ("fsync temp", KILL, &[], OLDER),
    // The kernel frees the descriptor even if a close fails, and the file was synced before.
    ("close checkpoint", "error=EIO", &["saved THIS", "saved NEXT"], NEXT),
    ("close checkpoint", KILL, &[], THIS),
    ("rename temp", "error=EIO", &[RENAME_IN_DOUBT, "poisoned"], OLDER),
    (
        "rename temp",
        "error=ENOSPC",
        &["in doubt: rename a new checkpoint to FILE: ENOSPC", "poisoned"],
        OLDER,
    ),
    ("rename temp", KILL, &[], OLDER),
    ("fsync directory", "error=EIO", &[SYNC_IN_DOUBT, "poisoned"], THIS),
    (
        "fsync directory",
        "error=ENOSPC",
        &["in doubt: sync the directory marks: ENOSPC", "poisoned"],
        THIS,
    ),
    ("fsync directory", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    ("fsync directory", KILL, &[], THIS),
    ("unlink checkpoint", "error=EIO", &["saved THIS", "saved NEXT"], NEXT),
    ("unlink checkpoint", KILL, &[], THIS),
];

const KILL: &str = "signal=SIGKILL";
const OLDER: &str = "resumed at OLDER";
const THIS: &str = "resumed at THIS";
const NEXT: &str = "resumed at NEXT";
const RENAME_IN_DOUBT: &str = "in doubt: rename a new checkpoint to FILE: EIO";
const SYNC_IN_DOUBT: &str = "in doubt: sync the directory marks: EIO";

/// A write and a data sync. From the write on a failure is in doubt.
const IN_PLACE: &[Row] = &[
    ("pwrite64 slots", "error=EIO", &["in doubt: write a slot of FILE: EIO", "poisoned"], OLDER),
    (
        "pwrite64 slots",
        "error=ENOSPC",
        &["in doubt: write a slot of FILE: ENOSPC", "poisoned"],
        OLDER,
    ),
    ("pwrite64 slots", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    (
        "pwrite64 slots",
        "retval=0",
        &["in doubt: write a slot of FILE: WriteZero", "poisoned"],
        OLDER,
    ),
    ("pwrite64 slots", KILL, &[], OLDER),
    // A lost write. The first bytes are the same in every checkpoint.
    ("pwrite64 slots", "retval=7", &["saved THIS"], THIS),
    // The header is that of another checkpoint in part, and then all of it.
    ("pwrite64 slots", "retval=150", &["saved THIS"], "fell back to OLDER from 1"),
    ("pwrite64 slots", "retval=200", &["saved THIS"], "fell back to OLDER from 1"),
    // All of it is lost: the old slot is whole, and no checksum shows that it is old. The floor is
    // not above its mark.
    ("pwrite64 slots", "retval=4096", &["saved THIS"], OLDER),
    ("fdatasync slots", "error=EIO", &["in doubt: sync FILE: EIO", "poisoned"], THIS),
    ("fdatasync slots", "error=ENOSPC", &["in doubt: sync FILE: ENOSPC", "poisoned"], THIS),
    ("fdatasync slots", "error=EDQUOT", &["in doubt: sync FILE: EDQUOT", "poisoned"], THIS),
    ("fdatasync slots", "error=EINTR", &["saved THIS", "saved NEXT"], NEXT),
    ("fdatasync slots", KILL, &[], THIS),
];

/// The first save of a process replaces the file.
const NEW_FILE: &[Row] = &[
    ("openat slots", "error=EIO", &["not saved: read FILE: EIO", "saved NEXT"], NEXT),
    // The marker that was found stays.
    ("openat marker", "error=ENOSPC", &["saved THIS", "saved NEXT"], NEXT),
    ("openat marker", KILL, &[], OLDER),
    ("write marker", "error=ENOSPC", &["saved THIS", "saved NEXT"], NEXT),
    ("rename marker", "error=EIO", &["saved THIS", "saved NEXT"], NEXT),
    ("rename marker", KILL, &[], OLDER),
    ("openat temp", "error=ENOSPC", &["not saved: create TEMP: ENOSPC", "saved NEXT"], NEXT),
    ("openat temp", KILL, &[], OLDER),
    ("write temp", "error=ENOSPC", &["not saved: write TEMP: ENOSPC", "saved NEXT"], NEXT),
    ("write temp", KILL, &[], OLDER),
    // The file lacks its first page, so no checkpoint is found to fall back to.
    ("write temp", "retval=4096", &["saved THIS"], "refused: NothingWhole"),
    ("fsync temp", "error=EIO", &["not saved: sync TEMP: EIO", "saved NEXT"], NEXT),
    ("fsync temp", KILL, &[], OLDER),
    ("rename temp", "error=EIO", &[RENAME_IN_DOUBT, "poisoned"], OLDER),
    ("rename temp", KILL, &[], OLDER),
    ("fsync directory", "error=EIO", &[SYNC_IN_DOUBT, "poisoned"], THIS),
    ("fsync directory", KILL, &[], THIS),
];

fn every<S: AnyStore>(before: usize, rows: &[Row]) {
    let Some(calls) = Traced::calls::<S>(before) else { return };
    for call in &calls {
        let shown = call.shown();
        assert!(
            rows.iter().any(|row| row.0 == shown) || shown.starts_with("close "),
            "no row for {shown}"
        );
    }
    for row in rows {
        let call = calls.iter().find(|call| call.shown() == row.0);
        one::<S>(before, call.unwrap_or_else(|| panic!("no call {}", row.0)), row);
    }
}

fn one<S: AnyStore>(before: usize, call: &Call, row: &Row) {
    let (_, fault, said, next) = row;
    let Some(traced) = Traced::new::<S>(before) else { return };
    let generation = traced.generation();
    let file = match S::NAME {
        FileStore::NAME => format!("{generation:020}.checkpoint"),
        _ => "marks.slots".to_owned(),
    };
    let in_full = |text: &str| {
        text.replace("TEMP", &format!("{file}.temp"))
            .replace("FILE", &file)
            .replace("THIS", &generation.to_string())
            .replace("NEXT", &(generation + 1).to_string())
            .replace("OLDER", &(generation - 1).to_string())
    };
    let fault = format!("{}:{fault}:when={}", call.name, call.nth);
    let saves = said.len().max(1);
    let ran = traced.run::<S>(saves, Some(&fault));
    let expected: Vec<_> = said.iter().map(|text| in_full(text)).collect();
    assert_eq!(ran.said, expected, "{row:?}");
    let hit = ran.log.lines().find(|line| line.contains("(INJECTED)"));
    if fault.contains("signal=") {
        let last = ran.log.lines().rfind(|line| line.contains('('));
        assert!(last.is_some_and(|last| last.contains(&call.name)), "{row:?}\n{}", ran.log);
        assert!(ran.log.contains("killed by SIGKILL"), "{row:?}\n{}", ran.log);
    } else {
        assert!(hit.is_some_and(|hit| hit.contains(&call.name)), "{row:?}\n{}", ran.log);
    }
    found::<S>(&traced, &in_full(next), row);
}

/// Checks what the next process finds, and that it can save.
fn found<S: AnyStore>(traced: &Traced, expected: &str, row: &Row) {
    let dir = traced.dir();
    let found = Follower::open::<S>(&dir);
    let origin = found.as_ref().map_or_else(String::clone, Follower::origin);
    assert_eq!(origin, expected, "{row:?}");
    assert_eq!(temps(&dir), 0, "{row:?}");
    let mut follower = match found {
        Ok(follower) => follower,
        Err(_) if expected.starts_with("corrupt") => {
            Follower::recovered(opened::<S>(&dir), OnCorrupt::FallBack).unwrap()
        }
        Err(_) => return,
    };
    let first_number = |text: &str| {
        let numbers = text.split(|c: char| !c.is_ascii_digit());
        numbers.flat_map(str::parse::<u64>).next()
    };
    assert_eq!(first_number(expected), Some(follower.mark() / 10), "{row:?}");
    assert!(follower.save(1000).starts_with("saved "), "{row:?}");
}

#[test]
fn a_save_of_files_survives_a_fault_in_each_of_its_calls() {
    every::<FileStore>(2, FILES);
}

#[test]
fn a_save_in_place_survives_a_fault_in_each_of_its_calls() {
    every::<SlotStore>(1, IN_PLACE);
}

#[test]
fn replacing_a_slot_file_survives_a_fault_in_each_of_its_calls() {
    every::<SlotStore>(0, NEW_FILE);
}
