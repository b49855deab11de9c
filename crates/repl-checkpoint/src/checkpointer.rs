//! Saves the marks after the data that they cover is durable.

mod error;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::{ReplicationState, ShardId, Snapshot, SnapshotEntry};

use crate::attempt::Attempt;
use crate::causes::with_causes;
use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::codec::Codec;
use crate::content::{Carried, Content};
use crate::envelope::Header;
use crate::floors::Floors;
use crate::ids::{Generation, StoreId};
use crate::shared::{Shared, Unsaveable};
use crate::store::{CheckpointStore, Save, SaveError};
use crate::unshared::Unshared;

pub use self::error::CheckpointError;

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
/// Nothing is saved, and no floor moves. The next checkpoint takes a new snapshot, at or above the
/// one that failed, so the next flush is asked for the same data again, and for what was applied
/// since. It must not rely on anything that the failed one did: after a failed `fsync` the kernel
/// may have dropped the data and marked its pages clean, and the next `fsync` of the same file
/// succeeds without it. Write the data again, or stop and recover from the last checkpoint.
pub struct Checkpointer {
    shared: Arc<Shared>,
    /// `None` after [`reopen`](Checkpointer::reopen) has failed.
    store: Option<Unshared<dyn CheckpointStore>>,
    store_id: StoreId,
    codec: Box<dyn Codec>,
    /// What the state does not hold and no save may lose.
    carried: Arc<Carried>,
    /// The newest acknowledged save, or else what was recovered. No save goes below its marks within
    /// one incarnation of a shard.
    acknowledged: Written,
    /// The save in doubt.
    doubtful: Option<Written>,
    /// What the store holds: the last save since it was opened, and the one before that.
    held: [Option<Content>; 2],
    /// The newest generation known to survive a crash.
    confirmed: Generation,
    /// The highest generation ever attempted.
    attempted: Generation,
    on_save: Option<Unshared<OnSave>>,
}

type OnSave = dyn FnMut(&SaveReport) + Send;

/// What one save wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) header: Header,
    pub(crate) content: Content,
}

/// The result of a successful checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saved {
    /// The marks were saved.
    Written(SaveReport),
    /// Nothing was written: the last two saves of this process hold exactly these marks.
    ///
    /// So the checkpointed mark and the retention floor of each shard are at its current mark.
    Unchanged,
}

/// What one save wrote, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SaveReport {
    /// The generation of the save.
    pub generation: Generation,
    /// The number of bytes given to the store.
    pub bytes: u64,
    /// The time from the snapshot to the call of [`save`](Checkpointer::save): that of the flush.
    pub flush_time: Duration,
    /// The time to encode, seal and store the marks.
    pub save_time: Duration,
}

/// What recovery passes to a new checkpointer.
pub(crate) struct Start {
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) header: Header,
    pub(crate) found: Checkpoint,
    pub(crate) orphaned: Vec<ShardCheckpoint>,
    pub(crate) attempted: Generation,
}

impl Checkpointer {
    pub(crate) fn new(start: Start) -> Self {
        let Start { state, store, codec, header, found, orphaned, attempted } = start;
        let marks: Snapshot = found.shards.iter().map(SnapshotEntry::from).collect();
        let marks = Arc::new(marks.with_next_incarnation(found.next_incarnation));
        let with_epochs: Vec<_> =
            found.shards.into_iter().filter(|s| !s.epochs.is_empty()).collect();
        // Orphaned shards are among the recovered marks here.
        let recovered = Carried { orphaned: Vec::new(), with_epochs: with_epochs.clone() };
        let content = Content { marks, carried: Arc::new(recovered) };
        Checkpointer {
            shared: Shared::new(state),
            store_id: store.store_id(),
            store: Some(Unshared::new(store)),
            codec,
            carried: Arc::new(Carried { orphaned, with_epochs }),
            acknowledged: Written { header, content },
            doubtful: None,
            held: [None, None],
            confirmed: header.confirmed,
            attempted: attempted.max(header.generation),
            on_save: None,
        }
    }

    /// Flushes the engine, then saves its marks: [`begin`](Checkpointer::begin), `flush` and
    /// [`save`](Checkpointer::save) in a row.
    ///
    /// `flush` must make the engine's data durable up to [`Attempt::marks`], and the ranges that are
    /// completed above them. Where less is durable, it lowers the attempt. An engine whose every
    /// apply is durable before it advances the mark has nothing to flush: `checkpoint(|_| Ok(()))`.
    ///
    /// If the last two saves of this process hold exactly the current marks, neither `flush` nor
    /// the store is called. Costs the flush, one pass over the marks and one save.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move, and [`Floors::health`] says why. Only after
    /// [`SaveError::InDoubt`] may a crash leave the new marks.
    pub fn checkpoint(
        &mut self,
        flush: impl FnOnce(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>>,
    ) -> Result<Saved, CheckpointError> {
        let Some(mut attempt) = self.begin()? else {
            return Ok(Saved::Unchanged);
        };
        match flush(&mut attempt) {
            Ok(()) => self.save(attempt),
            Err(error) => {
                let error = CheckpointError::Flush(error);
                attempt.pending.failed(with_causes(&error), false);
                Err(error)
            }
        }
    }

    /// Begins a checkpoint: takes a snapshot of the marks. `None` if there is nothing to save, as
    /// the last two saves of this process hold exactly these marks.
    ///
    /// Make the engine's data durable up to [`Attempt::marks`], then [`save`](Checkpointer::save)
    /// the attempt. An async engine awaits its flush in between:
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
        let pending = self.shared.begin();
        let pending = pending.map_err(|doubt| CheckpointError::Poisoned { doubt })?;
        let began = Instant::now();
        let marks = self.state().snapshot(); // 1
        if self.holds(&marks) {
            pending.succeeded();
            return Ok(None);
        }
        Ok(Some(Attempt { marks, began, pending }))
    }

    /// Saves an attempt whose data is durable.
    ///
    /// Blocks for the save, which writes and syncs a file. On a thread of an async runtime, call it
    /// within `spawn_blocking` or its like. Costs one pass over the marks and one save.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move, and [`Floors::health`] says why. Only after
    /// [`SaveError::InDoubt`] may a crash leave the new marks. The attempt is used up in any case;
    /// begin again.
    ///
    /// # Panics
    /// If the store panics. Then the save is in doubt.
    pub fn save(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        let Attempt { marks, began, mut pending } = attempt;
        pending.check(&self.shared).map_err(|why| match why {
            Unsaveable::OtherCheckpointer => CheckpointError::OtherCheckpointer,
            Unsaveable::Superseded => CheckpointError::Superseded,
            Unsaveable::Poisoned(doubt) => CheckpointError::Poisoned { doubt },
        })?;
        let flush_time = began.elapsed();
        let saving = Instant::now();
        let written = match self.written(marks) {
            Ok(Some((written, bytes))) => self.store(written, &bytes, || pending.saving()),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match written {
            Ok(Some((generation, bytes))) => {
                pending.succeeded();
                let save_time = saving.elapsed();
                let report = SaveReport { generation, bytes, flush_time, save_time };
                if let Some(on_save) = &mut self.on_save {
                    on_save.get_mut()(&report);
                }
                Ok(Saved::Written(report))
            }
            Ok(None) => {
                pending.succeeded();
                Ok(Saved::Unchanged)
            }
            Err(error) => {
                pending.failed(with_causes(&error), error.is_poisoning());
                Err(error)
            }
        }
    }

    /// What to write of `marks`, and its bytes; `None` if the last two saves hold exactly that.
    fn written(&self, marks: Snapshot) -> Result<Option<(Written, Vec<u8>)>, CheckpointError> {
        self.check_not_below(&marks)?;
        if self.holds(&marks) {
            return Ok(None);
        }
        let generation = self.attempted.checked_add(1).ok_or(CheckpointError::NoGenerationLeft)?;
        let header = Header { store: self.store_id, generation, confirmed: self.confirmed };
        let content = Content { carried: self.carried_beside(&marks), marks: Arc::new(marks) };
        let bytes = content.checkpoint().seal(&*self.codec, header)?;
        Ok(Some((Written { header, content }, bytes)))
    }

    /// Gives the bytes to the store, and moves the floors. `saving` is called before the first write.
    fn store(
        &mut self,
        written: Written,
        bytes: &[u8],
        saving: impl FnOnce(),
    ) -> Result<Option<(Generation, u64)>, CheckpointError> {
        let Some(store) = &mut self.store else {
            let doubt = "the store is closed".to_owned();
            return Err(CheckpointError::Poisoned { doubt });
        };
        let Header { generation, confirmed, .. } = written.header;
        self.attempted = generation;
        self.doubtful = Some(written.clone());
        saving();
        let saved = store.get_mut().save(Save { generation, confirmed, bytes }); // 3
        if !saved.as_ref().is_err_and(SaveError::is_poisoning) {
            self.doubtful = None;
        }
        saved?;
        self.confirmed = generation;
        self.carried = Arc::clone(&written.content.carried);
        let [newest, previous] = &mut self.held;
        *previous = newest.replace(written.content.clone());
        self.shared.saved(written.content.clone(), previous.clone()); // 4
        self.acknowledged = written;
        Ok(Some((generation, bytes.len() as u64)))
    }

    /// Calls `on_save` after every save, on the thread that saves, once the floors have moved.
    ///
    /// It replaces the function that was given before. It must not block, as that delays the next
    /// save.
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

    /// What is carried beside `marks`: a shard that they hold is no orphan from then on.
    fn carried_beside(&self, marks: &Snapshot) -> Arc<Carried> {
        let tracked = |s: &ShardCheckpoint| marks.mark(s.shard).is_some();
        let mut carried = Arc::clone(&self.carried);
        if carried.orphaned.iter().any(tracked) {
            Arc::make_mut(&mut carried).orphaned.retain(|s| !tracked(s));
        }
        carried
    }

    /// The marks of the last save of this process, or the recovered ones.
    pub(crate) fn last_marks(&self) -> Snapshot {
        Snapshot::clone(&self.acknowledged.content.marks)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether the last two saves since the store was opened hold exactly these marks.
    fn holds(&self, marks: &Snapshot) -> bool {
        let carried = self.carried_beside(marks);
        let is =
            |content: &Option<Content>| content.as_ref().is_some_and(|c| c.is(marks, &carried));
        self.held.iter().all(is)
    }

    /// Checks that no mark is below the last save, within one incarnation of its shard.
    fn check_not_below(&self, marks: &Snapshot) -> Result<(), CheckpointError> {
        let newest = &self.acknowledged.content.marks;
        let mut before = newest.iter().peekable();
        for (shard, lowered) in marks {
            while before.next_if(|(old, _)| *old < shard).is_some() {}
            let Some((_, saved)) = before.next_if(|(old, _)| *old == shard) else {
                continue;
            };
            let incarnation = |marks: &Snapshot| marks.entry(shard).map(|entry| entry.incarnation);
            if lowered < saved && incarnation(marks) == incarnation(newest) {
                return Err(CheckpointError::BelowLastSave { shard, saved, lowered });
            }
        }
        Ok(())
    }

    /// Closes the store, so that its lock is free. No attempt is saved until
    /// [`go_on`](Checkpointer::go_on).
    pub(crate) fn close_store(&mut self) {
        self.shared.closing();
        self.store = None;
    }

    /// The codec, and the id of the store.
    pub(crate) fn format(&self) -> (&dyn Codec, StoreId) {
        (&*self.codec, self.store_id)
    }

    /// The saves that the store may hold as its newest: the save in doubt, and the acknowledged one.
    pub(crate) fn expected(&self) -> impl Iterator<Item = &Written> {
        self.doubtful.iter().chain([&self.acknowledged])
    }

    /// The acknowledged generation, and the one in doubt.
    pub(crate) fn generations(&self) -> (Generation, Option<Generation>) {
        let doubtful = self.doubtful.as_ref().map(|written| written.header.generation);
        (self.acknowledged.header.generation, doubtful)
    }

    /// Goes on with a store that was opened again and holds `newest` as its newest checkpoint.
    pub(crate) fn go_on(
        &mut self,
        store: Box<dyn CheckpointStore>,
        newest: Written,
        attempted: Generation,
    ) {
        let in_doubt = self.doubtful.as_ref().map(|written| written.header);
        if in_doubt == Some(newest.header) {
            // A save that is there found these orphans tracked.
            self.carried = self.carried_beside(&newest.content.marks);
        }
        self.store = Some(Unshared::new(store));
        self.confirmed = newest.header.confirmed;
        self.acknowledged = newest;
        self.doubtful = None;
        self.held = [None, None];
        self.attempted = self.attempted.max(attempted);
        self.shared.reopened();
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
