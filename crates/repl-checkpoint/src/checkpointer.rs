//! Saves the marks after the data that they cover is durable.

mod error;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use repl_core::{ReplicationState, ShardId, Snapshot, SnapshotEntry};

use crate::causes::with_causes;
use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::codec::Codec;
use crate::content::{Carried, Content};
use crate::envelope::Header;
use crate::floors::{Floors, Health};
use crate::ids::Generation;
use crate::store::{CheckpointStore, Save, SaveError, Unshared};

pub use self::error::CheckpointError;

/// Saves the marks of a [`ReplicationState`] after the engine has flushed its data.
///
/// [`recover`](crate::recover()) returns it. Each checkpoint takes these steps:
/// 1. take a snapshot of the marks,
/// 2. have the engine make its data durable up to them (`flush`),
/// 3. encode, seal and save the marks,
/// 4. move the checkpointed marks and the retention floors.
///
/// So `floor <= checkpointed <= durable <= applied` holds for every shard at every instant, and a
/// crash between any two steps loses nothing.
pub struct Checkpointer {
    state: Arc<ReplicationState>,
    store: Unshared,
    codec: Box<dyn Codec>,
    floors: Floors,
    /// What the state does not hold and no save may lose.
    carried: Arc<Carried>,
    /// The recovered marks. No save goes below them within one incarnation of a shard.
    recovered: Arc<Snapshot>,
    /// The newest save of this process, and the one before it.
    newest: Option<Content>,
    previous: Option<Content>,
    /// The newest generation known to survive a crash.
    confirmed: Generation,
    /// The highest generation ever attempted.
    attempted: Generation,
    failures: u64,
    /// The path of a save in doubt, after which none is tried.
    poisoned: Option<PathBuf>,
}

/// The result of a successful [`Checkpointer::checkpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saved {
    /// The marks were saved.
    #[non_exhaustive]
    Written {
        /// The generation of the save.
        generation: Generation,
    },
    /// Nothing was written: the last two saves of this process hold exactly these marks.
    ///
    /// So the checkpointed mark and the retention floor of each shard are at its current mark.
    Unchanged,
}

/// What recovery passes to a new checkpointer.
pub(crate) struct Start {
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) found: Checkpoint,
    pub(crate) orphaned: Vec<ShardCheckpoint>,
    pub(crate) confirmed: Generation,
    pub(crate) attempted: Generation,
}

impl Checkpointer {
    pub(crate) fn new(start: Start) -> Self {
        let Start { state, store, codec, found, orphaned, confirmed, attempted } = start;
        let recovered: Snapshot = found.shards.iter().map(SnapshotEntry::from).collect();
        let with_epochs = found.shards.into_iter().filter(|s| !s.epochs.is_empty()).collect();
        Checkpointer {
            floors: Floors::new(Arc::clone(&state)),
            state,
            store: Unshared::new(store),
            codec,
            carried: Arc::new(Carried { orphaned, with_epochs }),
            recovered: Arc::new(recovered),
            newest: None,
            previous: None,
            confirmed,
            attempted,
            failures: 0,
            poisoned: None,
        }
    }

    /// Flushes the engine, then saves its marks.
    ///
    /// `flush` gets a snapshot and must make the engine's data durable up to its marks, and the
    /// ranges that are completed above them. What is not durable it takes out of the snapshot: it
    /// lowers the mark ([`Snapshot::lower`]), or drops only the ranges above it
    /// ([`Snapshot::drop_above`]). Ranges dropped either way are replayed after a crash even
    /// if an earlier checkpoint held them. Raising a mark has no effect.
    ///
    /// If the last two saves of this process hold exactly the current marks, neither `flush` nor
    /// the store is called. Costs the flush, one pass over the marks and one save.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move, and [`Floors::health`] says why. Only after
    /// [`SaveError::InDoubt`] may a crash leave the new marks.
    pub fn checkpoint<E: Into<Box<dyn Error + Send + Sync>>>(
        &mut self,
        flush: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<Saved, CheckpointError> {
        if let Some(path) = &self.poisoned {
            return Err(SaveError::Poisoned { path: path.clone() }.into());
        }
        self.floors.set_saving(true);
        let result = self.try_checkpoint(flush);
        match &result {
            Ok(_) => {
                self.failures = 0;
                if self.floors.health() != Health::Good {
                    self.floors.set_health(Health::Good);
                }
            }
            Err(error) => self.failed(error),
        }
        // A recovery may find the save that is in doubt.
        self.floors.set_saving(self.poisoned.is_some());
        result
    }

    fn try_checkpoint<E: Into<Box<dyn Error + Send + Sync>>>(
        &mut self,
        flush: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<Saved, CheckpointError> {
        let mut marks = self.state.snapshot(); // 1
        self.drop_tracked_orphans(&marks);
        if self.holds(&marks) {
            return Ok(Saved::Unchanged);
        }
        let taken = marks.clone();
        flush(&mut marks).map_err(|error| CheckpointError::Flush(error.into()))?; // 2
        let marks = self.durable(taken, &marks)?;
        if self.holds(&marks) {
            return Ok(Saved::Unchanged);
        }
        let generation = self.attempted.checked_add(1).ok_or(CheckpointError::NoGenerationLeft)?;
        let confirmed = self.confirmed;
        let store = self.store.get_mut();
        let header = Header { store: store.store_id(), generation, confirmed };
        let content = Content { marks: Arc::new(marks), carried: Arc::clone(&self.carried) };
        let bytes = content.checkpoint().seal(&*self.codec, header)?;
        self.attempted = generation;
        store.save(Save { generation, confirmed, bytes: &bytes })?; // 3
        self.confirmed = generation;
        self.previous = self.newest.replace(content.clone());
        self.floors.saved(content, self.previous.clone()); // 4
        Ok(Saved::Written { generation })
    }

    /// Returns a view of what is saved, for other parts of the engine.
    pub fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// Returns the state whose marks it saves.
    pub fn state(&self) -> &Arc<ReplicationState> {
        &self.state
    }

    /// Returns the shards of the recovered checkpoint that the state does not track.
    ///
    /// Every save keeps them as they are until [`drop_orphan`](Checkpointer::drop_orphan), or until
    /// a save finds them tracked. A shard that is added and removed again between two saves stays
    /// an orphan; do not drop its data before [`Floors::is_unreferenced`].
    ///
    /// To continue with one, add it to the state at its mark and log, and pass its completed ranges
    /// to [`Shard::complete`].
    ///
    /// [`Shard::complete`]: repl_core::Shard::complete
    pub fn orphaned_shards(&self) -> &[ShardCheckpoint] {
        &self.carried.orphaned
    }

    /// Leaves an orphaned shard out of all later saves; returns whether it was one.
    ///
    /// Drop its data once [`Floors::is_unreferenced`] returns true.
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool {
        let known = self.carried.orphaned.iter().any(|s| s.shard == shard);
        if known {
            Arc::make_mut(&mut self.carried).orphaned.retain(|s| s.shard != shard);
        }
        known
    }

    /// A shard that the state tracks is no orphan from then on.
    fn drop_tracked_orphans(&mut self, marks: &Snapshot) {
        let tracked = |s: &ShardCheckpoint| marks.mark(s.shard).is_some();
        if self.carried.orphaned.iter().any(tracked) {
            Arc::make_mut(&mut self.carried).orphaned.retain(|s| !tracked(s));
        }
    }

    /// The marks of the last save of this process, or the recovered ones.
    pub(crate) fn last_marks(&self) -> Snapshot {
        let newest = self.newest.as_ref().map_or(&self.recovered, |content| &content.marks);
        Snapshot::clone(newest)
    }

    /// Whether the last two saves of this process hold exactly these marks.
    fn holds(&self, marks: &Snapshot) -> bool {
        let is = |content: &Option<Content>| {
            content.as_ref().is_some_and(|content| content.is(marks, &self.carried))
        };
        is(&self.newest) && is(&self.previous)
    }

    /// The snapshot that was taken, lowered as the flush lowered it.
    fn durable(
        &self,
        mut taken: Snapshot,
        flushed: &Snapshot,
    ) -> Result<Snapshot, CheckpointError> {
        let newest = self.newest.as_ref().map_or(&self.recovered, |content| &content.marks);
        if taken != *flushed {
            for entry in taken.clone().entries() {
                let shard = entry.shard;
                taken.lower(shard, flushed.mark(shard).unwrap_or(0));
                if entry.applied_set.range_count() > 0
                    && flushed.applied_set(shard) != Some(entry.applied_set)
                {
                    taken.drop_above(shard);
                }
            }
        }
        let mut before = newest.iter().peekable();
        for (shard, lowered) in &taken {
            while before.next_if(|(old, _)| *old < shard).is_some() {}
            let Some((_, saved)) = before.next_if(|(old, _)| *old == shard) else {
                continue;
            };
            let incarnation = |marks: &Snapshot| marks.entry(shard).map(|entry| entry.incarnation);
            if lowered < saved && incarnation(&taken) == incarnation(newest) {
                return Err(CheckpointError::BelowLastSave { shard, saved, lowered });
            }
        }
        Ok(taken)
    }

    fn failed(&mut self, error: &CheckpointError) {
        self.failures += 1;
        let error_text = with_causes(error);
        self.floors.set_health(match error {
            CheckpointError::Save(
                SaveError::InDoubt { path, .. } | SaveError::Poisoned { path },
            ) => {
                self.poisoned = Some(path.clone());
                Health::Poisoned { error: error_text }
            }
            _ => Health::Failing { failures: self.failures, error: error_text },
        });
    }
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer")
            .field("confirmed", &self.confirmed)
            .field("attempted", &self.attempted)
            .field("health", &self.floors.health())
            .finish_non_exhaustive()
    }
}
