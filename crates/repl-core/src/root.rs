//! What a look-up by id needs: the index and the slabs.

use crate::cell::Cell;
use crate::ids::ShardId;
use crate::index::{Found, Index};
use crate::shard::Shard;
use crate::slabs::Slabs;

/// The cells of a state, by shard. Cells come and go within it; it is replaced when a slab or a part
/// of the index does.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) index: Index,
    pub(crate) slabs: Slabs,
}

impl Root {
    /// Looks up a cell, and runs `f` on it. [`Found::Other`] means that there may be a newer root
    /// that has the cell.
    #[inline]
    pub(crate) fn find<R>(&self, shard: ShardId, f: impl Fn(&Cell) -> R + Copy) -> Found<R> {
        self.index.find(shard, |place| {
            // The number of a slab is used again: this root may have an older slab of that number.
            self.slabs.cell(place).filter(|cell| cell.shard() == shard).map(f)
        })
    }

    pub(crate) fn handle(&self, shard: ShardId) -> Found<Shard> {
        self.index.find(shard, |place| {
            self.slabs.cell(place).filter(|cell| cell.shard() == shard)?;
            Shard::at(&self.slabs, place)
        })
    }
}
