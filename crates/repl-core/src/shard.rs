//! A handle on one shard: the hot path.

use std::fmt;
use std::sync::Arc;

use yoke::Yoke;

use crate::applied_set::AppliedSet;
use crate::cell::Cell;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::outcome::Advance;
use crate::seq_range::SeqRange;
use crate::slabs::{Place, Slabs};

/// A cheap handle on one shard of a [`ReplicationState`](crate::ReplicationState): reads and
/// advances its mark without a look-up.
///
/// Clones share the same mark. A handle stays valid for ever. Once the shard is removed or reset,
/// [`advance`](Shard::advance) returns [`Advance::Removed`], and [`applied`](Shard::applied) keeps
/// returning the last mark of that incarnation. Dropping the state ends no wait; closing it does.
///
/// A handle keeps alive the memory of all shards that were added in the same call as its own.
///
/// ```
/// use repl_core::{Advance, ReplicationState};
///
/// let state = ReplicationState::single();
/// let shard = state.shard(repl_core::ShardId::SINGLE).ok_or("not tracked")?;
/// let seqno = 1;
/// if shard.applied() < seqno {
///     // apply segment 1 here
///     assert_eq!(shard.advance(seqno), Advance::Advanced { from: 0 });
/// }
/// assert_eq!(shard.advance(seqno), Advance::Stale { at: 1 });
/// # Ok::<(), &str>(())
/// ```
pub struct Shard {
    /// The cell, beside the reference that keeps its slab alive: reading a mark follows one pointer
    /// and checks no index.
    cell: Yoke<&'static Cell, Arc<[Cell]>>,
}

impl Shard {
    /// # Panics
    /// If the slab has no such index.
    #[inline]
    pub(crate) fn new(slab: Arc<[Cell]>, index: usize) -> Self {
        Shard { cell: Yoke::attach_to_cart(slab, |cells| &cells[index]) }
    }

    /// A handle on the cell at a place; `None` if there is no cell.
    pub(crate) fn at(slabs: &Slabs, place: Place) -> Option<Self> {
        let slab = slabs.slab(place.slab())?;
        (place.index() < slab.len()).then(|| Shard::new(Arc::clone(slab), place.index()))
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Cell {
        self.cell.get()
    }

    /// Returns the shard's id.
    pub fn id(&self) -> ShardId {
        self.cell().key().shard
    }

    /// Returns the log that this shard follows, as given when it was added.
    pub fn log(&self) -> LogId {
        self.cell().key().log
    }

    /// Returns the incarnation of the shard that this handle is for.
    pub fn incarnation(&self) -> Incarnation {
        self.cell().key().incarnation
    }

    /// Returns whether the shard was removed or reset since this handle was taken.
    pub fn is_removed(&self) -> bool {
        self.cell().is_removed()
    }

    /// Returns the mark: the last segment that is fully applied; 0 for none.
    ///
    /// A reader that observes mark `n` also observes every write made before the mark reached `n`.
    /// Costs one atomic load.
    #[inline]
    pub fn applied(&self) -> SeqNo {
        self.cell().applied()
    }

    /// Moves the mark forward to `seqno`; a smaller or equal one changes nothing.
    ///
    /// Safe from any number of threads at once. `u64::MAX` is legal, and such a shard can never move
    /// again. Costs one `fetch_max` and three loads; two loads if the seqno is stale.
    #[inline]
    pub fn advance(&self, seqno: SeqNo) -> Advance {
        self.cell().advance(seqno)
    }

    /// Moves the mark to `to` only if it has reached `expected`, the segment before.
    ///
    /// Otherwise segments are missing, and the outcome is [`Advance::Gap`]. A mark at or beyond `to`
    /// is [`Advance::Stale`], whatever was expected.
    #[inline]
    pub fn advance_from(&self, expected: SeqNo, to: SeqNo) -> Advance {
        self.cell().advance_from(expected, to)
    }

    /// Returns whether `seqno` is applied: at or below the mark, or completed above it.
    ///
    /// Costs two loads where nothing was completed above the mark since the last snapshot, otherwise
    /// a short lock and O(log ranges).
    pub fn contains(&self, seqno: SeqNo) -> bool {
        self.cell().contains(seqno)
    }

    /// Returns the mark and what is completed above it: by an [`ApplyWindow`](crate::ApplyWindow),
    /// or as a checkpoint recorded it.
    ///
    /// Nothing is above the mark of a shard that was removed. Copies the ranges, and costs a load
    /// for each 64 seqnos of the window up to the highest completed.
    pub fn applied_set(&self) -> AppliedSet {
        self.cell().applied_set()
    }

    /// Marks a seqno or a range as completed though earlier ones are missing; the mark moves over it
    /// once it is contiguous.
    ///
    /// For restoring what a checkpoint recorded. Does nothing if the shard was removed.
    pub fn complete(&self, range: impl Into<SeqRange>) {
        self.cell().complete(range.into());
    }

    /// Closes waiting on this shard, permanently: current and future waits for a seqno that is not
    /// reached fail with [`WaitError::Closed`](crate::WaitError::Closed).
    ///
    /// The mark can still be read and moved. The next incarnation of the shard is open, unless the
    /// state is [closed](crate::ReplicationState::close).
    pub fn close(&self) {
        self.cell().close().wake();
    }
}

// Not derived: that needs yoke's feature `alloc`, which adds a package.
impl Clone for Shard {
    #[inline]
    fn clone(&self) -> Self {
        let slab = self.cell.backing_cart();
        let offset = (&raw const *self.cell()).addr() - slab.as_ptr().addr();
        Shard::new(Arc::clone(slab), offset / size_of::<Cell>())
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("id", &self.id())
            .field("applied", &self.applied())
            .field("removed", &self.is_removed())
            .finish_non_exhaustive()
    }
}
