//! The shards of one follower, by id.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::{Cell, Key};
use crate::ids::{Incarnation, LogId, NewShard, SeqNo, ShardId};
use crate::published::Published;
use crate::reached::Reached;
use crate::shard::{Advance, Shard};
use crate::snapshot::{Snapshot, SnapshotEntry};
use crate::sync::{Mutex, locked};
use crate::table::{Slab, Table};
use crate::waiters::{WaitError, Woken};

/// The high-water mark of every shard that a follower tracks: the last WAL segment that has been
/// fully applied.
///
/// Cloning it copies the marks into a state of its own and shares nothing (O(shards)); share one
/// state with `Arc`, and one shard with [`Shard`].
///
/// Reading and advancing never wait for each other, nor for shards that come and go; an advance
/// takes a lock only where it reaches what somebody [waits](Self::wait_for) for. A look-up by id costs a hash; keep a [`Shard`] where it matters.
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
    /// its shard's mark from then on. Costs one load a shard and one allocation.
    pub fn snapshot(&self) -> Snapshot {
        self.table.read(|table| {
            Snapshot::of(Arc::clone(table.keys()), table.marks(), table.next_incarnation())
        })
    }

    /// Advances every tracked shard to its mark in `snapshot`, matched by id.
    ///
    /// The caller vouches that the snapshot speaks of the same logs: a snapshot taken before a
    /// shard was reset must not be merged after it.
    pub fn merge(&self, snapshot: &Snapshot) -> Merged {
        let mut merged = Merged::default();
        for (shard, mark) in snapshot {
            match self.advance(shard, mark) {
                Advance::Moved { .. } => merged.moved += 1,
                Advance::UnknownShard => merged.unknown.push(shard),
                Advance::AlreadyApplied { .. } | Advance::Gap { .. } | Advance::Removed => {}
            }
        }
        merged
    }

    /// Begins to track a shard, in a new cell at the given mark.
    ///
    /// # Errors
    /// [`AlreadyTracked`] where it is tracked; its mark is untouched.
    pub fn add_shard(&self, new: NewShard) -> Result<Shard, AlreadyTracked> {
        locked(&self.changing, |changing| {
            let added = self.table.read(|table| table.with(&[new]));
            let (table, slab) = added.map_err(AlreadyTracked::of)?;
            self.publish(table, &slab, changing);
            Ok(Shard::new(slab, 0))
        })
    }

    /// Begins to track many shards for the price of one copy of the table; all of them or none.
    ///
    /// # Errors
    /// [`AlreadyTracked`] names the first shard that is tracked, or given twice; nothing changed.
    pub fn add_shards(&self, new: &[NewShard]) -> Result<(), AlreadyTracked> {
        locked(&self.changing, |changing| {
            let added = self.table.read(|table| table.with(new));
            let (table, slab) = added.map_err(AlreadyTracked::of)?;
            self.publish(table, &slab, changing);
            Ok(())
        })
    }

    fn publish(&self, table: Table, added: &Slab, changing: &Changing) {
        if changing.closed {
            added.iter().for_each(|cell| cell.close().wake()); // nobody waits yet
        }
        self.table.replace(table);
    }

    /// Ends this life of a shard and begins another at the given mark and log, in one step: after a
    /// new base copy, or when the tail of its log was cut. `None` where it is not tracked. Who waits
    /// on the ended life is told [`WaitError::Removed`].
    ///
    /// Saved checkpoints speak of the ended life until the next saves. Where the data of the shard
    /// is replaced as well, remove it, wait until no checkpoint names it, replace the data, and only
    /// then add it again: otherwise a crash brings the old mark back beside the new data.
    pub fn reset_shard(&self, new: NewShard) -> Option<Shard> {
        let (began, woken) = locked(&self.changing, |changing| {
            let ended = self.shard(new.shard)?;
            let reset = self.table.read(|table| table.without(new.shard).with(&[new]));
            let (table, slab) = reset.ok()?;
            self.publish(table, &slab, changing);
            Some((Shard::new(slab, 0), ended.cell().retire()))
        })?;
        woken.wake();
        Some(began)
    }

    /// Ceases to track a shard, and returns a handle on the life that has ended; `None` where it
    /// is not tracked. Who waits on it is told [`WaitError::Removed`].
    pub fn remove_shard(&self, shard: ShardId) -> Option<Shard> {
        let (ended, woken) = locked(&self.changing, |_| {
            let ended = self.shard(shard)?;
            self.table.replace(self.table.read(|table| table.without(shard)));
            let woken = ended.cell().retire();
            Some((ended, woken))
        })?;
        woken.wake();
        Some(ended)
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
    /// taken. O(shards).
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
        Self::restore(snapshot.entries(), snapshot.next_incarnation())
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

/// A shard could not be added, as it is tracked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlreadyTracked {
    /// The shard.
    pub shard: ShardId,
}

impl AlreadyTracked {
    fn of(shard: ShardId) -> Self {
        AlreadyTracked { shard }
    }
}

impl fmt::Display for AlreadyTracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard;
        write!(f, "shard {shard} is already tracked: to begin it again at another mark, reset it")
    }
}

impl std::error::Error for AlreadyTracked {}

const fn send_and_sync<T: Send + Sync>() {}
const _: () = send_and_sync::<ReplicationState>();
const _: () = send_and_sync::<Shard>();
const _: () = send_and_sync::<Snapshot>();
