//! The saved marks, and the segments that may be deleted.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use repl_core::{ReplicationState, SeqNo, ShardId};

use crate::content::Content;

/// A read-only view of what a [`Checkpointer`](crate::Checkpointer) has saved.
///
/// Clone it into the part of the engine that deletes segments. Reading a mark takes no lock. After
/// a shard was reset, or removed and added again, its marks are `None` until the new incarnation
/// has been saved often enough.
#[derive(Debug, Clone)]
pub struct Floors {
    state: Arc<ReplicationState>,
    view: Arc<ArcSwap<View>>,
    /// Whether a save is in progress or was left in doubt. Set before the save takes its snapshot.
    ///
    /// Two threads each write one thing and read the other's: one removes a shard and then asks
    /// [`Floors::is_unreferenced`], the other sets this and then reads the shards. The lock orders
    /// them: the second to take it sees what the first did.
    saving: Arc<Mutex<bool>>,
}

/// The saves of this process.
#[derive(Debug, Clone, Default)]
struct View {
    /// The content of the newest acknowledged generation.
    newest: Option<Content>,
    /// The content of the one before it.
    previous: Option<Content>,
    health: Health,
}

/// The state of a checkpointer. Its floors move only while it is [`Health::Good`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Health {
    /// The last checkpoint succeeded, or none has been tried.
    #[default]
    Good,
    /// The last checkpoints failed; the next one may succeed.
    Failing {
        /// The number of failures in a row.
        failures: u64,
        /// The last error and its causes.
        error: String,
    },
    /// A save is in doubt. No more are tried until the store is opened again.
    Poisoned {
        /// The error and its causes.
        error: String,
    },
    /// The background thread ended: a function given to it panicked.
    Stopped {
        /// The message of the panic.
        error: String,
    },
}

impl Floors {
    pub(crate) fn new(state: Arc<ReplicationState>) -> Self {
        Floors { state, view: Arc::default(), saving: Arc::default() }
    }

    /// Returns the newest saved mark of a shard; no later crash loses it.
    ///
    /// `None` until this process has saved the shard once.
    pub fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.mark_in(self.view.load().newest.as_ref()?, shard)
    }

    /// Returns the last segment of a shard that may be deleted, with all before it.
    ///
    /// `None` until this process has saved the shard twice; delete nothing then. It is the mark in
    /// the checkpoint *before* the newest, so that falling back to that one never needs a deleted
    /// segment. It is at most [`checkpointed`](Floors::checkpointed). To raise it to a mark that no
    /// longer moves, save twice.
    pub fn retention_floor(&self, shard: ShardId) -> Option<SeqNo> {
        let view = self.view.load();
        // A shard that is missing in the newest checkpoint has no floor either.
        self.mark_in(view.newest.as_ref()?, shard)?;
        self.mark_in(view.previous.as_ref()?, shard)
    }

    /// Returns whether no checkpoint that a recovery could use holds the shard, in any incarnation.
    ///
    /// Only then drop or replace the data of a removed or orphaned shard: otherwise a crash could
    /// restore a mark for data that is gone. Returns false until two saves of this process have
    /// left the shard out, while a save is in progress, and after one in doubt. Takes a short lock.
    pub fn is_unreferenced(&self, shard: ShardId) -> bool {
        let saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if *saving {
            return false;
        }
        let view = self.view.load();
        let without = |saved: &Option<Content>| saved.as_ref().is_some_and(|c| !c.names(shard));
        without(&view.newest) && without(&view.previous)
    }

    /// Returns the state of the checkpointer.
    pub fn health(&self) -> Health {
        self.view.load().health.clone()
    }

    /// The saved mark of the current incarnation of a shard.
    fn mark_in(&self, saved: &Content, shard: ShardId) -> Option<SeqNo> {
        let entry = saved.marks.entry(shard)?;
        let now = self.state.shard(shard)?.incarnation();
        (entry.incarnation == now).then_some(entry.mark())
    }

    pub(crate) fn set_saving(&self, saving: bool) {
        *self.saving.lock().unwrap_or_else(PoisonError::into_inner) = saving;
    }

    pub(crate) fn saved(&self, newest: Content, previous: Option<Content>) {
        let view = View { newest: Some(newest), previous, health: Health::Good };
        self.view.store(Arc::new(view));
    }

    pub(crate) fn set_health(&self, health: Health) {
        let view = View { health, ..View::clone(&self.view.load()) };
        self.view.store(Arc::new(view));
    }
}
