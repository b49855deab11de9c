//! Where the bytes of a slot file go and come from, done wrong.

use repl_checkpoint::{JsonCodec, open};

use super::Sabotage;
use crate::crash::protocol::{PAGE, SLOTS, STORE};

/// Where the length of a payload stands in its header, and where the payload begins:
/// docs/format.md.
const LENGTH: std::ops::Range<usize> = 143..163;
const PAYLOAD: usize = 180;
/// Where the length of a slot stands in the first page.
const SLOT_LENGTH: std::ops::Range<usize> = 69..89;

/// Where a process writes, besides what the store says.
#[derive(Default)]
pub(super) struct InSlots {
    /// How much of a new file was written.
    pub(super) written: usize,
    /// How many saves in place were synced.
    pub(super) turn: usize,
    found: Option<Found>,
}

/// A file that this process has not made.
struct Found {
    /// The bytes of one slot.
    size: usize,
    /// Where the first save goes.
    first: usize,
}

impl InSlots {
    pub(super) fn found(&mut self, file: &[u8]) {
        let size = file.len().saturating_sub(PAGE) / SLOTS;
        let newest = (0..SLOTS).max_by_key(|slot| generation(file, *slot, size));
        self.found = Some(Found { size, first: (newest.unwrap_or(0) + 1) % SLOTS });
    }

    pub(super) fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// What becomes of the next bytes of a new file where another was found: where they go, or
    /// nowhere, and how many of them. Only the last slot has what is new.
    pub(super) fn of_new_file(&self, length: usize) -> Option<(Option<u64>, usize)> {
        let found = self.found.as_ref()?;
        let last = PAGE + (SLOTS - 1) * found.size;
        Some(match self.written.checked_sub(last) {
            Some(into) => (Some((PAGE + found.first * found.size + into) as u64), length),
            None => (None, length.min(last - self.written)),
        })
    }

    /// Where a save in place goes.
    pub(super) fn in_place(&self, wrong: Sabotage, offset: u64) -> u64 {
        let size = match &self.found {
            Some(found) => found.size,
            None => self.written.saturating_sub(PAGE) / SLOTS,
        };
        let Some(at) = usize::try_from(offset).ok().and_then(|at| at.checked_sub(PAGE)) else {
            return offset;
        };
        let slot = match (wrong, &self.found) {
            (Sabotage::NewestOverwritten, _) => SLOTS - 1,
            (Sabotage::TwoSlots, _) => 1 + self.turn % 2,
            // What the store takes for the last slot is where the first save went.
            (_, Some(found)) => (at / size + found.first + 1) % SLOTS,
            _ => at / size,
        };
        (PAGE + slot * size + at % size) as u64
    }
}

/// The generation in a slot; `None` where that is damaged.
fn generation(file: &[u8], slot: usize, size: usize) -> Option<u64> {
    let bytes = file.get(PAGE + slot * size..PAGE + (slot + 1) * size)?;
    let envelope = bytes.get(..length(bytes)?)?;
    open(&JsonCodec, STORE, envelope).ok().map(|(header, _)| header.generation)
}

/// How long the envelope in a slot says that it is.
fn length(slot: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(slot.get(LENGTH)?).ok()?;
    digits.parse::<usize>().ok()?.checked_add(PAYLOAD)
}

/// What the real store is given in place of the bytes of its file.
pub(crate) fn read_wrong_slots(wrong: Sabotage, file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    match wrong {
        Sabotage::RestUnchecked => {
            let size = file.len().saturating_sub(PAGE) / SLOTS;
            for slot in bytes.get_mut(PAGE..).unwrap_or_default().chunks_mut(size.max(1)) {
                if let Some(rest) = length(slot).and_then(|length| slot.get_mut(length..)) {
                    rest.fill(0);
                }
            }
        }
        Sabotage::PageUnchecked => {
            let digits = file.get(SLOT_LENGTH).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(size) = digits.and_then(|digits| digits.parse::<usize>().ok()) {
                let page = first_page(size);
                let there = bytes.len().min(PAGE);
                bytes[..there].copy_from_slice(&page[..there]);
            }
        }
        _ => {}
    }
    bytes
}

/// A sound first page.
fn first_page(size: usize) -> Vec<u8> {
    let line = format!("repl-checkpoint slots v1 store={STORE} slot={size:020} crc32c=");
    let mut page = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
    page.resize(PAGE, 0);
    page
}
