//! Damage to chains in a slot file.

use repl_checkpoint::{CorruptReason, OnCorrupt, RecoverErrorKind, Source, UnsealError};

use super::{
    SECTOR, file, first, found_in, records, slot_at, slot_size, try_recovered, with_deltas,
};
use crate::support::deltas::{delta_on, link};
use crate::support::format::{CLOSING, DELTA, HEADER};

/// Slot 0 holds 2 and 4, slot 1 holds 1, and slot 2 holds 1, 3 and 5.
fn full() -> Vec<u8> {
    file(&with_deltas(5).0)
}

/// The end of the record at an offset.
fn end(file: &[u8], at: usize) -> usize {
    let rest = &file[at..];
    let header = if rest.starts_with(b"repl-checkpoint delta") { DELTA } else { HEADER };
    let text = std::str::from_utf8(&rest[..header]).unwrap();
    let (_, length) = text.split_once(" length=").unwrap();
    at + header + length[..20].parse::<usize>().unwrap()
}

/// Whether a byte of a slot belongs to the payload of a record, and the last generation that its
/// slot has up to the record that it damages.
fn hit(file: &[u8], slot: usize, at: usize) -> (bool, u64) {
    let mut before = 0;
    for (generation, start) in records(file, slot) {
        let end = end(file, start);
        if at < end + CLOSING {
            let header = if start == slot_at(file, slot) { HEADER } else { DELTA };
            return ((start + header..end).contains(&at), before);
        }
        before = generation;
    }
    (false, before)
}

#[test]
fn every_damaged_byte_of_a_slot_is_reported_unless_it_is_a_payload_that_is_not_read() {
    let whole = full();
    let size = slot_size(&whole);
    for slot in 0..3 {
        let range = slot_at(&whole, slot)..slot_at(&whole, slot) + size;
        let spread = range.clone().filter(|at| at % 3 == 0 || at % SECTOR < 2);
        for at in spread {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let (is_payload, before) = hit(&whole, slot, at);
            // Of the newest slot, the one before is newer than what is left.
            let generation = if slot == 2 && before < 5 { 4 } else { 5 };
            let is_read = slot == 2 || !is_payload;
            let found = found_in(&bytes, OnCorrupt::Fail);
            assert_eq!(found, (generation, usize::from(is_read)), "byte {at} of slot {slot}");
        }
    }
}

#[test]
fn a_zeroed_record_is_damage_and_what_is_behind_it_is_not_applied() {
    let whole = full();
    let [(_, _), (_, third), (_, fifth)] = records(&whole, 2)[..] else { panic!() };
    for at in [third, fifth] {
        let mut bytes = whole.clone();
        bytes[at..at + SECTOR].fill(0);
        assert_eq!(found_in(&bytes, OnCorrupt::Fail), (4, 1));
        // Without the other chain, the part before it counts.
        bytes[slot_at(&whole, 0)..slot_at(&whole, 1)].fill(0);
        let expected = if at == third { 1 } else { 3 };
        assert_eq!(found_in(&bytes, OnCorrupt::FallBack), (expected, 2));
    }
}

#[test]
fn a_lost_delta_leaves_an_older_chain_that_is_whole() {
    let mut bytes = full();
    let at = records(&bytes, 2)[2].1;
    bytes[at..at + SECTOR].fill(0xff);
    // No reader can tell.
    assert_eq!(found_in(&bytes, OnCorrupt::Fail), (4, 0));
}

#[test]
fn a_record_of_another_chain_does_not_link() {
    let whole = full();
    let [.., (_, third), (_, fifth)] = records(&whole, 2)[..] else { panic!() };
    let fourth = records(&whole, 0)[1].1;
    let other = delta_on((3, link(&whole[third..]) ^ 1), 5, &first(5), &[]);
    let other_base = delta_on((2, link(&whole[third..])), 5, &first(5), &[]);
    for record in [&other, &other_base, &whole[fourth..fourth + SECTOR].to_vec()] {
        let mut bytes = whole.clone();
        bytes[fifth..fifth + SECTOR].fill(0xff);
        bytes[fifth..fifth + record.len()].copy_from_slice(record);
        assert_eq!(found_in(&bytes, OnCorrupt::Fail), (4, 1));
        // Behind a whole chain it does no harm.
        let mut bytes = whole.clone();
        bytes[fifth + SECTOR..fifth + SECTOR + record.len()].copy_from_slice(record);
        let found = try_recovered(&bytes, OnCorrupt::Fail).unwrap();
        let Source::FellBack { generation: 5, damaged } = &found.report.source else { panic!() };
        let at = fifth + SECTOR - slot_at(&whole, 2);
        assert!(
            matches!(&damaged[..], [one] if matches!(one.reason, CorruptReason::Unseal(UnsealError::Rest { at: found }) if found == at as u64))
        );
    }
}

#[test]
fn a_record_between_two_sectors_is_not_found() {
    let whole = full();
    let at = records(&whole, 2)[2].1;
    let record = whole[at..end(&whole, at)].to_vec();
    for step in [1, 256, 511] {
        let mut bytes = whole.clone();
        bytes[at..at + SECTOR].fill(0xff);
        bytes[at + step..at + step + record.len()].copy_from_slice(&record);
        assert_eq!(found_in(&bytes, OnCorrupt::Fail), (4, 1));
    }
}

/// One torn slot is at most what a crash leaves.
#[test]
fn damage_to_both_newest_slots_is_the_callers_choice() {
    let whole = full();
    let payload = |slot: usize, record: usize| records(&whole, slot)[record].1 + DELTA;
    let mut bytes = whole.clone();
    bytes[payload(2, 2)] ^= 1;
    bytes[payload(0, 1)] ^= 1;
    let error = try_recovered(&bytes, OnCorrupt::Fail).unwrap_err();
    let RecoverErrorKind::Corrupt { older: Some((3, _)), .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(found_in(&bytes, OnCorrupt::FallBack), (3, 2));
    // A slot that is torn in its payload and behind it counts once.
    let mut bytes = whole.clone();
    bytes[payload(2, 2)] ^= 1;
    bytes[slot_at(&whole, 2) + slot_size(&whole) - 1] = 0;
    assert_eq!(found_in(&bytes, OnCorrupt::Fail), (4, 1));
}

#[test]
fn of_equal_chains_another_is_taken_where_one_is_damaged() {
    let whole = file(&with_deltas(1).0);
    let mut bytes = whole.clone();
    for (slots, damaged) in [(2, 1), (1, 2)] {
        bytes[slot_at(&whole, slots) + HEADER] ^= 1;
        assert_eq!(found_in(&bytes, OnCorrupt::FallBack), (1, damaged));
    }
}
