//! Saves the marks after the data that they cover is durable.

mod delta;
mod error;
mod held;
mod orphans;
mod reopened;
mod report;
mod writing;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use repl_core::{ReplicationState, Snapshot};

use crate::attempt::Attempt;
use crate::causes::with_causes;
use crate::checkpoint::ShardCheckpoint;
use crate::codec::Codec;
use crate::content::{Content, Unsealed};
use crate::envelope::Header;
use crate::floors::Floors;
use crate::ids::{Generation, StoreId};
use crate::observe::{self, Flush, Outcome};
use crate::shared::Shared;
use crate::store::CheckpointStore;
use crate::unshared::Unshared;

use self::held::Held;

pub use self::error::CheckpointError;
pub use self::report::{SaveReport, Saved};
pub(crate) use self::writing::{Acknowledged, Prepared, Ready};

/// Saves the marks of a [`ReplicationState`] after the engine has flushed its data.
///
/// [`recover`](crate::recover()) returns it. A checkpoint takes these steps:
/// 1. [`begin`](Checkpointer::begin) takes a snapshot of the marks,
/// 2. the engine makes its data durable up to them: it *flushes*,
/// 3. [`save`](Checkpointer::save) encodes, seals and saves the marks,
/// 4. and then moves the checkpointed marks and the retention floors.
///
/// So `floor <= checkpointed <= durable <= applied` holds for every shard at every instant, and a
/// crash between any two steps loses nothing. [`checkpoint`](Checkpointer::checkpoint) is all of
/// them in a row, with a flush that blocks; [`spawn`](Checkpointer::spawn) does that on a thread of
/// its own.
///
/// # When a flush fails
/// Nothing is saved, and no floor moves. The next flush must cover the same data, and what was
/// applied since. It must not rely on work of the failed flush: after a failed `fsync` the kernel
/// may have dropped the data and marked its pages clean, and the next `fsync` of the same file
/// succeeds without it. Write the data again, or stop and recover from the last checkpoint.
pub struct Checkpointer {
    shared: Arc<Shared>,
    /// `None` after [`reopen`](Checkpointer::reopen) has failed, and beside a remote store.
    store: Option<Unshared<dyn CheckpointStore>>,
    store_id: StoreId,
    codec: Box<dyn Codec>,
    /// Shards that the state does not track and no save may lose, ascending.
    orphaned: Arc<Vec<ShardCheckpoint>>,
    /// The newest save that this process acknowledged, or else what it recovered.
    acknowledged: Written,
    /// The same, or what the store held when it was opened again. No save goes below its marks
    /// within one incarnation of a shard.
    base: Written,
    /// The save in doubt.
    doubtful: Option<Written>,
    /// What the store holds of the saves since it was opened.
    held: Held,
    /// The newest generation known to survive a crash.
    confirmed: Generation,
    /// The highest generation ever attempted.
    attempted: Generation,
    /// The number of bytes of the last whole checkpoint.
    whole_length: usize,
    on_save: Option<Unshared<OnSave>>,
}

type OnSave = dyn FnMut(&SaveReport) + Send;

/// What one save wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) header: Header,
    pub(crate) content: Content,
}

/// What recovery passes to a new checkpointer.
pub(crate) struct Start {
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) store_id: StoreId,
    /// `None` if it is remote.
    pub(crate) store: Option<Box<dyn CheckpointStore>>,
    pub(crate) codec: Box<dyn Codec>,
    /// The newest checkpoint.
    pub(crate) newest: Unsealed,
    pub(crate) attempted: Generation,
}

impl Checkpointer {
    pub(crate) fn new(start: Start) -> Self {
        let Start { state, store_id, store, codec, newest, attempted } = start;
        let Unsealed { header, content, orphaned, length } = newest;
        let recovered = Written { header, content };
        Checkpointer {
            shared: Shared::new(state, store.is_none()),
            store_id,
            store: store.map(Unshared::new),
            codec,
            orphaned: Arc::new(orphaned),
            acknowledged: recovered.clone(),
            base: recovered,
            doubtful: None,
            held: Held::default(),
            confirmed: header.confirmed,
            attempted: attempted.max(header.generation),
            whole_length: length,
            on_save: None,
        }
    }

    /// Flushes the engine, then saves its marks: [`begin`](Checkpointer::begin), `flush` and
    /// [`save`](Checkpointer::save) in a row.
    ///
    /// `flush` must make the engine's data durable up to [`Attempt::marks`], and the ranges that
    /// are completed above them. Where less is durable, it lowers the attempt. An engine whose
    /// every apply is durable before it advances the mark has nothing to flush:
    /// `checkpoint(|_| Ok(()))`.
    ///
    /// If the last two saves of this process hold exactly the current marks, neither `flush` nor
    /// the store is called. Costs the flush, a snapshot, one pass over the marks and one save: of all
    /// marks, or of what has changed if that is little and the store takes deltas.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move, and [`Floors::health`] says why. After
    /// [`SaveError::InDoubt`](crate::SaveError::InDoubt) a crash may leave the new marks; after any
    /// other error it cannot.
    pub fn checkpoint(
        &mut self,
        flush: impl FnOnce(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>>,
    ) -> Result<Saved, CheckpointError> {
        self.attempt(flush).map(|saved| saved.unwrap_or(Saved::Unchanged))
    }

    /// As [`checkpoint`](Self::checkpoint); `None` if nothing was flushed, as the last two saves hold
    /// the marks.
    pub(crate) fn attempt(
        &mut self,
        flush: impl FnOnce(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>>,
    ) -> Result<Option<Saved>, CheckpointError> {
        let Some(mut attempt) = self.begin()? else {
            return Ok(None);
        };
        let flushed = attempt.flush.span().run(|| flush(&mut attempt));
        match flushed {
            Ok(()) => self.save(attempt).map(Some),
            Err(error) => {
                let error = CheckpointError::Flush(error);
                attempt.flush.failed();
                attempt.pending.failed(with_causes(&error), false);
                Err(error)
            }
        }
    }

    /// Begins a checkpoint: takes a snapshot of the marks.
    ///
    /// Returns `None` if the last two saves of this process already hold these marks.
    ///
    /// Make the engine's data durable up to [`Attempt::marks`], or farther, then
    /// [`save`](Checkpointer::save) the attempt. An async engine awaits its flush in between:
    ///
    /// ```
    /// # use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Recovered, StoreId, recover};
    /// # use repl_core::{ShardId, Snapshot};
    /// # struct Engine;
    /// # impl Engine {
    /// #     async fn flush(&self, _: &Snapshot) -> std::io::Result<()> { Ok(()) }
    /// # }
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = Engine;
    /// # let dir = tempfile::tempdir()?;
    /// # let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
    /// # let follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
    /// # let Recovered { state, mut checkpointer, .. } = follower;
    /// state.advance(ShardId(1), 7);
    /// if let Some(attempt) = checkpointer.begin()? {
    ///     engine.flush(attempt.marks()).await?;
    ///     checkpointer.save(attempt)?;
    /// }
    /// assert_eq!(checkpointer.floors().checkpointed(ShardId(1)), Some(7));
    /// # Ok(())
    /// # }
    /// # smol::block_on(run())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CheckpointError::Poisoned`] after a save in doubt.
    pub fn begin(&mut self) -> Result<Option<Attempt>, CheckpointError> {
        let pending = self.shared.begin().map_err(|doubt| {
            observe::not_begun(Outcome::Poisoned);
            CheckpointError::Poisoned { doubt }
        })?;
        let marks = self.state().snapshot(); // 1
        let changes = self.changes(&marks);
        if self.is_saved(&changes) {
            pending.succeeded();
            observe::not_begun(Outcome::Unchanged);
            return Ok(None);
        }
        let flush = Flush::begin(self.store_id);
        Ok(Some(Attempt { marks, changes: Some(changes), pending, flush }))
    }

    /// Saves an attempt whose data is durable.
    ///
    /// Blocks for the save, which writes and syncs a file. Where a task must not block for that
    /// long, wrap the call, as in
    /// `tokio::task::block_in_place(|| checkpointer.save(attempt))` under tokio with several
    /// threads, or move it into `spawn_blocking` (docs/adopting.md shows that). Costs one save, of
    /// all marks or of what has changed.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move, and [`Floors::health`] says why. After
    /// [`SaveError::InDoubt`](crate::SaveError::InDoubt) a crash may leave the new marks; after any
    /// other error it cannot. The attempt is consumed even on error.
    ///
    /// # Panics
    /// If the store panics; the save is in doubt then. If the codec or the function given to
    /// [`on_save`](Checkpointer::on_save) panics; nothing is in doubt then.
    pub fn save(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        self.save_attempt(attempt)
    }

    /// Calls `on_save` after every save, on the thread that saves, once the floors have moved.
    ///
    /// The report says whether the save was whole or a delta, its length, and the time that it
    /// took. A second call replaces the function. It must not block, as that delays the next save.
    pub fn on_save(&mut self, on_save: impl FnMut(&SaveReport) + Send + 'static) {
        self.on_save = Some(Unshared::new(Box::new(on_save)));
    }

    /// Returns a view of what is saved, for other parts of the engine.
    pub fn floors(&self) -> Floors {
        Floors::new(Arc::clone(&self.shared))
    }

    /// Returns the state whose marks it saves.
    pub fn state(&self) -> &Arc<ReplicationState> {
        self.shared.state()
    }

    /// The marks of the last save of this process, or the recovered ones.
    pub(crate) fn last_marks(&self) -> Snapshot {
        Snapshot::clone(&self.base.content.marks)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer")
            .field("confirmed", &self.confirmed)
            .field("attempted", &self.attempted)
            .field("health", &self.shared.health())
            .finish_non_exhaustive()
    }
}
