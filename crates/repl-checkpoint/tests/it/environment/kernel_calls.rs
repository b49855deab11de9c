//! The kernel sees the calls of the save protocol, and no others.

use repl_checkpoint::{FileStore, SlotStore};

use super::trace::{Call, Traced};
use crate::support::AnyStore;

/// The calls of one save.
fn seen<S: AnyStore>(before: usize) -> Option<Vec<String>> {
    let calls = Traced::calls::<S>(before)?;
    assert!(calls.iter().all(|call| !call.line.contains("= -1")));
    Some(calls.iter().map(Call::shown).collect())
}

#[test]
fn the_kernel_sees_the_file_synced_then_renamed_then_the_directory_synced() {
    let Some(seen) = seen::<FileStore>(2) else { return };
    let expected = [
        "openat temp",
        "write temp",
        "fsync temp",
        "rename temp",
        "fsync directory",
        "close checkpoint",
        "unlink checkpoint",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn the_kernel_sees_one_write_and_one_data_sync_of_a_save_in_place() {
    let Some(seen) = seen::<SlotStore>(1) else { return };
    assert_eq!(seen, ["pwrite64 slots", "fdatasync slots"]);
}

/// Since Linux 6.13 a write after a look at the times of a file logs its inode, and the sync of the
/// data takes half as long again.
#[test]
fn a_save_in_place_looks_at_three_places_and_asks_for_no_times() {
    let Some(looks) = Traced::looks::<SlotStore>(1) else { return };
    let lines: Vec<&str> = looks.iter().map(|call| call.line.as_str()).collect();
    let at = ["/marks\"", "\"repl-checkpoint.lock\"", "\"marks.slots\""];
    assert_eq!(lines.len(), at.len(), "{lines:#?}");
    for (line, at) in lines.into_iter().zip(at) {
        assert!(line.contains(at) && line.contains(", STATX_INO, {"), "{line}");
    }
}

/// The first save of a process.
#[test]
fn the_kernel_sees_a_slot_file_replaced_as_a_checkpoint_file_is() {
    let Some(seen) = seen::<SlotStore>(0) else { return };
    let read = ["openat slots", "close slots"];
    let expected = [
        // The first page, the headers of three slots, and the two checkpoints that are kept.
        &read.repeat(6)[..],
        &["openat marker", "write marker", "close marker", "rename marker"],
        &["openat temp"],
        &read.repeat(2),
        &["write temp", "fsync temp", "rename temp", "fsync directory"],
    ];
    assert_eq!(seen, expected.concat());
}
