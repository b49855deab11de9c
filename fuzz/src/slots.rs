//! The file of a `SlotStore`, valid or corrupt as the fuzzer chooses.

use std::path::Path;

use repl_checkpoint::{Checkpoint, Codec, Disk, OnCorrupt, StoreId};
use repl_harness::crash::SimDisk;

use crate::chains::{Link, delta, envelope_in, holds, is_whole};
use crate::choices::Choices;
use crate::expected::{Holds, Outcome, expected};
use crate::follower::{DIR, Setup};
use crate::format::{ALIGN, DELTA_HEADER, PAGE, first_page};
use crate::planted::{STORE, codec, planted};

const SLOTS: usize = 3;
const UNUSED: u8 = 0xff;

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
        let mut bytes = planted(c, codec, generation).bytes;
        add_deltas(c, codec, &mut bytes);
        bytes.resize(size, UNUSED);
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

/// Appends up to three deltas, mostly right ones.
fn add_deltas(c: &mut Choices<'_>, codec: &dyn Codec, slot: &mut Vec<u8>) {
    let Some(mut link) = Link::of(slot) else { return };
    let envelope = slot.clone();
    let mut deltas = Vec::new();
    for _ in 0..c.below(4) {
        let now = match holds(codec, &envelope, &deltas) {
            Holds::Whole(_, checkpoint) => *checkpoint,
            _ => Checkpoint::default(),
        };
        let mut record = delta(c, codec, &link, &now);
        if let Some((next, ..)) = link.then(&record) {
            link = next;
        }
        if c.rarely(16) {
            let at = c.place(record.len());
            record[at] ^= c.byte();
        }
        let align = if c.rarely(16) { 1 } else { ALIGN };
        slot.resize(slot.len().next_multiple_of(align), UNUSED);
        slot.extend_from_slice(&record);
        deltas.push(record);
    }
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

/// What is in a slot.
#[derive(Default)]
struct Slot {
    /// The first bytes of a slot without a right header, or nothing if something is behind its
    /// chain; `None` if it is not damaged.
    damaged: Option<Vec<u8>>,
    /// The envelope, and the deltas of its chain.
    records: Vec<Vec<u8>>,
    /// The generation of each.
    generations: Vec<u64>,
}

impl Slot {
    fn of(slot: &[u8]) -> Self {
        let mut found = Slot::default();
        let Some((mut end, mut link)) = envelope_in(slot) else {
            let is_empty = slot[..PAGE].iter().all(|byte| *byte == 0);
            found.damaged = Some(if is_empty { Vec::new() } else { slot[..PAGE].to_vec() });
            return found;
        };
        let mut start = 0;
        loop {
            found.records.push(slot[start..end].to_vec());
            found.generations.push(link.generation());
            start = end.next_multiple_of(ALIGN);
            let rest = &slot[start..];
            let next = link.then(rest).filter(|_| slot[end..start].iter().all(|b| *b == UNUSED));
            let Some((next, length, _)) = next else { break };
            let length = usize::try_from(length).ok().and_then(|n| n.checked_add(DELTA_HEADER));
            let Some(length) = length.filter(|length| *length <= rest.len()) else { break };
            (link, end) = (next, start + length);
        }
        let is_clean = slot[end..].iter().all(|byte| *byte == UNUSED);
        found.damaged = (!is_clean).then(Vec::new);
        found
    }

    /// The number of deltas.
    fn all(&self) -> Option<usize> {
        self.records.len().checked_sub(1)
    }

    /// The number of deltas before the first damaged one; `None` if the envelope is damaged.
    fn whole(&self) -> Option<usize> {
        self.records.iter().take_while(|record| is_whole(record)).count().checked_sub(1)
    }
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
