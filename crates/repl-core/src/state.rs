//! The shards of one follower, by id.

mod lives;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::{Cell, Key};
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::published::Published;
use crate::reached::{Reached, WaitError};
use crate::shard::{Advance, Shard};
use crate::snapshot::{Snapshot, SnapshotEntry};
use crate::sync::{Mutex, locked};
use crate::table::Table;
use crate::wakers::Woken;

pub use self::lives::AlreadyTracked;

/// The high-water mark of every shard that a follower tracks: the last WAL segment that has been
/// fully applied.
///
/// Cloning it copies the marks into a state of its own and shares nothing (O(shards)); share one
/// state with `Arc`, and one shard with [`Shard`].
///
/// Reading and advancing never wait for each other, nor for shards that come and go; an advance
/// takes a lock only where it reaches what somebody [waits](Self::wait_for) for, or where the shard
/// has an [`ApplyWindow`](crate::ApplyWindow) or something completed above its mark. A look-up by
/// id costs a hash; keep a [`Shard`] where it matters.
///
/// The gate against applying a segment twice is a read *before* applying, with one applier per
/// shard:
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
/// # Shards that come and go
/// Each time a shard is added or reset it gets a new *cell*. Removing or resetting it ends the old
/// one: its handles answer [`Advance::Removed`]. So a shard may begin again at a lower mark, but no
/// mark ever falls. Each such call copies the table of shards, O(shards); add many in one
/// [`add_shards`](ReplicationState::add_shards).
pub struct ReplicationState {
    table: Published,
    /// Held by who replaces the table, so that no replacement is lost.
    changing: Mutex<Changing>,
}

#[derive(Default)]
struct Changing {
    /// Whether cells that are added begin their lives closed.
    closed: bool,
}

impl ReplicationState {
    /// Tracks `shards`, all with nothing applied. Ids given twice collapse; none at all is legal.
    pub fn new(shards: &[ShardId]) -> Self {
        let entry = |shard: &ShardId| SnapshotEntry {
            shard: *shard,
            log: LogId::UNNAMED,
            incarnation: Incarnation(0),
            mark: 0,
        };
        Self::restore(shards.iter().map(entry), Incarnation(0))
    }

    /// Tracks only [`ShardId::SINGLE`].
    pub fn single() -> Self {
        Self::new(&[ShardId::SINGLE])
    }

    /// Brings back a state that was saved: `entries` with their incarnations, and the next one.
    /// What was completed above a mark is brought back with [`Shard::complete`].
    ///
    /// Where a shard is given twice the later entry counts, and a `next` that is not above every
    /// incarnation is raised to be.
    pub fn restore(entries: impl IntoIterator<Item = SnapshotEntry>, next: Incarnation) -> Self {
        let mut cells: Vec<(Key, SeqNo)> = entries.into_iter().map(SnapshotEntry::split).collect();
        cells.reverse();
        cells.sort_by_key(|(key, _)| key.shard);
        cells.dedup_by_key(|(key, _)| key.shard);
        let above = cells.iter().map(|(key, _)| key.incarnation.0.saturating_add(1)).max();
        let next = Incarnation(next.0.max(above.unwrap_or(0)));
        Self::of(Table::restore(cells, next))
    }

    fn of(table: Table) -> Self {
        ReplicationState { table: Published::new(table), changing: Mutex::default() }
    }

    /// A handle on one shard, or `None` for a shard that this state does not track.
    pub fn shard(&self, shard: ShardId) -> Option<Shard> {
        self.table.read(|table| table.handle(shard))
    }

    /// The mark of one shard, or `None` for a shard that this state does not track.
    ///
    /// `None` is less than every `Some`, so do not compare the answer with a seqno: an untracked
    /// shard would be applied again and again. Ask `is_some_and(|mark| mark < seqno)`.
    #[inline]
    pub fn applied_seqno(&self, shard: ShardId) -> Option<SeqNo> {
        self.table.read(|table| table.cell(shard).map(Cell::applied))
    }

    /// Moves the mark of one shard forward, never back: see [`Shard::advance`].
    ///
    /// [`Advance::Removed`] means that the shard was removed or reset during this very call.
    #[inline]
    pub fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        self.table.read(|table| match table.cell(shard) {
            Some(cell) => cell.advance(seqno),
            None => Advance::UnknownShard,
        })
    }

    /// All tracked shards with their marks, in ascending order of their ids.
    ///
    /// The marks are read one after the other, not at one instant: each is a valid lower bound of
    /// its shard's mark from then on. Costs two loads a shard and one allocation; where a shard has
    /// an [`ApplyWindow`](crate::ApplyWindow) or something completed above its mark, also a lock
    /// while its ranges are copied, and a load for each seqno of the window up to the highest
    /// completed.
    pub fn snapshot(&self) -> Snapshot {
        self.table.read(|table| {
            let (marks, completed) = table.marks();
            Snapshot::of(Arc::clone(table.keys()), marks, completed, table.next_incarnation())
        })
    }

    /// The same without what is completed above the marks: costs one load a shard and one
    /// allocation, whatever windows there are.
    pub fn marks(&self) -> Snapshot {
        self.table.read(|table| {
            let (keys, marks) = (Arc::clone(table.keys()), table.marks_alone());
            Snapshot::of(keys, marks, Vec::new(), table.next_incarnation())
        })
    }

    /// Advances every tracked shard to its mark in `snapshot`, and completes what is completed
    /// there, matched by id.
    ///
    /// The caller vouches that the snapshot speaks of the same logs: a snapshot taken before a
    /// shard was reset must not be merged after it.
    pub fn merge(&self, snapshot: &Snapshot) -> Merged {
        let mut merged = Merged::default();
        for (shard, mark) in snapshot {
            match self.advance(shard, mark) {
                Advance::Advanced { .. } => merged.moved += 1,
                Advance::UnknownShard => merged.unknown.push(shard),
                Advance::Stale { .. } | Advance::Gap { .. } | Advance::Removed => {}
            }
        }
        self.complete(snapshot);
        merged
    }

    /// What is completed above the marks of `snapshot` is so here.
    fn complete(&self, snapshot: &Snapshot) {
        for (shard, ranges) in snapshot.all_completed() {
            if let Some(shard) = self.shard(shard) {
                for range in ranges {
                    shard.complete(*range);
                }
            }
        }
    }

    /// Blocks until a shard's mark is at `seqno` or above: see [`Shard::wait_for`].
    ///
    /// # Errors
    /// The same, and [`WaitError::UnknownShard`].
    pub fn wait_for(&self, shard: ShardId, seqno: SeqNo) -> Result<SeqNo, WaitError> {
        self.shard(shard).ok_or(WaitError::UnknownShard)?.wait_for(seqno)
    }

    /// The same for at most `timeout`: see [`Shard::wait_for_timeout`].
    ///
    /// # Errors
    /// The same, and [`WaitError::UnknownShard`].
    pub fn wait_for_timeout(
        &self,
        shard: ShardId,
        seqno: SeqNo,
        timeout: Duration,
    ) -> Result<SeqNo, WaitError> {
        self.shard(shard).ok_or(WaitError::UnknownShard)?.wait_for_timeout(seqno, timeout)
    }

    /// The same as a future: see [`Shard::reached`]. It stays with the life that the shard has now.
    pub fn reached(&self, shard: ShardId, seqno: SeqNo) -> Reached {
        Reached::new(self.shard(shard), seqno)
    }

    /// Ends all waiting, for good: who waits for a seqno that is not reached, now or later, is told
    /// [`WaitError::Closed`], on shards that are added later too.
    ///
    /// Marks can still be read and moved, so that appliers may finish and a last checkpoint be
    /// taken. A clone of a closed state is open. O(shards), with a small allocation for
    /// each.
    pub fn close(&self) {
        let woken = locked(&self.changing, |changing| {
            changing.closed = true;
            self.table.read(|table| table.cells().map(Cell::close).collect::<Vec<_>>())
        });
        woken.into_iter().for_each(Woken::wake);
    }
}

/// Copies the marks into a state of its own, O(shards): the two share no atomics.
impl Clone for ReplicationState {
    fn clone(&self) -> Self {
        let snapshot = self.snapshot();
        let state = Self::restore(snapshot.entries(), snapshot.next_incarnation());
        state.complete(&snapshot);
        state
    }
}

impl Default for ReplicationState {
    /// Tracks no shard.
    fn default() -> Self {
        Self::new(&[])
    }
}

impl fmt::Debug for ReplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplicationState").field(&self.snapshot()).finish()
    }
}

/// What [`ReplicationState::merge`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// How many marks it moved.
    pub moved: usize,
    /// Shards of the snapshot that the state does not track, ascending.
    pub unknown: Vec<ShardId>,
}

const fn send_and_sync<T: Send + Sync>() {}
const _: () = send_and_sync::<ReplicationState>();
const _: () = send_and_sync::<Shard>();
const _: () = send_and_sync::<Snapshot>();
