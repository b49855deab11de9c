//! Mutants of a slot file: the bytes go to or come from the wrong place.

use super::Mutant;
use super::deltas::{changes_chains, read_mutated_chain};
use crate::crash::layout::{PAGE, SLOTS, STORE_ID, UNUSED};
use crate::crash::records::{CLOSING, generation_of, records};

/// The digits of a slot's length in the first page.
const SLOT_LENGTH: std::ops::Range<usize> = 69..89;

/// The slots that a process writes in place of those that the store chose.
#[derive(Default)]
pub(super) struct InSlots {
    /// The number of bytes written to a new file.
    pub(super) written: usize,
    /// Whether the last write in place was that of a delta.
    pub(super) is_delta: bool,
    found: Option<Found>,
}

/// A file that this process did not create.
struct Found {
    /// The length of a slot.
    size: usize,
    /// The slot of the first save.
    first: usize,
}

impl InSlots {
    pub(super) fn found(&mut self, file: &[u8]) {
        let size = file.len().saturating_sub(PAGE) / SLOTS;
        let newest =
            (0..SLOTS).max_by_key(|slot| generation_of(&file[PAGE + slot * size..][..size]));
        self.found = Some(Found { size, first: (newest.unwrap_or(0) + 1) % SLOTS });
    }

    pub(super) fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// Where the next bytes of a new file go if the process found one: their offset in the found
    /// file, or `None` to drop them, and how many. Only the last slot holds the new checkpoint.
    pub(super) fn of_new_file(&self, length: usize) -> Option<(Option<u64>, usize)> {
        let found = self.found.as_ref()?;
        let last = PAGE + (SLOTS - 1) * found.size;
        Some(match self.written.checked_sub(last) {
            Some(into) => (Some((PAGE + found.first * found.size + into) as u64), length),
            None => (None, length.min(last - self.written)),
        })
    }

    /// The offset of a save in place.
    pub(super) fn in_place(&self, mutant: Mutant, offset: u64) -> u64 {
        let size = match &self.found {
            Some(found) => found.size,
            None => self.written.saturating_sub(PAGE) / SLOTS,
        };
        let Some(at) = usize::try_from(offset).ok().and_then(|at| at.checked_sub(PAGE)) else {
            return offset;
        };
        let slot = match (mutant, &self.found) {
            (Mutant::NewestOverwritten, _) => SLOTS - 1,
            // The first save went where the store expects its last slot.
            (_, Some(found)) => (at / size + found.first + 1) % SLOTS,
            _ => at / size,
        };
        (PAGE + slot * size + at % size) as u64
    }
}

/// Whether the store is given other bytes than those of its file.
pub(super) fn changes_slots(mutant: Mutant) -> bool {
    matches!(mutant, Mutant::TailUnchecked | Mutant::PageUnchecked) || changes_chains(mutant)
}

/// The number of bytes that are written if the unused ones over the older checkpoint in a slot end a
/// byte early: whole pages, as the store writes them.
pub(super) fn with_short_zeros(file: &[u8], offset: u64, bytes: &[u8]) -> usize {
    let used = |bytes: &[u8]| bytes.iter().rposition(|b| *b != UNUSED).map_or(0, |last| last + 1);
    let slot = usize::try_from(offset).ok().and_then(|at| file.get(at..)?.get(..bytes.len()));
    let older = used(slot.unwrap_or_default()).saturating_sub(1);
    used(bytes).max(older).next_multiple_of(PAGE).min(bytes.len())
}

/// The bytes that the real store is given in place of its file's.
pub(crate) fn read_mutated_slots(mutant: Mutant, file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    match mutant {
        Mutant::TailUnchecked => {
            let size = file.len().saturating_sub(PAGE) / SLOTS;
            for slot in bytes.get_mut(PAGE..).unwrap_or_default().chunks_mut(size.max(1)) {
                let end = records(slot).last().map(|record| record.end + CLOSING);
                if let Some(rest) = end.and_then(|end| slot.get_mut(end..)) {
                    rest.fill(UNUSED);
                }
            }
        }
        Mutant::PageUnchecked => {
            let digits = file.get(SLOT_LENGTH).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(size) = digits.and_then(|digits| digits.parse::<usize>().ok()) {
                let page = first_page(size);
                let there = bytes.len().min(PAGE);
                bytes[..there].copy_from_slice(&page[..there]);
            }
        }
        _ if changes_chains(mutant) => {
            let size = file.len().saturating_sub(PAGE) / SLOTS;
            for slot in bytes.get_mut(PAGE..).unwrap_or_default().chunks_mut(size.max(1)) {
                read_mutated_chain(mutant, slot);
            }
        }
        _ => {}
    }
    bytes
}

/// An intact first page.
fn first_page(size: usize) -> Vec<u8> {
    let line = format!("repl-checkpoint slots v2 store={STORE_ID} slot={size:020} crc32c=");
    let mut page = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
    page.resize(PAGE, 0);
    page
}
