//! Whose turn it is: which slot the next save may overwrite.

use super::SLOTS;
use crate::envelope::Generation;
use crate::store::Save;

/// A slot file that this process has made, open to be written in place.
pub(super) struct Slots<F> {
    pub(super) file: F,
    /// The bytes of one slot.
    pub(super) size: usize,
    /// What stands in each slot.
    pub(super) all: [Slot; SLOTS],
    /// Which slot holds the newest checkpoint; the next one goes into the slot after it.
    pub(super) newest: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) generation: Generation,
    /// Beyond it the slot is zero.
    pub(super) reach: usize,
}

impl<F> Slots<F> {
    /// What the newest slot holds.
    pub(super) fn newest_generation(&self) -> Generation {
        self.all[self.newest].generation
    }

    /// The slot after the newest, unless it holds what must be kept or is too small.
    pub(super) fn target(&self, save: &Save<'_>) -> Option<usize> {
        let next = (self.newest + 1) % SLOTS;
        let mut others = self.all.iter().enumerate().filter(|(i, _)| *i != next);
        let generation = self.all[next].generation;
        let may_go =
            generation < save.confirmed || others.any(|(_, slot)| slot.generation == generation);
        (may_go && save.bytes.len() <= self.size).then_some(next)
    }
}
