//! A slot file that was read: which slots are whole, and which of them is the newest.
//!
//! Slots are written in turn. So the slot after the newest whole one holds the oldest checkpoint, a
//! torn write, or a newer checkpoint that was damaged later: if it is damaged, it counts as newer.
//! The slot after that one counts as newer only if both are damaged.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use super::page::{FirstPage, PAGE};
use super::{SLOTS, offset};
use crate::disk::Disk;
use crate::envelope::{Header, Pieces, cut_off, length_at};
use crate::ids::{Generation, StoreId};
use crate::store::{Candidate, LoadError, SlotFileError};

/// What is read at once where a slot need not be in memory.
const CHUNK: usize = 64 * 1024;

/// A slot file that was looked at. Its slots were read one at a time.
pub(super) struct SlotFile {
    /// The first bytes of the first page, if that is damaged.
    damaged_page: Option<Vec<u8>>,
    /// The length of one slot.
    pub(super) size: usize,
    /// The generation in each slot, or `None` if the slot is damaged.
    generations: [Option<Generation>; SLOTS],
}

/// A slot with a whole checkpoint.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct WholeSlot {
    pub(super) slot: usize,
    pub(super) generation: Generation,
    /// The length of the envelope.
    pub(super) length: usize,
}

impl SlotFile {
    /// Reads the file: its first page, and each slot.
    pub(super) fn read(
        disk: &impl Disk,
        path: &Path,
        store: StoreId,
    ) -> Result<(Self, Vec<WholeSlot>), LoadError> {
        let failed = |source| LoadError::Io { act: "read", path: path.to_owned(), source };
        let slots = |reason| LoadError::Slots { path: path.to_owned(), reason };
        let length = disk.length(path).map_err(failed)?;
        let page = disk.read_at(path, 0, PAGE).map_err(failed)?;
        let (size, damaged_page) = layout(length, page, store).map_err(slots)?;
        let nothing_whole = damaged_page.is_some();
        let mut file = SlotFile { damaged_page, size, generations: [None; SLOTS] };
        let mut whole = Vec::new();
        for slot in 0..SLOTS {
            if let Some(found) = look_at_slot(disk, path, slot, size, failed, |_| Ok(()))? {
                file.generations[slot] = Some(found.generation);
                whole.push(found);
            }
        }
        if nothing_whole && whole.is_empty() {
            return Err(slots(SlotFileError::NothingWhole));
        }
        // Newest first. Of equal generations only the last slot counts, where a new file has the
        // newest.
        whole.sort_by_key(|found| Reverse((found.generation, found.slot)));
        whole.dedup_by_key(|found| found.generation);
        Ok((file, whole))
    }

    /// All candidates, newest first, each read when the iterator returns it. A damaged first page
    /// counts as damage above all of them.
    pub(super) fn candidates<'a, D: Disk>(
        self,
        whole: &[WholeSlot],
        disk: &'a D,
        path: PathBuf,
    ) -> impl Iterator<Item = Candidate> + use<'a, D> {
        let damaged = |slot: &usize| self.generations[*slot].is_none();
        let newest = whole.first().map_or(SLOTS - 1, |found| found.slot);
        let number = whole.first().map_or(0, |found| found.generation);
        let [next, last] = [1, 2].map(|steps| (newest + steps) % SLOTS);
        let newer: Vec<usize> = [next, last].into_iter().take_while(damaged).collect();
        let above = newer.iter().enumerate().rev();
        let above = above.map(|(i, slot)| (Some(number.saturating_add(i as u64 + 1)), *slot));
        let rest = (0..SLOTS).filter(damaged).filter(|slot| !newer.contains(slot));
        let mut all: Vec<(Option<Generation>, usize)> = above.collect();
        all.extend(whole.iter().map(|found| (Some(found.generation), found.slot)));
        all.extend(rest.map(|slot| (None, slot)));
        let size = self.size;
        let page = self.damaged_page.map(|head| Candidate {
            path: path.clone(),
            generation: None,
            bytes: Ok(head),
            deltas: Vec::new(),
        });
        page.into_iter().chain(all.into_iter().map(move |(generation, slot)| Candidate {
            path: path.clone(),
            generation,
            bytes: read_slot(disk, &path, slot, size),
            deltas: Vec::new(),
        }))
    }
}

/// The length of one slot, and the beginning of the first page if it is damaged.
fn layout(
    length: u64,
    mut page: Vec<u8>,
    store: StoreId,
) -> Result<(usize, Option<Vec<u8>>), SlotFileError> {
    let of_slots = length.saturating_sub(PAGE as u64);
    let Some(found) = FirstPage::of(&page) else {
        if let Some(version) = FirstPage::other_version(&page) {
            return Err(SlotFileError::Version { version });
        }
        // The length of the file alone says how long its slots are.
        let size = of_slots / SLOTS as u64;
        let fits = size > 0 && size.is_multiple_of(PAGE as u64) && size * SLOTS as u64 == of_slots;
        let size = usize::try_from(size).ok().filter(|_| fits);
        // Too short for a header, so it is refused as damage whatever its bytes are.
        page.truncate(PAGE / 64);
        return Ok((size.ok_or(SlotFileError::NothingWhole)?, Some(page)));
    };
    if found.store != store {
        return Err(SlotFileError::OtherStore { expected: store, found: found.store });
    }
    let expected = (found.size as u64).checked_mul(SLOTS as u64);
    let expected = expected.and_then(|slots| slots.checked_add(PAGE as u64)).unwrap_or(u64::MAX);
    if expected != length {
        return Err(SlotFileError::Length { expected, found: length });
    }
    Ok((found.size, None))
}

/// Reads the envelope in a slot piece by piece, and gives each piece to `each`. Returns `None` at
/// the end if it is not whole, or more than zeros follow.
pub(super) fn look_at_slot<E>(
    disk: &impl Disk,
    path: &Path,
    slot: usize,
    size: usize,
    failed: impl Fn(io::Error) -> E,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Option<WholeSlot>, E> {
    let start = offset(slot, size);
    let read = |at: usize, end: usize| {
        disk.read_at(path, (start + at) as u64, CHUNK.min(end - at)).map_err(&failed)
    };
    let head = read(0, PAGE)?;
    let Some(length) = length_at(&head).filter(|length| *length <= size) else {
        return Ok(None);
    };
    let mut piece = if length <= head.len() { head[..length].to_vec() } else { read(0, length)? };
    let Some(mut pieces) = Pieces::begin(&piece) else { return Ok(None) };
    let mut at = 0;
    loop {
        each(&piece)?;
        at += piece.len();
        if at >= length || piece.is_empty() {
            break;
        }
        piece = read(at, length)?;
        pieces.add(&piece);
    }
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let mut clean = is_zero(head.get(length..).unwrap_or_default());
    let mut at = length.max(PAGE);
    while clean && at < size {
        let chunk = read(at, size)?;
        clean = is_zero(&chunk) && !chunk.is_empty();
        at += chunk.len();
    }
    let whole = |header: Header| WholeSlot { slot, generation: header.generation, length };
    Ok(pieces.header().filter(|_| clean).map(whole))
}

/// The envelope in a slot, if only zeros follow it; empty for a slot of zeros.
///
/// If the header does not fit the slot, its first bytes alone, which are refused as damage. If
/// more than zeros follow, an [`UnsealError`](crate::UnsealError) within an error.
pub(super) fn read_slot(
    disk: &impl Disk,
    path: &Path,
    slot: usize,
    size: usize,
) -> io::Result<Vec<u8>> {
    let start = offset(slot, size);
    let mut bytes = disk.read_at(path, start as u64, PAGE)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Vec::new());
    }
    let Some(length) = length_at(&bytes).filter(|length| *length <= size) else {
        return Ok(bytes);
    };
    if length > bytes.len() {
        bytes = disk.read_at(path, start as u64, length)?;
    }
    let mut clean = bytes.iter().skip(length).all(|byte| *byte == 0);
    bytes.truncate(length);
    let mut at = length.max(PAGE);
    while clean && at < size {
        let chunk = disk.read_at(path, (start + at) as u64, CHUNK.min(size - at))?;
        clean = chunk.iter().all(|byte| *byte == 0) && !chunk.is_empty();
        at += chunk.len();
    }
    match cut_off(&bytes, size as u64) {
        Some(reason) if !clean => Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
        _ => Ok(bytes),
    }
}
