//! Where cells are: slabs of up to [`SLAB`] cells, by number.

use std::sync::Arc;

use crate::cell::Cell;

/// Cells allocated together. A handle keeps the slab of its cell alive, and no more.
pub(crate) type Slab = Arc<[Cell]>;

/// The largest number of cells in a slab.
pub(crate) const SLAB: usize = 1024;
const INDEX_BITS: u32 = SLAB.trailing_zeros();

/// The place of a cell: its slab and its index there. Never 0, as no slab has number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    /// More places than any memory holds cells for.
    const END: u32 = (1 << 31) - 1;

    /// # Panics
    /// Above 2^31 places: that many cells take 128 GiB.
    pub(crate) fn new(slab: usize, index: usize) -> Self {
        debug_assert!(index < SLAB);
        let number = u32::try_from(slab << INDEX_BITS | index).unwrap_or(u32::MAX);
        assert!(number < Self::END, "fewer than 2^31 shards in a state");
        Place(number)
    }

    /// From a number below 2^31.
    #[inline]
    pub(crate) fn from_number(number: u32) -> Self {
        Place(number)
    }

    /// A number below 2^31.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// The place of the cell that many cells after this one, in the same slab.
    #[inline]
    pub(crate) fn plus(self, cells: usize) -> Self {
        debug_assert!(self.index() + cells < SLAB);
        #[expect(clippy::cast_possible_truncation, reason = "less than a slab has cells")]
        Place(self.0 + cells as u32)
    }

    #[inline]
    pub(crate) fn slab(self) -> usize {
        (self.0 >> INDEX_BITS) as usize
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize % SLAB
    }
}

/// Slabs by number. A clone is cheap, and a change leaves it as it is.
#[derive(Clone, Default)]
pub(crate) struct Slabs {
    /// A number without a slab has an empty one.
    slabs: Arc<[Slab]>,
}

impl Slabs {
    /// The slab of this number; `None` or empty if there is none.
    #[inline]
    pub(crate) fn slab(&self, number: usize) -> Option<&Slab> {
        self.slabs.get(number)
    }

    #[inline]
    pub(crate) fn cell(&self, place: Place) -> Option<&Cell> {
        self.slab(place.slab())?.get(place.index())
    }

    /// Sets some slabs; an empty one removes what is there. Copies the list.
    pub(crate) fn set(&mut self, slabs: impl IntoIterator<Item = (usize, Slab)>) {
        let mut changed = self.slabs.to_vec();
        for (number, slab) in slabs {
            if changed.len() <= number {
                changed.resize_with(number + 1, Slab::default);
            }
            changed[number] = slab;
        }
        self.slabs = changed.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_has_the_number_2_to_the_31_less_2() {
        assert_eq!(Place::new((1 << 21) - 1, 1022).number(), (1 << 31) - 2);
    }

    #[test]
    #[should_panic(expected = "fewer than 2^31 shards in a state")]
    fn the_place_after_it_is_refused() {
        Place::new((1 << 21) - 1, 1023);
    }
}
