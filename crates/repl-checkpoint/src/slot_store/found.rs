//! A slot file that was read: which slots are whole, and which of them is the newest.
//!
//! Slots are written in turn. So the slot after the newest whole one holds the oldest checkpoint, a
//! torn write, or a newer checkpoint that was damaged later: if it is damaged, it counts as newer.
//! The slot after that one counts as newer only if both are damaged.

use std::path::Path;

use super::page::{FirstPage, PAGE};
use super::{SLOTS, offset};
use crate::envelope::{header_of, length_at};
use crate::ids::{Generation, StoreId};
use crate::store::{Candidate, SlotFileError};

/// A slot file that was read.
pub(super) struct SlotFile {
    bytes: Vec<u8>,
    size: usize,
    page_is_damaged: bool,
    /// The generation in each slot, or `None` if the slot is damaged.
    generations: [Option<Generation>; SLOTS],
}

impl SlotFile {
    pub(super) fn of(bytes: Vec<u8>, store: StoreId) -> Result<Self, SlotFileError> {
        let page = bytes.get(..PAGE).unwrap_or(&bytes);
        let (size, page_is_damaged) = match FirstPage::of(page) {
            Some(FirstPage { store: found, .. }) if found != store => {
                return Err(SlotFileError::OtherStore { expected: store, found });
            }
            Some(FirstPage { size, .. }) => (size, false),
            None => match FirstPage::other_version(page) {
                Some(version) => return Err(SlotFileError::Version { version }),
                // The length of the file alone says how long its slots are.
                None => (bytes.len().saturating_sub(PAGE) / SLOTS, true),
            },
        };
        let expected = size.checked_mul(SLOTS).and_then(|slots| slots.checked_add(PAGE));
        let fits = expected == Some(bytes.len());
        if page_is_damaged && !(fits && size > 0 && size.is_multiple_of(PAGE)) {
            return Err(SlotFileError::NothingWhole);
        }
        if !fits {
            let expected = expected.map_or(u64::MAX, |length| length as u64);
            return Err(SlotFileError::Length { expected, found: bytes.len() as u64 });
        }
        let mut file = SlotFile { bytes, size, page_is_damaged, generations: [None; SLOTS] };
        let generation = |slot| header_of(file.envelope(slot)).map(|header| header.generation);
        file.generations = std::array::from_fn(generation);
        if page_is_damaged && file.newest().is_none() {
            return Err(SlotFileError::NothingWhole);
        }
        Ok(file)
    }

    /// The length of one slot.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The slot of the newest whole checkpoint. Of equal ones it is the last, where a new file has
    /// the newest.
    pub(super) fn newest(&self) -> Option<usize> {
        let whole = (0..SLOTS).filter(|slot| self.generations[*slot].is_some());
        whole.max_by_key(|slot| (self.generations[*slot], *slot))
    }

    /// The whole checkpoints, newest first. Of equal generations only the last slot counts.
    pub(super) fn whole(&self) -> Vec<(Generation, &[u8])> {
        let slot = |slot: usize| Some((self.generations[slot]?, self.envelope(slot)));
        let mut whole: Vec<_> = (0..SLOTS).rev().filter_map(slot).collect();
        whole.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
        whole.dedup_by_key(|(generation, _)| *generation);
        whole
    }

    /// All candidates, newest first. A damaged first page counts as damage above all of them.
    pub(super) fn candidates(&self, path: &Path) -> Vec<Candidate> {
        let candidate = |generation, bytes: &[u8]| Candidate {
            path: path.to_owned(),
            generation,
            bytes: Ok(bytes.to_vec()),
        };
        let mut all = Vec::new();
        if self.page_is_damaged {
            // Too short for a header, so it is refused as damage whatever its bytes are.
            all.push(candidate(None, self.bytes.get(..PAGE / 64).unwrap_or_default()));
        }
        let damaged = |slot: &usize| self.generations[*slot].is_none();
        let newest = self.newest().unwrap_or(SLOTS - 1);
        let [next, last] = [1, 2].map(|steps| (newest + steps) % SLOTS);
        let newer = [next, last].into_iter().take_while(damaged).collect::<Vec<_>>();
        let number = self.generations[newest].unwrap_or(0);
        for (above, slot) in newer.iter().enumerate().rev() {
            let generation = number.saturating_add(above as u64 + 1);
            all.push(candidate(Some(generation), self.envelope(*slot)));
        }
        let whole = self.whole();
        all.extend(whole.into_iter().map(|(generation, bytes)| candidate(Some(generation), bytes)));
        let rest = (0..SLOTS).filter(damaged).filter(|slot| !newer.contains(slot));
        all.extend(rest.map(|slot| candidate(None, self.envelope(slot))));
        all
    }

    /// The envelope in a slot if only zeros follow it (empty for a slot of zeros), otherwise the
    /// whole slot.
    fn envelope(&self, slot: usize) -> &[u8] {
        let bytes = self.bytes.get(offset(slot, self.size)..offset(slot + 1, self.size));
        let bytes = bytes.unwrap_or_default();
        let length = if bytes.first() == Some(&0) { Some(0) } else { length_at(bytes) };
        let parts = length.and_then(|length| bytes.split_at_checked(length));
        match parts {
            Some((envelope, rest)) if rest.iter().all(|b| *b == 0) => envelope,
            _ => bytes,
        }
    }
}
