//! What the suite drives: a state and its checkpointer, or something that claims to be them.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use repl_checkpoint::{
    CheckpointError, Checkpointer, FileStore, Floors, JsonCodec, OnCorrupt, Recovered, Saved,
    StoreId, recover,
};
use repl_core::{
    Advance, Incarnation, NewShard, ReplicationState, SeqNo, Shard, ShardId, Snapshot,
};

/// A handle on one life of one shard.
pub trait Handle: Clone + Send {
    /// Which life.
    fn incarnation(&self) -> Incarnation;
    /// The mark.
    fn applied(&self) -> SeqNo;
    /// Moves the mark forward.
    fn advance(&self, seqno: SeqNo) -> Advance;
}

/// A state and its checkpointer, with the promises of `repl_core::ReplicationState`,
/// `repl_checkpoint::Checkpointer` and `repl_checkpoint::Floors`.
///
/// Its checkpoints are files of a `FileStore` without a name, in JSON: the suite reads them.
pub trait Subject: Sized + Sync {
    /// Its handles.
    type Handle: Handle;

    /// Recovers what `dir` holds, for these shards.
    ///
    /// # Errors
    /// Whatever opening says.
    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError>;
    /// A handle on the life that the shard has now.
    fn handle(&self, shard: ShardId) -> Option<Self::Handle>;
    /// Moves the mark of a shard forward.
    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance;
    /// The mark of a shard.
    fn applied(&self, shard: ShardId) -> Option<SeqNo>;
    /// All marks.
    fn snapshot(&self) -> Snapshot;
    /// Begins to track a shard; `None` where it is tracked.
    fn add(&self, new: NewShard) -> Option<Self::Handle>;
    /// Ends a life of a shard and begins another; `None` where it is not tracked.
    fn reset(&self, new: NewShard) -> Option<Self::Handle>;
    /// Ceases to track a shard, and returns whether it was tracked.
    fn remove(&self, shard: ShardId) -> bool;
    /// Has the engine flush, then saves the marks.
    ///
    /// # Errors
    /// [`NotSaved`].
    fn checkpoint(
        &self,
        flush: &mut dyn FnMut(&mut Snapshot) -> Result<(), FlushRefused>,
    ) -> Result<Saved, NotSaved>;
    /// The newest saved mark of a shard.
    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo>;
    /// Up to where segments of a shard may be deleted.
    fn floor(&self, shard: ShardId) -> Option<SeqNo>;
}

/// The engine refused to flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine refused to flush")]
pub struct FlushRefused;

/// A checkpoint was not saved.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    /// The engine refused to flush.
    #[error(transparent)]
    Refused(#[from] FlushRefused),
    /// Anything else.
    #[error("the checkpoint failed")]
    Failed(#[source] SubjectError),
}

/// A subject failed in its own way.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SubjectError(Box<dyn Error + Send + Sync>);

impl SubjectError {
    /// Wraps the subject's own error.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SubjectError(reason.into())
    }
}

/// The real thing: `ReplicationState`, `Checkpointer` and `FileStore` on the real disk.
#[derive(Debug)]
pub struct Honest {
    state: Arc<ReplicationState>,
    checkpointer: Mutex<Checkpointer>,
    floors: Floors,
}

impl Handle for Shard {
    fn incarnation(&self) -> Incarnation {
        self.incarnation()
    }

    fn applied(&self) -> SeqNo {
        self.applied()
    }

    fn advance(&self, seqno: SeqNo) -> Advance {
        self.advance(seqno)
    }
}

impl Subject for Honest {
    type Handle = Shard;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        let store = FileStore::open(dir, StoreId::UNNAMED).map_err(SubjectError::new)?;
        let recovered = recover(store, JsonCodec, shards, OnCorrupt::Fail);
        let Recovered { state, checkpointer, .. } = recovered.map_err(SubjectError::new)?;
        Ok(Honest { state, floors: checkpointer.floors(), checkpointer: Mutex::new(checkpointer) })
    }

    fn handle(&self, shard: ShardId) -> Option<Shard> {
        self.state.shard(shard)
    }

    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        self.state.advance(shard, seqno)
    }

    fn applied(&self, shard: ShardId) -> Option<SeqNo> {
        self.state.applied_seqno(shard)
    }

    fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    fn add(&self, new: NewShard) -> Option<Shard> {
        self.state.add_shard(new).ok()
    }

    fn reset(&self, new: NewShard) -> Option<Shard> {
        self.state.reset_shard(new)
    }

    fn remove(&self, shard: ShardId) -> bool {
        self.state.remove_shard(shard).is_some()
    }

    fn checkpoint(
        &self,
        flush: &mut dyn FnMut(&mut Snapshot) -> Result<(), FlushRefused>,
    ) -> Result<Saved, NotSaved> {
        let checkpointer = self.checkpointer.lock();
        let mut checkpointer = checkpointer.unwrap_or_else(PoisonError::into_inner);
        checkpointer.checkpoint(flush).map_err(|error| match error {
            CheckpointError::Flush(refused) => refused.into(),
            other => NotSaved::Failed(SubjectError::new(other)),
        })
    }

    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.checkpointed(shard)
    }

    fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.retention_floor(shard)
    }
}
