//! The calls of the suite in which a fault can be planted.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use repl_checkpoint::{Attempt, CheckpointError, Checkpointer, Floors, Generation, Saved};
use repl_core::{
    Advance, ApplyWindow, Claim, ClaimError, CompleteError, Completion, NewShard, ReplicationState,
    SeqNo, Shard, ShardId, WaitError,
};

/// The calls of the suite in which a fault can be planted.
///
/// Each method makes the call of the real types. A test overrides some of them, and the suite must
/// find out. All other calls of the suite go to the real types directly.
pub trait Faults: Default + Send + Sync + 'static {
    /// Runs before a recovery from this directory, and may change what that finds.
    ///
    /// # Errors
    /// If a file cannot be changed.
    fn before_recovery(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Adds a shard; `None` if it is already tracked.
    fn add(&self, state: &ReplicationState, new: NewShard) -> Option<Shard> {
        state.add_shard(new).ok()
    }

    /// Moves the mark of a shard forward.
    fn advance(&self, shard: &Shard, seqno: SeqNo) -> Advance {
        shard.advance(seqno)
    }

    /// Returns the mark of a shard.
    fn applied(&self, shard: &Shard) -> SeqNo {
        shard.applied()
    }

    /// Returns the seqno whose advance ends a wait for `seqno`.
    fn awaited(&self, _shard: &Shard, seqno: SeqNo) -> SeqNo {
        seqno
    }

    /// Returns whether the wake-up with this result is lost. Then the wait goes on until the next
    /// advance, or for ever if no advance can follow. Called only if the seqno was not reached when
    /// the wait began.
    fn is_lost(&self, _shard: &Shard, _result: Result<SeqNo, WaitError>) -> bool {
        false
    }

    /// Claims a seqno. `Ok(None)` claims nothing, but the suite takes it for a claim.
    ///
    /// # Errors
    /// Those of [`ApplyWindow::try_claim`].
    fn try_claim(&self, window: &ApplyWindow, seqno: SeqNo) -> Result<Option<Claim>, ClaimError> {
        window.try_claim(seqno).map(Some)
    }

    /// Completes a claim.
    ///
    /// # Errors
    /// Those of [`Claim::complete`].
    fn complete(&self, _window: &ApplyWindow, claim: Claim) -> Result<Completion, CompleteError> {
        claim.complete()
    }

    /// Drops a claim, so that its seqno is free again.
    fn release(&self, claim: Claim) {
        drop(claim);
    }

    /// Begins a checkpoint; `None` if there is nothing to save.
    ///
    /// # Errors
    /// Those of [`Checkpointer::begin`].
    fn begin(&self, checkpointer: &mut Checkpointer) -> Result<Option<Attempt>, CheckpointError> {
        checkpointer.begin()
    }

    /// Saves a checkpoint. Returns its generation, or `None` if there was nothing to save.
    ///
    /// # Errors
    /// Those of [`Checkpointer::save`].
    fn save(
        &self,
        checkpointer: &mut Checkpointer,
        attempt: Attempt,
    ) -> Result<Option<Generation>, CheckpointError> {
        Ok(match checkpointer.save(attempt)? {
            Saved::Written(report) => Some(report.generation),
            Saved::Unchanged => None,
        })
    }

    /// Drops a checkpoint whose flush failed, or that another one supersedes.
    fn drop_attempt(&self, _checkpointer: &Mutex<Checkpointer>, attempt: Attempt) {
        drop(attempt);
    }

    /// Returns whether no checkpoint that a recovery could use holds the shard.
    fn is_unreferenced(&self, floors: &Floors, shard: ShardId) -> bool {
        floors.is_unreferenced(shard)
    }

    /// Returns the retention floor of a shard.
    fn floor(&self, floors: &Floors, shard: ShardId) -> Option<SeqNo> {
        floors.retention_floor(shard)
    }
}

/// The real types without a fault.
#[derive(Debug, Default)]
pub struct NoFault;

impl Faults for NoFault {}
