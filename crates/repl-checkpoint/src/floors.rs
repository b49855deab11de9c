//! What others may rely on: which marks are saved, and which segments may be deleted.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use repl_core::{ReplicationState, SeqNo, ShardId};

use crate::content::Content;

/// What a [`Checkpointer`](crate::Checkpointer) has saved, read-only: give clones of it to whoever
/// deletes segments. Reading marks takes no lock.
///
/// Both marks follow the life of a shard: after a shard was reset or removed and added again they
/// are `None` until the new one has been saved often enough itself.
#[derive(Debug, Clone)]
pub struct Floors {
    state: Arc<ReplicationState>,
    view: Arc<ArcSwap<View>>,
    /// Whether a save is under way, or was left in doubt. Set before the save takes its snapshot.
    ///
    /// A lock, as it orders two threads that each write one thing and read the other's: who removes
    /// a shard and then asks [`Floors::is_unreferenced`], and a save that sets this and then reads the
    /// shards. Whichever takes the lock second sees what the first has done.
    saving: Arc<Mutex<bool>>,
}

/// What is known of the saves of this process.
#[derive(Debug, Clone, Default)]
struct View {
    /// What the newest acknowledged generation holds.
    newest: Option<Content>,
    /// What the one before it holds.
    previous: Option<Content>,
    health: Health,
}

/// How the checkpointer fares. Unless it is [`Health::Good`], its floors stand still.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Health {
    /// The last checkpoint succeeded, or none was tried yet.
    #[default]
    Good,
    /// The last checkpoints failed; the next one may succeed.
    Failing {
        /// How many failed, one after the other.
        failures: u64,
        /// What the last one said.
        error: String,
    },
    /// A save was in doubt: none is tried again until the store is opened again.
    Poisoned {
        /// What the save said.
        error: String,
    },
    /// The background thread has ended by a panic in a function that it was given.
    Stopped {
        /// What the panic said.
        error: String,
    },
}

impl Floors {
    pub(crate) fn new(state: Arc<ReplicationState>) -> Self {
        Floors { state, view: Arc::default(), saving: Arc::default() }
    }

    /// The newest saved mark of a shard: no crash from now on takes the shard below it. `None`
    /// until the first save of this process that holds the shard.
    pub fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.mark_in(self.view.load().newest.as_ref()?, shard)
    }

    /// Segments up to and including this one may be deleted: it is the mark in the checkpoint
    /// *before* the newest, so that falling back to that one never needs a deleted segment.
    ///
    /// `None` until the second save of this process that holds the shard: delete nothing then. It
    /// is at most [`checkpointed`](Floors::checkpointed), and rises with the next save only: to
    /// bring it up to a mark that does not move, save twice.
    pub fn retention_floor(&self, shard: ShardId) -> Option<SeqNo> {
        let view = self.view.load();
        // A shard that the newest checkpoint no longer names has no floor either.
        self.mark_in(view.newest.as_ref()?, shard)?;
        self.mark_in(view.previous.as_ref()?, shard)
    }

    /// Whether no checkpoint that a recovery could use names the shard, in any of its lives: only
    /// then may the data of a removed or forgotten shard be dropped or replaced. Otherwise a crash
    /// would bring back a mark that speaks of data which is no longer there.
    ///
    /// False until two saves of this process have left the shard out, while a save is under way
    /// (it may have begun when the shard was there), and for ever after one in doubt: ask again
    /// later. Takes a lock for a moment.
    pub fn is_unreferenced(&self, shard: ShardId) -> bool {
        let saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if *saving {
            return false;
        }
        let view = self.view.load();
        let without = |saved: &Option<Content>| saved.as_ref().is_some_and(|c| !c.names(shard));
        without(&view.newest) && without(&view.previous)
    }

    /// How the checkpointer fares.
    pub fn health(&self) -> Health {
        self.view.load().health.clone()
    }

    /// The mark of the shard as it lives now.
    fn mark_in(&self, saved: &Content, shard: ShardId) -> Option<SeqNo> {
        let entry = saved.marks.entry(shard)?;
        let now = self.state.shard(shard)?.incarnation();
        (entry.incarnation == now).then_some(entry.mark)
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
