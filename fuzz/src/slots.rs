//! The file of a `SlotStore`, valid or corrupt as the fuzzer chooses.

use std::path::Path;

use repl_checkpoint::{Checkpoint, Codec, Disk, JsonCodec, OnCorrupt, StoreId, UnsealError};
use repl_harness::crash::SimDisk;

use crate::choices::Choices;
use crate::expected::{Holds, Outcome, expected};
use crate::follower::{DIR, Setup};
use crate::format::{PAGE, first_page, generation_in, length_in};
use crate::planted::{STORE, codec, planted};

const SLOTS: usize = 3;

/// Creates a slot file, recovers, saves, and recovers again.
pub fn slots(data: &[u8]) {
    let c = &mut Choices::of(data);
    let on_corrupt = if c.rarely(2) { OnCorrupt::FallBack } else { OnCorrupt::Fail };
    let setup = Setup { in_slots: true, codec: codec(c), on_corrupt };
    let file = file(c, &*setup.codec);
    let (expected, highest) = found_in(&file, &*setup.codec, on_corrupt);
    let disk = SimDisk::new();
    let dir = Path::new(DIR);
    disk.create_dir(dir).unwrap();
    disk.put(&dir.join("marks.slots"), &file).unwrap();
    if c.rarely(8) {
        let temp = format!("marks.slots.temp-{}-{}", c.byte(), c.byte());
        disk.put(&dir.join(temp), c.bytes()).unwrap();
    }
    setup.run(&disk, &expected, highest);
}

/// Mostly a first page and three slots with rising generations.
fn file(c: &mut Choices<'_>, codec: &dyn Codec) -> Vec<u8> {
    let size = (1 + c.below(2)) * PAGE;
    let mut file = match c.below(12) {
        9 => first_page(2, STORE, size),
        10 => first_page(1, StoreId(1), size),
        11 => first_page(1, STORE, c.place(4 * PAGE)),
        _ => first_page(1, STORE, size),
    };
    let newest = if c.rarely(16) { c.number() } else { 9 };
    let rotation = c.below(SLOTS);
    for slot in 0..SLOTS {
        let age = (rotation + SLOTS - slot) % SLOTS;
        let generation = newest.saturating_sub(if c.rarely(8) { 0 } else { age as u64 });
        let mut bytes = planted(c, codec, generation).bytes;
        bytes.resize(size, 0);
        if c.rarely(8) {
            let at = c.place(size);
            bytes[at] ^= c.byte();
        }
        file.extend_from_slice(&bytes);
    }
    match c.below(16) {
        11 => file.truncate(c.place(file.len())),
        12 => file.resize(file.len() + c.place(2 * PAGE), 0),
        13 => file.resize(PAGE + SLOTS * (size + PAGE), 0),
        14 | 15 => {
            let at = c.place(PAGE);
            file[at] ^= c.byte();
        }
        _ => {}
    }
    file
}

/// The expected result of a recovery, and the highest generation in the file.
fn found_in(file: &[u8], codec: &dyn Codec, on_corrupt: OnCorrupt) -> (Outcome, u64) {
    let not_loaded = (Outcome::NotLoaded, 0);
    let (size, page_is_whole) = match page(file) {
        Page::Whole(size) => (size, true),
        Page::Foreign => return not_loaded,
        Page::Corrupt => (file.len().saturating_sub(PAGE) / SLOTS, false),
    };
    let fits = size > 0 && size.is_multiple_of(PAGE) && file.len() == PAGE + SLOTS * size;
    if !fits {
        return not_loaded;
    }
    let slots: Vec<&[u8]> = file[PAGE..].chunks(size).map(envelope).collect();
    let whole: Vec<Option<u64>> = slots.iter().map(|slot| whole(slot)).collect();
    let newest = (0..SLOTS).filter(|i| whole[*i].is_some()).max_by_key(|i| (whole[*i], *i));
    let Some(newest) = newest else {
        let all = slots.iter().map(|slot| Holds::of(slot, codec));
        let foreign = all.into_iter().any(|holds| matches!(holds, Holds::Foreign));
        return match page_is_whole {
            false => not_loaded,
            true if foreign => (Outcome::Refused, 0),
            true => (Outcome::Corrupt, 0),
        };
    };
    let round = (1..SLOTS).map(|steps| (newest + steps) % SLOTS);
    let newer: Vec<usize> = round.take_while(|i| whole[*i].is_none()).collect();
    let mut rest: Vec<usize> = (0..SLOTS).filter(|i| whole[*i].is_some()).collect();
    rest.sort_by_key(|i| std::cmp::Reverse((whole[*i], *i)));
    rest.dedup_by_key(|i| whole[*i]);
    let below = (0..SLOTS).filter(|i| whole[*i].is_none() && !newer.contains(i));
    let order = newer.iter().rev().copied().chain(rest.iter().copied()).chain(below);
    let page = (!page_is_whole).then_some(Holds::Corrupt);
    let all = page.into_iter().chain(order.map(|i| Holds::of(slots[i], codec)));
    let highest = whole[newest].unwrap_or(0).saturating_add(newer.len() as u64);
    (expected(all, on_corrupt, 1), highest)
}

enum Page {
    Whole(usize),
    Corrupt,
    /// Of another version or store.
    Foreign,
}

fn page(file: &[u8]) -> Page {
    let page = &file[..file.len().min(PAGE)];
    let text = |range| page.get(range).and_then(|text| std::str::from_utf8(text).ok());
    let size = text(69..89).and_then(|size| size.parse().ok()).unwrap_or(0);
    let store = text(31..63).and_then(|store| u128::from_str_radix(store, 16).ok());
    let is = |page: &[u8], store| size > 0 && page == first_page(1, store, size);
    match store.map(StoreId) {
        Some(STORE) if is(page, STORE) && size.is_multiple_of(PAGE) => return Page::Whole(size),
        Some(store) if is(page, store) && size.is_multiple_of(PAGE) => return Page::Foreign,
        _ => {}
    }
    // A number other than 1 is another version, unless it is a single digit changed from 1.
    let version = page.strip_prefix(b"repl-checkpoint slots v");
    let version = version.and_then(|rest| rest.split(|b| *b == b' ').next()).unwrap_or_default();
    let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
    if !is_number || version == b"1" {
        return Page::Corrupt;
    }
    let mut as_version_1 = page.to_vec();
    as_version_1[23] = b'1';
    let changed = version.len() == 1 && store.is_some_and(|s| is(&as_version_1, StoreId(s)));
    if changed { Page::Corrupt } else { Page::Foreign }
}

/// The envelope in a slot that only zeros follow, or else the whole slot.
fn envelope(slot: &[u8]) -> &[u8] {
    let length = if slot[0] == 0 { Some(0) } else { length_in(slot) };
    let parts = length.and_then(|length| slot.split_at_checked(length));
    parts.filter(|(_, rest)| rest.iter().all(|b| *b == 0)).map_or(slot, |(envelope, _)| envelope)
}

/// The generation of an envelope that is not corrupt, whatever its codec, store and payload.
fn whole(envelope: &[u8]) -> Option<u64> {
    match Checkpoint::unseal(&JsonCodec, STORE, envelope) {
        Ok(_)
        | Err(
            UnsealError::OtherCodec { .. }
            | UnsealError::OtherStore { .. }
            | UnsealError::Payload(_)
            | UnsealError::Invalid(_),
        ) => generation_in(envelope),
        Err(_) => None,
    }
}
