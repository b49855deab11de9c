//! The saved marks, and the segments that may be deleted.

mod saved;

use std::fmt;
use std::sync::Arc;

use repl_core::{ReplicationState, SeqNo, Shard, ShardId, Snapshot};

use crate::content::Content;
use crate::health::Health;
use crate::shared::Shared;

pub use self::saved::UntilSaved;

/// A read-only view of what a [`Checkpointer`](crate::Checkpointer) has saved.
///
/// Clone it into the part of the engine that deletes segments. Reading a mark takes no lock. After
/// a shard was reset, or removed and added again, its marks are `None` until the new incarnation
/// has been saved often enough. The same holds for all shards after the store was
/// [opened again](crate::Checkpointer::reopen).
///
/// An engine that commits the marks in its own transactions has no checkpointer: see
/// [`Floors::of_durable`].
#[derive(Clone)]
pub struct Floors(Source);

#[derive(Clone)]
enum Source {
    Saved(Arc<Shared>),
    Durable(Arc<ReplicationState>),
}

impl Floors {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Floors(Source::Saved(shared))
    }

    /// Returns the floors of a state whose marks are durable as soon as they are visible.
    ///
    /// For engines that commit the marks in the transaction of the data, as
    /// [`CheckpointBytes`](crate::CheckpointBytes) describes, and advance the state only once the
    /// commit is durable. Then the applied mark is also the checkpointed mark and the retention
    /// floor.
    ///
    /// Not for a state that a [`Checkpointer`](crate::Checkpointer) saves, even if each apply is
    /// durable: a restart begins at the saved marks, and needs the segments above them.
    ///
    /// At a start, make one commit that changes something before you delete anything: the process
    /// before may have been killed between its last write and the sync, and what the database then
    /// recovers is in the cache alone.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use repl_checkpoint::Floors;
    /// use repl_core::{ReplicationState, ShardId};
    ///
    /// let state = Arc::new(ReplicationState::new(&[ShardId(1)]));
    /// let floors = Floors::of_durable(Arc::clone(&state));
    /// state.advance(ShardId(1), 7); // after the commit
    /// assert_eq!(floors.retention_floor(ShardId(1)), Some(7));
    /// ```
    pub fn of_durable(state: Arc<ReplicationState>) -> Self {
        Floors(Source::Durable(state))
    }

    /// Returns the newest saved mark of a shard; no later crash loses it.
    ///
    /// `None` until this process has saved the shard once.
    pub fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        match &self.0 {
            Source::Saved(inner) => {
                let now = inner.state().shard(shard)?;
                mark_in(inner.saves().newest.as_ref()?, &now)
            }
            Source::Durable(state) => state.applied_seqno(shard),
        }
    }

    /// Returns the last segment of a shard that may be deleted, with all before it.
    ///
    /// `None` until this process has saved the shard twice; delete nothing then. It is the mark in
    /// the checkpoint *before* the newest, so that falling back to that one never needs a deleted
    /// segment. It is at most [`checkpointed`](Floors::checkpointed). If a mark no longer
    /// moves, the floor reaches it after two saves.
    pub fn retention_floor(&self, shard: ShardId) -> Option<SeqNo> {
        match &self.0 {
            Source::Saved(inner) => {
                let saves = inner.saves();
                let now = inner.state().shard(shard)?;
                mark_in(saves.previous.as_ref()?, &now)
            }
            Source::Durable(state) => state.applied_seqno(shard),
        }
    }

    /// Returns the checkpointed marks of all shards, with the ranges above them. Report them to a
    /// leader.
    ///
    /// O(shards).
    pub fn checkpointed_marks(&self) -> Snapshot {
        match &self.0 {
            Source::Saved(inner) => {
                let saves = inner.saves();
                saves.newest.as_ref().map(|newest| of_now(inner.state(), newest))
            }
            Source::Durable(state) => Some(state.snapshot()),
        }
        .unwrap_or_default()
    }

    /// Returns [`retention_floor`](Floors::retention_floor) of every shard that has one.
    ///
    /// O(shards).
    pub fn retention_floors(&self) -> Snapshot {
        match &self.0 {
            Source::Saved(inner) => {
                let saves = inner.saves();
                let previous = saves.previous.as_ref();
                previous.map(|previous| of_now(inner.state(), previous).without_above())
            }
            Source::Durable(state) => Some(state.marks()),
        }
        .unwrap_or_default()
    }

    /// Waits until a mark is saved: until [`checkpointed`](Floors::checkpointed) is at `seqno` or
    /// above; the result is the saved mark.
    ///
    /// For a client that must know that its write survives a crash of this follower. It waits until
    /// the seqno is applied, which [`Shard::awaited`](repl_core::Shard::awaited) shows, and then
    /// for a checkpoint; it does not request one. Each checkpoint that ends wakes every such wait.
    /// After the store was [opened again](crate::Checkpointer::reopen) every seqno waits for the
    /// next save.
    ///
    /// # Errors
    /// The future fails if the seqno is not saved, and
    /// - the shard is not tracked
    ///   ([`WaitError::UnknownShard`](repl_core::WaitError::UnknownShard)),
    /// - the shard is removed or reset ([`WaitError::Removed`](repl_core::WaitError::Removed)),
    ///   which is noticed at the end of a checkpoint at the latest,
    /// - the checkpointer is gone, as after a panic of a background one, or a save is in doubt
    ///   ([`WaitError::Closed`](repl_core::WaitError::Closed)); a remote store settles its doubts,
    ///   so there the wait goes on, and fails once the store is lost to this process,
    /// - the state or the shard is closed before the seqno is applied (the same).
    ///
    /// ```
    /// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, recover};
    /// use repl_core::ShardId;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
    /// let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
    /// let floors = follower.checkpointer.floors();
    /// let mark = std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         follower.state.advance(ShardId(1), 7);
    ///         follower.checkpointer.checkpoint(|_| Ok(()))
    ///     });
    ///     floors.saved(ShardId(1), 5).wait() // blocks the thread; or `.await` it
    /// })?;
    /// assert_eq!(mark, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saved(&self, shard: ShardId, seqno: SeqNo) -> UntilSaved {
        UntilSaved::new(self.clone(), shard, seqno)
    }

    /// Returns whether no checkpoint that a recovery could use holds the shard, in any incarnation.
    ///
    /// Only then drop or replace the data of a removed or orphaned shard: otherwise a crash could
    /// restore a mark for data that is gone. Returns false until two saves of this process have
    /// left the shard out, while any [`Attempt`](crate::Attempt) exists, and after a save in doubt.
    /// Takes a short lock.
    ///
    /// With [`Floors::of_durable`] it returns whether the state does not track the shard: commit
    /// the removal first, then remove the shard from the state.
    pub fn is_unreferenced(&self, shard: ShardId) -> bool {
        match &self.0 {
            Source::Saved(inner) => {
                let without =
                    |saved: &Option<Content>| saved.as_ref().is_some_and(|c| !c.names(shard));
                let unreferenced = inner
                    .between_attempts(|saves| without(&saves.newest) && without(&saves.previous));
                unreferenced.unwrap_or(false)
            }
            Source::Durable(state) => state.applied_seqno(shard).is_none(),
        }
    }

    /// Returns the state of the checkpointer. Takes a short lock.
    ///
    /// With [`Floors::of_durable`] there is none, and it is always the default.
    pub fn health(&self) -> Health {
        match &self.0 {
            Source::Saved(inner) => inner.health(),
            Source::Durable(_) => Health::default(),
        }
    }

    pub(crate) fn state(&self) -> &Arc<ReplicationState> {
        match &self.0 {
            Source::Saved(inner) => inner.state(),
            Source::Durable(state) => state,
        }
    }
}

/// The saved mark of the present incarnation of a shard.
fn mark_in(saved: &Content, now: &Shard) -> Option<SeqNo> {
    let is_same = saved.marks.incarnation(now.id())? == now.incarnation();
    if is_same { saved.marks.mark(now.id()) } else { None }
}

/// What is saved of the present incarnations.
fn of_now(state: &ReplicationState, saved: &Content) -> Snapshot {
    let now = state.marks();
    let mut marks = Snapshot::clone(&saved.marks);
    marks.retain(|shard| same_incarnation(&now, &saved.marks, shard));
    marks
}

fn same_incarnation(a: &Snapshot, b: &Snapshot, shard: ShardId) -> bool {
    a.incarnation(shard).is_some() && a.incarnation(shard) == b.incarnation(shard)
}

impl fmt::Debug for Floors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Floors").field("health", &self.health()).finish_non_exhaustive()
    }
}
