//! Where saves go while there are deltas.

use repl_checkpoint::{CheckpointStore, DeltaBase, OnCorrupt, SaveError};

use super::{
    FILE, PAGE, SECTOR, all, file, first, found_in, layout, records, slot_at, slot_size,
    with_deltas,
};
use crate::protocol::{EIO, open_slots};
use crate::support::deltas::{link, save_delta, save_whole};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::format::CLOSING;
use crate::support::marks;

#[test]
fn the_first_two_saves_of_a_process_are_whole_and_deltas_alternate_between_two_slots() {
    let disk = Faulty::new();
    let mut store = open_slots(&disk).unwrap();
    let base = |store: &dyn CheckpointStore| store.delta_base().map(|base| base.generation);
    assert_eq!(base(&store), None);
    save_whole(&mut store, 1, &all(1)).unwrap();
    assert_eq!(base(&store), None);
    save_whole(&mut store, 2, &all(2)).unwrap();
    assert_eq!(layout(&disk), [vec![2], vec![1], vec![1]]);
    for (generation, expected) in [(3, 1), (4, 2), (5, 3), (6, 4)] {
        assert_eq!(base(&store), Some(expected));
        save_delta(&mut store, generation, &first(generation), &[]).unwrap();
        assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (generation, 0));
    }
    assert_eq!(layout(&disk), [vec![2, 4, 6], vec![1], vec![1, 3, 5]]);
    assert_eq!(base(&store), Some(5));
}

#[test]
fn a_whole_checkpoint_goes_over_the_slot_of_the_lowest_generation() {
    let (disk, mut store) = with_deltas(5);
    save_whole(&mut store, 6, &all(6)).unwrap();
    assert_eq!(layout(&disk), [vec![2, 4], vec![6], vec![1, 3, 5]]);
    assert_eq!(store.delta_base().unwrap().generation, 5);
    // T is the slot of 4, not the one after the newest.
    save_whole(&mut store, 7, &all(7)).unwrap();
    assert_eq!(layout(&disk), [vec![7], vec![6], vec![1, 3, 5]]);
    save_delta(&mut store, 8, &first(8), &[]).unwrap();
    assert_eq!(layout(&disk), [vec![7], vec![6, 8], vec![1, 3, 5]]);
    save_whole(&mut store, 9, &all(9)).unwrap();
    assert_eq!(layout(&disk), [vec![7], vec![6, 8], vec![9]]);
    // Nothing of the older chains is left behind it.
    assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (9, 0));
}

#[test]
fn a_delta_is_one_write_of_whole_sectors_and_one_data_sync_and_changes_no_other_byte() {
    let (disk, mut store) = with_deltas(4);
    let before = file(&disk);
    save_delta(&mut store, 5, &first(5), &[]).unwrap();
    let after = file(&disk);
    let at = records(&after, 2)[2].1;
    assert!(at.is_multiple_of(SECTOR));
    let calls = [
        &format!("write_at {at}+{SECTOR} of marks.slots.temp") as &str,
        &format!("begin_sync {at}+{SECTOR} of marks.slots.temp"),
        "dir_is_at /disk/marks",
        "lock_is_in repl-checkpoint.lock",
        "sync_data marks.slots.temp",
        "file_is_in marks.slots",
    ];
    assert_eq!(disk.calls(), calls);
    assert_eq!([&before[..at], &before[at + SECTOR..]], [&after[..at], &after[at + SECTOR..]]);
    let length = after[at..at + SECTOR].iter().rposition(|byte| *byte != 0xff).unwrap() + 1;
    assert!(length < SECTOR && before[at..at + SECTOR] == [0xff; SECTOR]);
}

#[test]
fn a_chain_takes_deltas_until_it_is_full_and_refuses_the_next_before_any_call() {
    let (disk, mut store) = with_deltas(2);
    let mut generation = 3;
    // More than one sector.
    let long = |generation| {
        marks(&[(1, generation * 10)].into_iter().chain((2..9).map(|i| (i, 7))).collect::<Vec<_>>())
    };
    let mut rooms = Vec::new();
    while let Some(DeltaBase { room, .. }) = store.delta_base() {
        assert!((room + CLOSING).is_multiple_of(SECTOR) && room <= slot_size(&file(&disk)));
        rooms.push(room);
        disk.arm(None);
        match save_delta(&mut store, generation, &long(generation), &[]) {
            Ok(()) => generation += 1,
            Err(error) => {
                assert!(matches!(error, SaveError::NotSaved { .. }), "{error}");
                assert_eq!(disk.calls(), [""; 0]);
                break;
            }
        }
        assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (generation - 1, 0));
    }
    assert!(rooms.len() > 4 && *rooms.last().unwrap() < 2 * SECTOR, "{rooms:?}");
    // Room for one of a sector, which fills it to the last byte.
    while store.delta_base().is_some() {
        save_delta(&mut store, generation, &first(generation), &[]).unwrap();
        assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (generation, 0));
        generation += 1;
    }
    save_whole(&mut store, generation, &all(generation)).unwrap();
    assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (generation, 0));
}

#[test]
fn a_delta_that_failed_in_place_is_in_doubt_and_poisons() {
    for on in ["write_at", "sync_data", "file_is_in"] {
        let (disk, mut store) = with_deltas(4);
        disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(EIO) });
        let failed = save_delta(&mut store, 5, &first(5), &[]).unwrap_err();
        assert!(matches!(failed, SaveError::InDoubt { .. }), "{failed}");
        assert_eq!(store.delta_base(), None);
        let refused = save_whole(&mut store, 6, &all(6)).unwrap_err();
        assert!(matches!(refused, SaveError::Poisoned { .. }), "{refused}");
        let (found, damaged) = found_in(&file(&disk), OnCorrupt::Fail);
        assert!((4..=5).contains(&found) && damaged == 0, "{on}");
    }
}

#[test]
fn a_short_write_of_a_delta_goes_on() {
    for how in [How::Short(1), How::Short(100), How::Short(511), How::Errno(4)] {
        let (disk, mut store) = with_deltas(4);
        disk.arm(Fault { on: "write_at", after: 0, times: 3, how });
        save_delta(&mut store, 5, &first(5), &[]).unwrap();
        assert_eq!(found_in(&file(&disk), OnCorrupt::Fail), (5, 0));
    }
}

#[test]
fn the_first_save_of_a_later_process_copies_two_chains_and_offers_neither_as_a_base() {
    let (disk, store) = with_deltas(5);
    drop(store);
    let before = file(&disk);
    let mut store = open_slots(&disk).unwrap();
    save_whole(&mut store, 6, &all(6)).unwrap();
    let after = file(&disk);
    assert_eq!(layout(&disk), [vec![2, 4], vec![1, 3, 5], vec![6]]);
    let slot = |file: &[u8], slot| file[slot_at(file, slot)..][..slot_size(file)].to_vec();
    assert_eq!(slot(&after, 0), slot(&before, 0));
    assert_eq!(slot(&after, 1), slot(&before, 2));
    assert_eq!(store.delta_base(), None);
    save_whole(&mut store, 7, &all(7)).unwrap();
    assert_eq!(layout(&disk), [vec![7], vec![1, 3, 5], vec![6]]);
    assert_eq!(store.delta_base().map(|base| base.generation), Some(6));
    assert_eq!(store.delta_base().unwrap().link, link(&slot(&file(&disk), 2)));
}

#[test]
fn a_new_file_gets_chains_without_their_torn_tails() {
    let (disk, mut store) = with_deltas(5);
    let before = file(&disk);
    save_delta(&mut store, 6, &first(6), &[]).unwrap();
    drop(store);
    // A torn header, a torn payload, and garbage behind the other chain.
    let at = records(&file(&disk), 0)[2].1;
    for torn in [at + 20, at + 300] {
        let mut bytes = file(&disk);
        bytes[torn..at + SECTOR].copy_from_slice(&before[torn..at + SECTOR]);
        let end = slot_at(&bytes, 2) + slot_size(&bytes) - 1;
        bytes[end] = 0;
        let torn = super::with_file(&bytes);
        let mut store = open_slots(&torn).unwrap();
        save_whole(&mut store, 7, &all(7)).unwrap();
        assert_eq!(layout(&torn), [vec![2, 4], vec![1, 3, 5], vec![7]]);
        assert_eq!(found_in(&file(&torn), OnCorrupt::Fail), (7, 0));
        assert_eq!(super::file(&torn)[..PAGE], before[..PAGE]);
    }
}

#[test]
fn a_checkpoint_that_outgrows_its_slot_moves_the_chains_to_a_new_file() {
    let (disk, mut store) = with_deltas(5);
    let large = marks(&(1..=2000).map(|id| (id, 60)).collect::<Vec<_>>());
    save_whole(&mut store, 6, &large).unwrap();
    assert_eq!(layout(&disk), [vec![2, 4], vec![1, 3, 5], vec![6]]);
    // What was copied is no base, though this process has saved it.
    assert_eq!(store.delta_base(), None);
    assert!(disk.bytes(FILE).unwrap().len() > 3 * 50_000);
}
