//! Damage to a slot file is reported and never gives wrong marks.

use repl_checkpoint::{
    CorruptReason, Generation, OnCorrupt, RecoverErrorKind, Source, UnsealError,
};

use super::{
    FILE, PAGE, after_saves, file, found, found_on, mark, opened, recovered, save, try_recovered,
    with_file,
};
use crate::protocol::bytes_of;
use crate::support::format::{CLOSING, HEADER, closed, used};
use crate::support::{marks, sealed};

/// Generations 4, 5 and 6 in slots 2, 0 and 1.
fn full() -> Vec<u8> {
    file(&after_saves(6))
}

fn slot(number: usize) -> std::ops::Range<usize> {
    PAGE * (number + 1)..PAGE * (number + 2)
}

/// The expected recovery after damage to the byte at this offset.
fn expected(offset: usize) -> (u64, usize) {
    let is_payload = || {
        let (whole, at) = (full(), offset % PAGE);
        at >= HEADER && at < used(&whole[slot(offset / PAGE - 1)]).len()
    };
    match offset / PAGE {
        2 if offset % PAGE < used(&full()[slot(1)]).len() + CLOSING => (5, 1),
        // The payload of an older one is not read.
        1 | 3 if is_payload() => (6, 0),
        // What is behind the newest does it no harm.
        _ => (6, 1),
    }
}

#[test]
fn every_flipped_bit_of_a_slot_file_is_detected() {
    let whole = full();
    let unused = |at: usize| if at < PAGE { 0 } else { 0xff };
    let written = (0..whole.len()).filter(|at| whole[*at] != unused(*at));
    for at in written {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(found_on(&with_file(&bytes)), expected(at), "bit {bit} of byte {at}");
        }
    }
}

/// Every 11th offset, and all near the beginning or the end of a slot.
fn spread(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(|at| at % 11 == 0 || (at + 300) % PAGE < 600)
}

#[test]
fn every_unused_byte_is_checked() {
    let whole = full();
    let unused = |at: usize| if at < PAGE { 0 } else { 0xff };
    for at in spread(whole.len()).filter(|at| whole[*at] == unused(*at)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(found_on(&with_file(&bytes)), expected(at), "byte {at}");
    }
}

#[test]
fn no_truncated_or_extended_file_is_read_as_another() {
    let whole = full();
    let longer = (1..=3 * PAGE).filter(|more| *more < 9 || more % PAGE < 2).map(|more| {
        let mut bytes = whole.clone();
        bytes.resize(whole.len() + more, 0);
        bytes
    });
    let shorter = spread(whole.len()).map(|length| whole[..length].to_vec());
    for bytes in shorter.chain(longer) {
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let disk = with_file(&bytes);
            let error = try_recovered(&disk, on_corrupt).unwrap_err();
            assert!(
                matches!(error.kind(), RecoverErrorKind::Load(_)),
                "{} bytes: {error}",
                bytes.len()
            );
            assert!(error.to_string().contains(FILE), "{error}");
            assert_eq!(file(&disk), bytes);
        }
    }
}

#[test]
fn a_slot_of_zeros_is_damage_even_in_a_file_of_one_save() {
    for newest in 1..=6 {
        let whole = file(&after_saves(newest));
        for number in 0..3 {
            let mut bytes = whole.clone();
            bytes[slot(number)].fill(0);
            let (generation, damaged) = found_on(&with_file(&bytes));
            assert!(generation == newest || (generation == newest - 1 && damaged == 1));
        }
    }
}

#[test]
fn slots_that_are_all_damaged_are_an_error_and_never_an_empty_state() {
    let whole = full();
    let zeros: fn(&mut [u8]) = |slot| slot.fill(0);
    let flips: fn(&mut [u8]) = |slot| slot[200] ^= 1;
    for damage in [zeros, flips] {
        let mut bytes = whole.clone();
        (0..3).for_each(|number| damage(&mut bytes[slot(number)]));
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let disk = with_file(&bytes);
            let error = try_recovered(&disk, on_corrupt).unwrap_err();
            assert!(
                matches!(error.kind(), RecoverErrorKind::Corrupt { older: None, .. }),
                "{error}"
            );
            drop(error);
            // A save without a recovery does not reset it either.
            save(&mut opened(&disk).unwrap(), 7).unwrap_err();
            assert_eq!(file(&disk), bytes);
        }
    }
}

#[test]
fn a_file_of_zeros_is_an_error_and_never_an_empty_state() {
    let disk = with_file(&[0; 4 * PAGE]);
    let error = try_recovered(&disk, OnCorrupt::FallBack).unwrap_err();
    assert!(matches!(error.kind(), RecoverErrorKind::Load(_)), "{error}");
}

/// One may be a torn write. Of two, one was acknowledged, and a floor may rest on it.
#[test]
fn two_damaged_slots_above_the_newest_whole_one_are_the_callers_choice() {
    let mut bytes = full();
    bytes[slot(0)][200] ^= 1;
    bytes[slot(1)].fill(0);
    let disk = with_file(&bytes);
    let error = try_recovered(&disk, OnCorrupt::Fail).unwrap_err();
    let RecoverErrorKind::Corrupt { newest, older: Some((4, path)) } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(path.to_str(), Some(FILE));
    assert!(matches!(newest.reason, CorruptReason::Unseal(UnsealError::Empty)), "{error}");
    drop(error);
    let fallen_back = try_recovered(&disk, OnCorrupt::FallBack).unwrap();
    assert_eq!(found(&fallen_back), (4, 2));
}

#[test]
fn falling_back_reports_the_file_and_the_reason_and_changes_nothing() {
    let mut bytes = full();
    bytes[slot(1)][200] ^= 1;
    let disk = with_file(&bytes);
    let Source::FellBack { generation: 5, damaged } = recovered(&disk).report.source else {
        panic!("not fallen back");
    };
    assert_eq!(damaged[0].path.to_str(), Some(FILE));
    assert!(matches!(damaged[0].reason, CorruptReason::Unseal(UnsealError::Checksum { .. })));
    assert_eq!(file(&disk), bytes);
}

#[test]
fn generation_numbers_go_on_above_a_damaged_slot() {
    let mut bytes = full();
    bytes[slot(1)][200] ^= 1;
    let mut follower = recovered(&with_file(&bytes));
    assert_eq!(crate::support::save(&mut follower.checkpointer), 7);
}

#[test]
fn the_save_after_a_fall_back_keeps_every_whole_checkpoint() {
    let mut bytes = full();
    bytes[slot(1)][200] ^= 1;
    let disk = with_file(&bytes);
    let mut store = opened(&disk).unwrap();
    save(&mut store, 7).unwrap();
    assert_eq!(super::slots(&file(&disk)), [Some(4), Some(5), Some(7)]);
    drop(store);
    assert_eq!(found_on(&disk), (7, 0));
}

#[test]
fn a_damaged_first_page_is_reported_and_replaced_by_the_next_save() {
    let mut bytes = full();
    bytes[30] ^= 1;
    let disk = with_file(&bytes);
    assert_eq!(found_on(&disk), (6, 1));
    let mut store = opened(&disk).unwrap();
    save(&mut store, 7).unwrap();
    drop(store);
    assert_eq!(found_on(&disk), (7, 0));
    assert_eq!(super::slots(&file(&disk)), [Some(5), Some(6), Some(7)]);
}

#[test]
fn an_older_checkpoint_put_back_is_never_taken_for_the_newest() {
    let mut bytes = full();
    let old = closed(&bytes_of(2));
    bytes[slot(1)].fill(0xff);
    bytes[slot(1)][..old.len()].copy_from_slice(&old);
    assert_eq!(found_on(&with_file(&bytes)), (5, 0));
}

/// No store writes such a file; the format says which slot counts.
#[test]
fn of_two_checkpoints_of_one_generation_the_one_in_the_last_slot_counts() {
    let mut bytes = full();
    for (at, mark) in [(1, 61), (2, 62)] {
        let envelope = closed(&sealed(6, &marks(&[(1, mark)])));
        let range = slot(at);
        bytes[range.clone()].fill(0xff);
        bytes[range][..envelope.len()].copy_from_slice(&envelope);
    }
    assert_eq!(mark(&recovered(&with_file(&bytes))), 62);
}

/// A sealed checkpoint that is as long as a page.
fn of_a_page(generation: Generation) -> Vec<u8> {
    let of = |count: u64, zeros: u32| {
        let zeros = |shard| match shard {
            0 => zeros.min(18),
            1 => zeros.saturating_sub(18),
            _ => 0,
        };
        let all: Vec<_> = (0..count).map(|i| (1000 + i, 10_u64.pow(zeros(i)))).collect();
        sealed(generation, &marks(&all))
    };
    let count = (2..1000).find(|count| of(count + 1, 0).len() > PAGE).unwrap();
    (0..36).map(|zeros| of(count, zeros)).find(|bytes| bytes.len() == PAGE).unwrap()
}

#[test]
fn a_checkpoint_that_leaves_no_room_for_its_closing_checksum_is_damage() {
    let mut bytes = full();
    bytes[slot(2)].copy_from_slice(&of_a_page(7));
    assert_eq!(found_on(&with_file(&bytes)), (6, 1));
}
