//! The file of a `SlotStore`, valid or corrupt as the fuzzer chooses.

use std::path::Path;

use repl_checkpoint::{Codec, Disk, OnCorrupt, StoreId};
use repl_harness::crash::SimDisk;

use crate::chains::{Link, holds, next_delta};
use crate::choices::Choices;
use crate::expected::{Holds, Outcome, expected};
use crate::follower::{DIR, Setup};
use crate::format::{ALIGN, PAGE, closing, crc_of, first_page};
use crate::peeked::check_peek;
use crate::planted::{STORE, codec, of_length, planted};
use crate::slot::{Slot, UNUSED};
use crate::sound::Sound;

const SLOTS: usize = 3;

/// Creates a slot file, peeks, recovers, saves, and recovers again.
pub fn slots(data: &[u8]) {
    let c = &mut Choices::of(data);
    let on_corrupt = if c.rarely(2) { OnCorrupt::FallBack } else { OnCorrupt::Fail };
    let saves = c.rarely(2);
    let setup = Setup { in_slots: true, codec: codec(c), on_corrupt, saves };
    let codec = &*setup.codec;
    let size = (1 + c.below(2)) * PAGE;
    let kind = c.below(4);
    let sound = (kind < 2).then(|| Sound::of(c, codec, size));
    let file = match &sound {
        Some(sound) if kind == 0 => sound.torn(c),
        Some(sound) => sound.damaged(c),
        None => file(c, codec, size),
    };
    let (expected, highest) = found_in(&file, codec, on_corrupt);
    if let Some(sound) = sound {
        sound.check(&file, &expected);
    }
    // A peek does not go on behind a damaged first page.
    if matches!(page(&file), Page::Whole(_)) {
        let found = found_in(&file, codec, OnCorrupt::FallBack).0;
        check_peek([("marks.slots", &*file)], &found);
    }
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
fn file(c: &mut Choices<'_>, codec: &dyn Codec, size: usize) -> Vec<u8> {
    let mut file = match c.below(12) {
        9 => first_page(3, STORE, size),
        10 => first_page(2, StoreId(1), size),
        11 => first_page(2, STORE, c.place(4 * PAGE)),
        _ => first_page(2, STORE, size),
    };
    let newest = if c.rarely(16) { c.number() } else { 9 };
    let rotation = c.below(SLOTS);
    for slot in 0..SLOTS {
        let age = (rotation + SLOTS - slot) % SLOTS;
        let generation = newest.saturating_sub(if c.rarely(8) { 0 } else { age as u64 });
        file.extend_from_slice(&chain(c, codec, generation, size));
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

/// A chain of up to three deltas, mostly right ones.
fn chain(c: &mut Choices<'_>, codec: &dyn Codec, generation: u64, size: usize) -> Vec<u8> {
    let envelope = match c.below(16) {
        15 => of_length(generation, size.min(PAGE) - c.below(32)),
        _ => planted(c, codec, generation).bytes,
    };
    let mut slot = closed(c, &envelope);
    if let Some(mut link) = Link::of(&envelope) {
        let mut deltas = Vec::new();
        for _ in 0..c.below(4) {
            let mut record = next_delta(c, codec, &envelope, &deltas, &mut link);
            if c.rarely(16) {
                c.burst(&mut record);
            }
            let align = if c.rarely(16) { 1 } else { ALIGN };
            slot.resize(slot.len().next_multiple_of(align), UNUSED);
            slot.extend_from_slice(&closed(c, &record));
            deltas.push(record);
        }
    }
    slot.resize(size, UNUSED);
    if c.rarely(8) {
        c.burst(&mut slot);
    }
    slot
}

/// A record with its closing checksum, mostly the right one.
fn closed(c: &mut Choices<'_>, record: &[u8]) -> Vec<u8> {
    let mut bytes = closing(crc_of(record));
    match c.below(24) {
        23 => bytes = closing(0),
        22 => bytes.fill(UNUSED),
        21 => bytes.clear(),
        20 => drop(c.burst(&mut bytes)),
        _ => {}
    }
    [record, &bytes].concat()
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
    let slots: Vec<Slot> = file[PAGE..].chunks(size).map(Slot::of).collect();
    let count = slots.iter().filter(|slot| slot.damaged.is_some()).count() as u64;
    let mut chains: Vec<(u64, usize, usize)> = Vec::new();
    for (i, slot) in slots.iter().enumerate() {
        // A damaged slot counts once, so only what is whole of it is another checkpoint.
        let deltas = if slot.damaged.is_some() { slot.whole() } else { slot.all() };
        chains.extend(deltas.map(|deltas| (slot.generations[deltas], i, deltas)));
    }
    if !page_is_whole && chains.is_empty() {
        return not_loaded;
    }
    let highest = chains.iter().map(|(generation, ..)| *generation).max().unwrap_or(0);
    let mut all: Vec<Holds> = Vec::new();
    all.extend((!page_is_whole).then_some(Holds::Corrupt));
    all.extend(
        slots.iter().filter_map(|slot| slot.damaged.as_ref().map(|head| Holds::of(head, codec))),
    );
    while let Some(newest) = chains.iter().max().copied() {
        chains.retain(|chain| *chain != newest);
        let (generation, i, deltas) = newest;
        let slot = &slots[i];
        all.push(holds(codec, &slot.records[0], &slot.records[1..=deltas]));
        match slot.whole() {
            Some(whole) if whole < deltas => chains.push((slot.generations[whole], i, whole)),
            Some(_) => chains.retain(|(other, ..)| *other != generation),
            None => {}
        }
    }
    (expected(all, on_corrupt, 1), highest.saturating_add(count))
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
    let is = |page: &[u8], store| size > 0 && page == first_page(2, store, size);
    match store.map(StoreId) {
        Some(STORE) if is(page, STORE) && size.is_multiple_of(PAGE) => return Page::Whole(size),
        Some(store) if is(page, store) && size.is_multiple_of(PAGE) => return Page::Foreign,
        _ => {}
    }
    // A number other than 2 is another version, unless it is a single digit changed from 2.
    let version = page.strip_prefix(b"repl-checkpoint slots v");
    let version = version.and_then(|rest| rest.split(|b| *b == b' ').next()).unwrap_or_default();
    let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
    if !is_number || version == b"2" {
        return Page::Corrupt;
    }
    let mut as_version_2 = page.to_vec();
    as_version_2[23] = b'2';
    let changed = version.len() == 1 && store.is_some_and(|s| is(&as_version_2, StoreId(s)));
    if changed { Page::Corrupt } else { Page::Foreign }
}
