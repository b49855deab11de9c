//! What the suite tests: a state and its checkpointer.

use std::path::Path;
use std::sync::{Arc, Mutex};

use repl_checkpoint::{
    Attempt, CheckpointError, Checkpointer, FileStore, Floors, Generation, JsonCodec, OnCorrupt,
    StoreId, recover,
};
use repl_core::{NewShard, ReplicationState, SeqNo, Shard, ShardId};

use super::error::{Source, StressError};
use super::faults::Faults;
use crate::locked::locked;

/// A state and its checkpointer, with the faults planted in them.
///
/// The suite reads the checkpoints: they are files of a `FileStore` without a name, in JSON.
#[derive(Debug)]
pub(crate) struct Subject<F> {
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) floors: Floors,
    pub(crate) faults: F,
    checkpointer: Mutex<Checkpointer>,
}

impl<F: Faults> Subject<F> {
    /// Recovers these shards from a directory.
    pub(crate) fn open(dir: &Path, shards: &[ShardId], seed: u64) -> Result<Self, StressError> {
        let faults = F::default();
        faults.before_recovery(dir)?;
        let failed = |source| StressError::Failed { act: "recover", seed, source };
        let store = FileStore::open(dir, StoreId::UNNAMED).map_err(Source::from).map_err(failed)?;
        let recovered = recover(store, JsonCodec, shards, OnCorrupt::Fail);
        let recovered = recovered.map_err(Source::from).map_err(failed)?;
        let floors = recovered.checkpointer.floors();
        let checkpointer = Mutex::new(recovered.checkpointer);
        Ok(Subject { state: recovered.state, floors, faults, checkpointer })
    }

    /// Adds a shard; `None` if it is already tracked.
    pub(crate) fn add(&self, new: NewShard) -> Option<Shard> {
        self.faults.add(&self.state, new)
    }

    pub(crate) fn begin(&self) -> Result<Option<Attempt>, CheckpointError> {
        self.faults.begin(&mut locked(&self.checkpointer))
    }

    pub(crate) fn save(&self, attempt: Attempt) -> Result<Option<Generation>, CheckpointError> {
        self.faults.save(&mut locked(&self.checkpointer), attempt)
    }

    /// Takes no lock: another thread may begin or save a checkpoint at the same time.
    pub(crate) fn drop_attempt(&self, attempt: Attempt) {
        self.faults.drop_attempt(&self.checkpointer, attempt);
    }

    pub(crate) fn is_unreferenced(&self, shard: ShardId) -> bool {
        self.faults.is_unreferenced(&self.floors, shard)
    }

    pub(crate) fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        self.faults.floor(&self.floors, shard)
    }
}
