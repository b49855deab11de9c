//! The flush before each save of the marks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::Floors;
use repl_core::{ShardId, Snapshot};
use thiserror::Error;

use crate::positions::{Positions, PositionsError};
use crate::replica::{Replica, ReplicaError};

/// The replicas of all shards that are tracked, or about to be.
#[derive(Debug, Default, Clone)]
pub(crate) struct Replicas(Arc<Mutex<BTreeMap<ShardId, Arc<Replica>>>>);

impl Replicas {
    pub(crate) fn insert(&self, replica: Arc<Replica>) {
        self.lock().insert(replica.shard(), replica);
    }

    pub(crate) fn get(&self, shard: ShardId) -> Option<Arc<Replica>> {
        self.lock().get(&shard).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Replica>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error in a flush.
#[derive(Debug, Error)]
pub(crate) enum FlushError {
    #[error("an earlier flush failed, and may have lost writes")]
    AfterFailure,
    #[error("shard {0} is tracked but has no replica")]
    NoReplica(ShardId),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Positions(#[from] PositionsError),
}

impl FlushError {
    /// Whether a second flush could succeed in spite of lost writes: see [`Replica::sync`].
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, FlushError::Positions(PositionsError::File(_)))
    }
}

/// Makes the replicas durable, and then the positions.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) replicas: Replicas,
    pub(crate) positions: Arc<Positions>,
    pub(crate) floors: Floors,
    /// A mutant: syncs the replicas in every eighth flush only, so that most marks are saved before
    /// their replica is flushed.
    pub(crate) skips_syncs: bool,
    pub(crate) count: u64,
    /// Whether a flush failed for good: see [`FlushError::is_final`].
    pub(crate) failed: bool,
}

impl Flush {
    pub(crate) fn run(&mut self, snapshot: &Snapshot) -> Result<(), FlushError> {
        if self.failed {
            return Err(FlushError::AfterFailure);
        }
        let flushed = self.try_run(snapshot);
        self.failed = flushed.as_ref().is_err_and(FlushError::is_final);
        flushed
    }

    fn try_run(&mut self, snapshot: &Snapshot) -> Result<(), FlushError> {
        self.count += 1;
        let skip = self.skips_syncs && !self.count.is_multiple_of(8);
        for (shard, _) in snapshot {
            let replica = self.replicas.get(shard).ok_or(FlushError::NoReplica(shard))?;
            if !skip {
                replica.sync()?;
            }
        }
        Ok(self.positions.save(snapshot, &self.floors)?)
    }
}
