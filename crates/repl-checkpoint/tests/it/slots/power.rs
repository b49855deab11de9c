//! A power cut during each call of a save: every written sector may be old or new.

use repl_checkpoint::{CheckpointStore, Save};

use super::{FILE, PAGE, Slots, file, found_on, opened, with_file};
use crate::protocol::EIO;
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::format::{CLOSING, HEADER};
use crate::support::{marks, sealed};

const SECTOR: usize = 512;

/// A checkpoint of about five sectors, all of which differ from generation to generation.
fn bytes_of(generation: u64) -> Vec<u8> {
    let all: Vec<_> = (1..=90).map(|id| (id, generation * 10)).collect();
    sealed(generation, &marks(&all))
}

fn save(store: &mut Slots, generation: u64) {
    let bytes = bytes_of(generation);
    store.save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None }).unwrap();
}

/// Every mix of two files: each sector that differs is old or new.
fn images(old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(old.len(), new.len());
    let differs = |at: &usize| old[*at..*at + SECTOR] != new[*at..*at + SECTOR];
    let sectors: Vec<usize> = (0..old.len()).step_by(SECTOR).filter(differs).collect();
    assert!(sectors.len() < 12, "{}", sectors.len());
    let image = |chosen: u32| {
        let mut bytes = old.to_vec();
        for (i, at) in sectors.iter().enumerate().filter(|(i, _)| chosen & (1 << i) != 0) {
            let _ = i;
            bytes[*at..*at + SECTOR].copy_from_slice(&new[*at..*at + SECTOR]);
        }
        bytes
    };
    (0..1 << sectors.len()).map(image).collect()
}

/// The length of the checkpoint in a slot, by its header.
fn length(slot: &[u8]) -> usize {
    let header = std::str::from_utf8(&slot[..HEADER]).unwrap();
    let (_, length) = header.split_once(" length=").unwrap();
    HEADER + length[..20].parse::<usize>().unwrap()
}

/// The header of a checkpoint of this length, and the closing checksum.
fn ends(slot: &[u8]) -> [&[u8]; 2] {
    [&slot[..HEADER], &slot[length(slot)..][..CLOSING]]
}

#[test]
fn a_power_cut_in_the_middle_of_a_save_leaves_the_older_checkpoint_or_the_new_one() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    save(&mut store, 1);
    for next in 2..=7 {
        let before = file(&disk);
        save(&mut store, next);
        let after = file(&disk);
        let slot = (0..after.len()).find(|at| before[*at] != after[*at]).unwrap() / PAGE * PAGE;
        let images = images(&before, &after);
        assert!(images.len() >= 16, "{}", images.len());
        // Both are at the same place, so that either may be of the other write.
        assert_eq!(length(&before[slot..]), length(&after[slot..]));
        let mut old = 0;
        for (i, image) in images.iter().enumerate() {
            let what = format!("image {i} of {next}");
            let whole = *image == after;
            // With the header and the closing checksum that it had before, the slot is that of an
            // older checkpoint: its payload is not read.
            let older = ends(&image[slot..]) == ends(&before[slot..]);
            old += usize::from(older && *image != before);
            let damaged = usize::from(!whole && !older);
            assert_eq!(found_on(&with_file(image)), (next - u64::from(!whole), damaged), "{what}");
        }
        // The first and the last sector are old, and another one is new.
        assert_eq!(old, images.len() / 4 - 1);
    }
}

/// A process dies before its sync, so its save is in the cache alone. The next process continues
/// from that, and then the power fails: it must not have overwritten what the disk still needs.
#[test]
fn a_power_cut_after_a_process_that_died_before_its_sync_leaves_one_damaged_slot_at_most() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    (1..=4).for_each(|generation| save(&mut store, generation));
    let synced = file(&disk);
    save(&mut store, 5);
    let cached = file(&disk);
    let next = with_file(&cached);
    let mut later = opened(&next).unwrap();
    next.arm(None);
    save(&mut later, 6);
    // It wrote nothing to the file that it found, so the cut may leave any mix of that.
    assert!(!next.calls().iter().any(|call| call.starts_with("write_at")));
    for image in images(&synced, &cached) {
        let (found, damaged) = found_on(&with_file(&image));
        assert!(found >= 4 && damaged <= 1);
    }
    // Its own file is synced whole before the rename; later saves write one slot at a time.
    let before = file(&next);
    save(&mut later, 7);
    for image in images(&before, &file(&next)) {
        let (found, damaged) = found_on(&with_file(&image));
        assert!(found >= 6 && damaged <= 1);
    }
}

/// Nothing reaches the disk before the sync, and everything after it.
#[test]
fn a_power_cut_at_each_call_of_outgrowing_leaves_the_old_file_or_the_new_one() {
    let outgrown = sealed(4, &marks(&(1..=300).map(|id| (id, 40)).collect::<Vec<_>>()));
    for stop in 0..8 {
        let disk = Faulty::new();
        let mut store = opened(&disk).unwrap();
        (1..=3).for_each(|generation| save(&mut store, generation));
        let old = file(&disk);
        disk.arm(Fault { on: "", after: stop, times: usize::MAX, how: How::Errno(EIO) });
        let saved = store.save(Save { generation: 4, confirmed: 3, bytes: &outgrown, base: None });
        drop(store);
        assert_eq!(saved.is_ok(), stop >= disk.calls().len());
        let (now, renamed) = (file(&disk), file(&disk).len() > old.len());
        assert_eq!(found_on(&disk), (3 + u64::from(renamed), 0), "after call {stop}");
        // The directory is not synced: until the save is acknowledged, the old file may be found.
        assert!(renamed || now == old);
        assert_eq!(found_on(&with_file(&old)), (3, 0));
    }
}

#[test]
fn a_leftover_temporary_file_of_any_length_blocks_no_save() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    save(&mut store, 1);
    drop(store);
    let whole = file(&disk);
    for length in [0, 1, HEADER, PAGE, whole.len()] {
        disk.put(&format!("{FILE}.temp-1-0"), &whole[..length]);
        assert_eq!(found_on(&disk), (1, 0));
        assert_eq!(disk.paths(), [FILE]);
    }
}
