//! Which slot the next save may overwrite.

use super::SLOTS;
use crate::ids::Generation;
use crate::store::Save;

/// A slot file that this process made, open for writing in place.
pub(super) struct Slots<F> {
    pub(super) file: F,
    /// The bytes of one slot.
    pub(super) size: usize,
    /// The contents of each slot.
    pub(super) all: [Slot; SLOTS],
    /// The slot of the newest checkpoint. The next save goes into the slot after it.
    pub(super) newest: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) generation: Generation,
    /// The length of the envelope; zeros follow.
    pub(super) len: usize,
}

impl<F> Slots<F> {
    /// The generation in the newest slot.
    pub(super) fn newest_generation(&self) -> Generation {
        self.all[self.newest].generation
    }

    /// The slot after the newest, or `None` if that holds what must be kept, or is too small.
    pub(super) fn target(&self, save: &Save<'_>) -> Option<usize> {
        let next = (self.newest + 1) % SLOTS;
        let mut others = self.all.iter().enumerate().filter(|(i, _)| *i != next);
        let generation = self.all[next].generation;
        let may_go =
            generation < save.confirmed || others.any(|(_, slot)| slot.generation == generation);
        (may_go && save.bytes.len() <= self.size).then_some(next)
    }
}
