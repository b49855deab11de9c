//! Saves the marks behind the data that they speak of.

mod error;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use repl_core::{ReplicationState, ShardId, Snapshot, SnapshotEntry};

use crate::background::{BackgroundCheckpointer, Schedule, SpawnError};
use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::codec::Codec;
use crate::content::{Content, Extra};
use crate::envelope::{Generation, Header, seal};
use crate::floors::{Floors, Health};
use crate::store::{CheckpointStore, Save, SaveError};

pub use self::error::CheckpointError;

/// Saves the marks of a [`ReplicationState`], each time in this order:
/// 1. take a snapshot of the marks,
/// 2. have the engine make its data durable up to them (`flush`),
/// 3. encode, seal and save the marks,
/// 4. move the checkpointed marks and the retention floors.
///
/// So `floor <= checkpointed <= durable <= applied` holds for every shard at every instant, and a
/// crash between any two steps loses nothing. It comes from [`recover`](crate::recover()).
pub struct Checkpointer {
    state: Arc<ReplicationState>,
    store: Box<dyn CheckpointStore>,
    codec: Box<dyn Codec>,
    floors: Floors,
    /// What no cell of the state holds, and what must not be lost all the same.
    extra: Arc<Extra>,
    /// The marks found at the start: no save of the same life of a shard goes below them.
    recovered: Arc<Snapshot>,
    /// What this process has saved: the newest, and the one before it.
    newest: Option<Content>,
    previous: Option<Content>,
    /// The newest generation known to survive a crash.
    confirmed: Generation,
    /// The highest generation ever attempted.
    attempted: Generation,
    failures: u64,
    /// The place that a save in doubt spoke of: no more are tried.
    poisoned: Option<PathBuf>,
}

/// What came of [`Checkpointer::checkpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saved {
    /// The marks were saved.
    Written {
        /// As this generation.
        generation: Generation,
    },
    /// The last two checkpoints of this process already hold exactly these marks: nothing was
    /// written, and both [`Floors`] stand at them.
    Unchanged,
}

/// What recovery hands to a new checkpointer.
pub(crate) struct Start {
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) found: Checkpoint,
    pub(crate) unnamed: Vec<ShardCheckpoint>,
    pub(crate) confirmed: Generation,
    pub(crate) attempted: Generation,
}

impl Checkpointer {
    pub(crate) fn new(start: Start) -> Self {
        let Start { state, store, codec, found, unnamed, confirmed, attempted } = start;
        let recovered: Snapshot = found.shards.iter().map(SnapshotEntry::from).collect();
        let with_epochs = found.shards.into_iter().filter(|s| !s.epochs.is_empty()).collect();
        Checkpointer {
            floors: Floors::new(Arc::clone(&state)),
            state,
            store,
            codec,
            extra: Arc::new(Extra { unnamed, with_epochs }),
            recovered: Arc::new(recovered),
            newest: None,
            previous: None,
            confirmed,
            attempted,
            failures: 0,
            poisoned: None,
        }
    }

    /// Saves the current marks.
    ///
    /// `flush` makes the engine durable up to the snapshot that it is given, with what is completed
    /// above its marks, and lowers any mark that is not durable yet ([`Snapshot::lower`]); where
    /// only what is completed above a mark is not durable, it [forgets] that. What is forgotten,
    /// lowered marks forget it too, is offered again, though an earlier save may have held it.
    /// Raising a mark is ignored. It is not called where the last two saves of this process hold
    /// exactly the current marks: then nothing is written either.
    ///
    /// [forgets]: Snapshot::forget_completed
    ///
    /// Costs the flush, one pass over the marks and one save.
    ///
    /// # Errors
    /// [`CheckpointError`]; the floors stand still, [`Floors::health`] says so, and only after
    /// [`SaveError::InDoubt`] may the new marks be found after a crash.
    pub fn checkpoint<E: fmt::Display>(
        &mut self,
        flush: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<Saved, CheckpointError<E>> {
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
        // What was left in doubt may be found by a recovery.
        self.floors.set_saving(self.poisoned.is_some());
        result
    }

    fn try_checkpoint<E>(
        &mut self,
        flush: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<Saved, CheckpointError<E>> {
        let mut marks = self.state.snapshot(); // 1
        self.forget_named(&marks);
        if self.holds(&marks) {
            return Ok(Saved::Unchanged);
        }
        let taken = marks.clone();
        flush(&mut marks).map_err(CheckpointError::Flush)?; // 2
        let marks = self.durable(taken, &marks)?;
        if self.holds(&marks) {
            return Ok(Saved::Unchanged);
        }
        let generation = self.attempted.checked_add(1).ok_or(CheckpointError::NoGenerationLeft)?;
        let confirmed = self.confirmed;
        let header = Header { store: self.store.store_id(), generation, confirmed };
        let content = Content { marks: Arc::new(marks), extra: Arc::clone(&self.extra) };
        let bytes = seal(&*self.codec, header, &content.checkpoint())?;
        self.attempted = generation;
        self.store.save(Save { generation, confirmed, bytes: &bytes })?; // 3
        self.confirmed = generation;
        self.previous = self.newest.replace(content.clone());
        self.floors.saved(content, self.previous.clone()); // 4
        Ok(Saved::Written { generation })
    }

    /// Saves on a thread of its own, on a schedule, until [`BackgroundCheckpointer::close`].
    ///
    /// `flush` is as in [`checkpoint`](Checkpointer::checkpoint). `on_error` sees every failure.
    /// After one the thread tries again at the next turn, unless the store is poisoned: then it
    /// waits to be closed, with the floors frozen, and the engine goes on.
    ///
    /// # Errors
    /// [`SpawnError`] where the operating system has no thread left.
    pub fn spawn<E: fmt::Display + Send + 'static>(
        self,
        when: Schedule,
        flush: impl FnMut(&mut Snapshot) -> Result<(), E> + Send + 'static,
        on_error: impl FnMut(&CheckpointError<E>) + Send + 'static,
    ) -> Result<BackgroundCheckpointer<E>, SpawnError> {
        BackgroundCheckpointer::start(self, when, flush, on_error)
    }

    /// What is saved, for others to read.
    pub fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// The marks that this saves.
    pub fn state(&self) -> &Arc<ReplicationState> {
        &self.state
    }

    /// The shards of the recovered checkpoint that the engine did not name, which every save keeps
    /// as they are until they are forgotten, or until a save finds them tracked by the state. One
    /// that is tracked and removed again between two saves stays: its data may not be dropped
    /// before [`Floors::is_unreferenced`].
    ///
    /// To go on with one, add it to the state at its mark and log, and give the new [`Shard`] its
    /// completed ranges: [`Shard::complete`].
    ///
    /// [`Shard`]: repl_core::Shard
    /// [`Shard::complete`]: repl_core::Shard::complete
    pub fn unnamed(&self) -> &[ShardCheckpoint] {
        &self.extra.unnamed
    }

    /// Leaves an unnamed shard out of all later saves. Its data may be dropped once
    /// [`Floors::is_unreferenced`] says so. Returns whether it was there.
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool {
        let known = self.extra.unnamed.iter().any(|s| s.shard == shard);
        if known {
            Arc::make_mut(&mut self.extra).unnamed.retain(|s| s.shard != shard);
        }
        known
    }

    /// An unnamed shard that the state has come to track is the state's from then on.
    fn forget_named(&mut self, marks: &Snapshot) {
        let named = |s: &ShardCheckpoint| marks.get(s.shard).is_some();
        if self.extra.unnamed.iter().any(named) {
            Arc::make_mut(&mut self.extra).unnamed.retain(|s| !named(s));
        }
    }

    /// The marks of the last save of this process, or those found at the start.
    pub(crate) fn last_marks(&self) -> Snapshot {
        let newest = self.newest.as_ref().map_or(&self.recovered, |content| &content.marks);
        Snapshot::clone(newest)
    }

    /// Whether both the newest save of this process and the one before it hold just this.
    fn holds(&self, marks: &Snapshot) -> bool {
        let is = |content: &Option<Content>| {
            content.as_ref().is_some_and(|content| content.is(marks, &self.extra))
        };
        is(&self.newest) && is(&self.previous)
    }

    /// The marks that were taken, lowered as the flush lowered them.
    fn durable<E>(
        &self,
        mut taken: Snapshot,
        flushed: &Snapshot,
    ) -> Result<Snapshot, CheckpointError<E>> {
        let newest = self.newest.as_ref().map_or(&self.recovered, |content| &content.marks);
        if taken != *flushed {
            let lower = |(shard, _)| (shard, flushed.get(shard).unwrap_or(0));
            for (shard, to) in taken.iter().map(lower).collect::<Vec<_>>() {
                taken.lower(shard, to);
            }
            let changed = |(shard, ranges)| (flushed.completed(shard) != ranges).then_some(shard);
            for shard in taken.all_completed().filter_map(changed).collect::<Vec<_>>() {
                taken.forget_completed(shard);
            }
        }
        let mut before = newest.entries().peekable();
        for entry in taken.entries() {
            while before.next_if(|old| old.shard < entry.shard).is_some() {}
            let Some(old) = before.next_if(|old| old.shard == entry.shard) else {
                continue;
            };
            if old.incarnation == entry.incarnation && entry.mark < old.mark {
                let (shard, saved, lowered) = (entry.shard, old.mark, entry.mark);
                return Err(CheckpointError::BelowLastSave { shard, saved, lowered });
            }
        }
        Ok(taken)
    }

    fn failed<E: fmt::Display>(&mut self, error: &CheckpointError<E>) {
        self.failures += 1;
        let error_text = error.to_string();
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
