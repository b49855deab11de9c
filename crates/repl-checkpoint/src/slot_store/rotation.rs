//! Which slot the next save goes to.
//!
//! N and P are the slots of the two highest generations, and T is the third. A whole checkpoint
//! overwrites T. A delta is appended to P. N, the newest, is touched by neither.

use super::chain::{ALIGN, CLOSING};
use crate::envelope::{DELTA_HEADER, DeltaLine, Link, WholeLine};
use crate::ids::Generation;
use crate::store::{DeltaBase, Save};

use super::SLOTS;

/// A slot file that this process made, open for writing in place.
pub(super) struct Slots<F> {
    pub(super) file: F,
    /// The bytes of one slot.
    pub(super) size: usize,
    /// The contents of each slot.
    pub(super) all: [Slot; SLOTS],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its last generation.
    pub(super) generation: Generation,
    /// Where its last record ends, its closing checksum included; the rest is unused.
    pub(super) end: usize,
    /// What a delta builds on; `None` if the last record was found, or is not in this format.
    link: Option<Link>,
}

impl Slot {
    /// A chain that this process has found.
    pub(super) fn found(generation: Generation, end: usize) -> Self {
        Slot { generation, end, link: None }
    }

    /// A whole checkpoint of this process.
    pub(super) fn saved(save: &Save<'_>) -> Self {
        let link = WholeLine::of(save.bytes).map(|(line, crc)| Link::of(&line, crc));
        Slot { generation: save.generation, end: save.bytes.len() + CLOSING, link }
    }

    /// Where the next delta begins.
    pub(super) fn next_delta(&self) -> usize {
        self.end.next_multiple_of(ALIGN)
    }

    /// The checksum in the header of its last record; 0 if that is not in this format.
    pub(super) fn crc(&self) -> u32 {
        self.link.as_ref().map_or(0, |link| link.crc)
    }
}

impl<F> Slots<F> {
    /// The slot N.
    fn newest(&self) -> usize {
        (0..SLOTS).max_by_key(|slot| self.all[*slot].generation).unwrap_or(0)
    }

    /// The highest generation.
    pub(super) fn newest_generation(&self) -> Generation {
        self.all[self.newest()].generation
    }

    /// The slot T: the lowest generation; of equal ones the first, except for N.
    fn oldest(&self) -> usize {
        let newest = self.newest();
        let others = (0..SLOTS).filter(|slot| *slot != newest);
        others.min_by_key(|slot| self.all[*slot].generation).unwrap_or(0)
    }

    /// The slot T, or `None` if it holds what must be kept, or is too small.
    pub(super) fn target(&self, save: &Save<'_>) -> Option<usize> {
        let oldest = self.oldest();
        let generation = self.all[oldest].generation;
        let mut others = self.all.iter().enumerate().filter(|(slot, _)| *slot != oldest);
        let may_go =
            generation < save.confirmed || others.any(|(_, slot)| slot.generation == generation);
        (may_go && save.bytes.len() + CLOSING <= self.size).then_some(oldest)
    }

    /// The slot P, and what it offers as a base: nothing if it repeats N, or was found.
    fn offer(&self) -> Option<(usize, DeltaBase)> {
        let (newest, oldest) = (self.newest(), self.oldest());
        let slot = (0..SLOTS).find(|slot| *slot != newest && *slot != oldest)?;
        let found = &self.all[slot];
        let link =
            found.link.as_ref().filter(|_| found.generation < self.all[newest].generation)?;
        let room = self.size.saturating_sub(found.next_delta() + CLOSING);
        let base = DeltaBase { generation: found.generation, link: link.crc, room };
        (room >= DELTA_HEADER).then_some((slot, base))
    }

    pub(super) fn delta_base(&self) -> Option<DeltaBase> {
        self.offer().map(|(_, base)| base)
    }

    /// The slot P, and what it is after the save, if that is one delta record that builds on it.
    pub(super) fn with_delta(&self, save: &Save<'_>) -> Option<(usize, Slot)> {
        let (slot, base) = self.offer().filter(|(_, base)| Some(base.generation) == save.base)?;
        let (delta, crc) = DeltaLine::of(save.bytes)?;
        let is_one = delta.length == save.bytes.len().checked_sub(DELTA_HEADER)? as u64;
        let is_it = delta.delta.header.generation == save.generation;
        let fits = save.bytes.len() <= base.room;
        let before = &self.all[slot];
        let mut link = before.link.clone().filter(|newest| newest.is_base_of(&delta))?;
        link.follow(&delta, crc);
        let end = before.next_delta() + save.bytes.len() + CLOSING;
        let after = Slot { generation: save.generation, end, link: Some(link) };
        (is_one && is_it && fits).then_some((slot, after))
    }
}
