//! The shards of one follower, by id.

mod any_change;
mod bookmark;
mod epochs;
mod membership;
mod waiting;

use std::fmt;
use std::sync::Arc;

use crate::applied_set::AppliedSet;
use crate::bell::Bell;
use crate::cell::Cell;
use crate::ids::{SeqNo, ShardId};
use crate::keys::KeyRef;
use crate::outcome::{Advance, Merged};
use crate::shard::Shard;
use crate::snapshot::{Snapshot, SnapshotEntry};
use crate::table::{Above, Table};

pub use self::any_change::AnyChange;
pub use self::bookmark::ReachedBookmark;
pub use self::epochs::EpochBegun;
pub use self::waiting::ReachedAll;

/// Tracks the high-water mark of every shard of a follower.
///
/// A mark is the last WAL segment that is fully applied.
///
/// Cloning it copies the marks into a state of its own and shares nothing (O(shards)); share one
/// state with `Arc`, and one shard with [`Shard`].
///
/// Reading and advancing never wait for each other, nor for shards that are added or removed. An
/// advance takes a lock only if it reaches a seqno that something [waits](Self::reached) for, or if
/// something is completed above the mark, or was since the last snapshot. A look-up by id costs a
/// hash; a [`Shard`] avoids it.
///
/// To apply no segment twice, compare the mark *before* applying, with one applier per shard:
/// ```
/// use repl_core::{ReplicationState, ShardId};
///
/// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
/// let shard = state.shard(ShardId(1)).ok_or("not tracked")?;
/// let mut applied = Vec::new();
/// for seqno in [1, 2, 2, 1, 3] {
///     if shard.applied() < seqno {
///         applied.push(seqno);
///         shard.advance(seqno);
///     }
/// }
/// assert_eq!(applied, [1, 2, 3]);
/// assert_eq!(state.applied_seqno(ShardId(2)), Some(0));
/// assert_eq!(state.applied_seqno(ShardId(3)), None);
/// # Ok::<(), &str>(())
/// ```
///
/// # Adding and removing shards
/// Each time a shard is added or reset it gets a new *cell*. Removing or resetting it ends the old
/// one: its handles return [`Advance::Removed`]. So a shard may begin again at a lower mark, but no
/// mark ever falls. A call takes some microseconds, whatever the number of shards; many shards in
/// one [`add_shards`](ReplicationState::add_shards) take less for each, and their cells are side by
/// side in memory, which snapshots read faster.
pub struct ReplicationState {
    table: Table,
    /// Rung by a cell that is armed, and when shards come or go.
    bell: Arc<Bell>,
}

impl ReplicationState {
    /// Tracks `shards`, all with nothing applied. Ids given twice collapse; none at all is legal.
    pub fn new(shards: &[ShardId]) -> Self {
        let entry = |shard: &ShardId| SnapshotEntry::new(*shard, AppliedSet::default());
        Self::restore(&shards.iter().map(entry).collect())
    }

    /// Tracks only [`ShardId::SINGLE`].
    pub fn single() -> Self {
        Self::new(&[ShardId::SINGLE])
    }

    /// Restores a state that was saved: every shard of the snapshot with its log, incarnation,
    /// epochs, mark and ranges. The state and the snapshot share the ids.
    pub fn restore(snapshot: &Snapshot) -> Self {
        let table = Table::restore(snapshot.keys(), snapshot.marks(), snapshot.next_incarnation());
        let state = ReplicationState { table, bell: Arc::new(Bell::new()) };
        state.complete_above(snapshot.all_above());
        state
    }

    fn complete_above(&self, above: &Above) {
        for (shard, ranges) in above {
            if let Some(shard) = self.shard(*shard) {
                ranges.iter().for_each(|range| shard.complete(range));
            }
        }
    }

    /// Returns a handle on one shard, or `None` for a shard that this state does not track.
    pub fn shard(&self, shard: ShardId) -> Option<Shard> {
        self.table.handle(shard)
    }

    /// Returns the ids of all tracked shards, ascending. O(shards).
    pub fn shards(&self) -> Vec<ShardId> {
        self.table.order().keys().iter().map(KeyRef::shard).collect()
    }

    /// Returns the number of tracked shards. Waits for a call that is adding or removing shards.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether no shard is tracked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the mark of one shard, or `None` for a shard that this state does not track.
    ///
    /// `None` is less than every `Some`, so do not compare the result with a seqno: an untracked
    /// shard would be applied again and again. Use `is_some_and(|mark| mark < seqno)`.
    #[inline]
    pub fn applied_seqno(&self, shard: ShardId) -> Option<SeqNo> {
        self.table.with(shard, Cell::applied)
    }

    /// Moves the mark of one shard forward, never back: see [`Shard::advance`].
    ///
    /// Returns [`Advance::Removed`] if the shard was removed or reset during this very call.
    #[inline]
    pub fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        let advance = |cell: &Cell| cell.advance(seqno);
        self.table.with(shard, advance).unwrap_or(Advance::UnknownShard)
    }

    /// Returns all tracked shards with their marks and what is completed above them, in ascending
    /// order of their ids.
    ///
    /// The marks are read one after the other, not at one instant: each is a valid lower bound of
    /// its shard's mark from then on. Costs two loads a shard and one allocation. A shard with
    /// something completed above its mark now, or since the last snapshot, also costs a lock while
    /// its ranges are copied, and a load for each 64 seqnos of its
    /// [`ApplyWindow`](crate::ApplyWindow) up to the highest completed. Waits for a call that
    /// is adding or removing shards; the first snapshot after such calls also lists the shards, some
    /// nanoseconds for each.
    pub fn snapshot(&self) -> Snapshot {
        let order = self.table.order();
        let (mut marks, cells) = order.marks();
        let mut above = Above::new();
        for (i, cell) in cells {
            // The mark is read once more: one that was read before it passed its ranges must not be
            // paired with ranges that are gone by now.
            let now = cell.applied_set();
            marks[i] = now.mark();
            let ranges = now.into_ranges_above();
            if !ranges.is_empty() {
                above.insert(cell.shard(), ranges);
            }
        }
        Snapshot::of(Arc::clone(order.keys()), marks, above, order.next_incarnation())
    }

    /// Returns the same without what is completed above the marks: costs one load a shard and one
    /// allocation, whatever windows there are.
    pub fn marks(&self) -> Snapshot {
        let order = self.table.order();
        let (marks, _) = order.marks();
        Snapshot::of(Arc::clone(order.keys()), marks, Above::new(), order.next_incarnation())
    }

    /// Advances each shard to its mark in `snapshot`, and completes the ranges above it.
    ///
    /// Shards are matched by id. A shard whose named log differs in the snapshot is left as it is,
    /// and reported. An unnamed log matches every log: the caller guarantees that the marks are the
    /// same log's. A snapshot taken before a shard was reset, or before an epoch began, must not be
    /// merged after it: epochs are neither compared nor changed.
    pub fn merge(&self, snapshot: &Snapshot) -> Merged {
        let mut merged = Merged::default();
        let mut above = snapshot.all_above().iter().peekable();
        for (key, mark) in snapshot.keys_and_marks() {
            let ranges = above.next_if(|(shard, _)| **shard == key.shard);
            let Some(shard) = self.shard(key.shard) else {
                merged.unknown.push(key.shard);
                continue;
            };
            if !shard.log().may_be(key.log) {
                merged.other_log.push(key.shard);
                continue;
            }
            let before = shard.applied();
            let advanced = shard.advance(mark).is_advanced();
            for range in ranges.into_iter().flat_map(|(_, ranges)| ranges.iter()) {
                shard.complete(range);
            }
            merged.advanced += usize::from(advanced || shard.applied() > before);
        }
        merged
    }
}

/// Copies the marks into a state of its own, O(shards): the two share no atomics.
impl Clone for ReplicationState {
    fn clone(&self) -> Self {
        Self::restore(&self.snapshot())
    }
}

impl Default for ReplicationState {
    /// Tracks no shard.
    fn default() -> Self {
        Self::new(&[])
    }
}

/// Shows the marks alone: anything above them would take locks and may run wakers.
impl fmt::Debug for ReplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplicationState").field(&self.marks()).finish()
    }
}

const fn send_and_sync<T: Send + Sync>() {}
const _: () = send_and_sync::<ReplicationState>();
const _: () = send_and_sync::<Shard>();
const _: () = send_and_sync::<Snapshot>();
