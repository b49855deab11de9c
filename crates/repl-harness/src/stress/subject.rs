//! The interface between the suite and what it tests: a state and its checkpointer.

use std::error::Error;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use repl_checkpoint::Generation;
use repl_core::{
    Advance, AppliedSet, ClaimError, CompleteError, Completion, Incarnation, NewShard, SeqNo,
    ShardId, Snapshot, WaitError, WindowError,
};

/// The result of a wait: a mark at or above the awaited seqno.
pub type Waited = Result<SeqNo, WaitError>;

/// A wait for a mark: a future that can also block its thread.
pub trait Wait: Future<Output = Waited> + Send {
    /// Blocks until the wait ends.
    ///
    /// # Errors
    /// The reason for which the seqno will not be reached.
    fn wait(self) -> Waited;
    /// Blocks until the wait ends, for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Wait::wait`], and [`WaitError::Timeout`].
    fn wait_timeout(self, timeout: Duration) -> Waited;
}

/// A handle on one incarnation of a shard, with the promises of `repl_core::Shard`.
pub trait Handle: Clone + Send + Sync + 'static {
    /// A wait for a seqno.
    type Reached: Wait + 'static;
    /// Follows the changes of the mark.
    type Changes: Changes;
    /// Lets the shard be applied out of order.
    type Window: Window;

    /// Returns the incarnation.
    fn incarnation(&self) -> Incarnation;
    /// Returns the mark.
    fn applied(&self) -> SeqNo;
    /// Moves the mark forward.
    fn advance(&self, seqno: SeqNo) -> Advance;
    /// Waits until the mark is at `seqno` or above.
    fn reached(&self, seqno: SeqNo) -> Self::Reached;
    /// Follows the mark, from its current value on.
    fn changes(&self) -> Self::Changes;
    /// Returns whether a seqno is at or below the mark, or completed above it.
    fn contains(&self, seqno: SeqNo) -> bool;
    /// Returns the mark, and what is completed above it.
    fn applied_set(&self) -> AppliedSet;
    /// Opens the window of the shard.
    ///
    /// # Errors
    /// Those of `repl_core::ApplyWindow::new`.
    fn window(&self, capacity: u64) -> Result<Self::Window, WindowError>;
}

/// Follows one mark, with the promises of `repl_core::Changes`.
pub trait Changes: Send + 'static {
    /// A wait for the next change.
    type Next<'a>: Wait
    where
        Self: 'a;

    /// Waits for the next change.
    fn next(&mut self) -> Self::Next<'_>;
}

/// Completes the seqnos of one shard in any order, with the promises of `repl_core::ApplyWindow`.
pub trait Window: Send + Sync + 'static {
    /// The right of one thread to apply a seqno. The seqno is free again when it is dropped.
    type Claim: Claim;

    /// Claims a seqno, without waiting.
    ///
    /// # Errors
    /// Those of `repl_core::ApplyWindow::try_claim`.
    fn try_claim(&self, seqno: SeqNo) -> Result<Self::Claim, ClaimError>;
    /// Completes a seqno without a claim.
    ///
    /// # Errors
    /// If it is too far above the mark, or the shard was removed.
    fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError>;
    /// Declares that no segment will come for these seqnos.
    ///
    /// # Errors
    /// If they begin too far above the mark, or the shard was removed.
    fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, CompleteError>;
}

/// The right of one thread to apply a seqno: see [`Window::try_claim`].
pub trait Claim: Send + 'static {
    /// Completes the seqno.
    ///
    /// # Errors
    /// If the shard was removed.
    fn complete(self) -> Result<Completion, CompleteError>;
}

/// A checkpoint that has begun, with the promises of `repl_checkpoint::Attempt`. Dropping it counts
/// as a failed flush.
pub trait Attempt: Send + 'static {
    /// Returns the marks up to which the data must be durable.
    fn marks(&self) -> &Snapshot;
    /// Lowers a mark to what is durable.
    fn lower(&mut self, shard: ShardId, mark: SeqNo);
    /// Drops the ranges that are completed above a mark.
    fn drop_above(&mut self, shard: ShardId);
}

/// A state and its checkpointer, with the promises of `repl_core::ReplicationState`,
/// `repl_checkpoint::Checkpointer` and `repl_checkpoint::Floors`.
///
/// Its checkpoints are files of a `FileStore` without a name, in JSON: the suite reads them.
///
/// The suite finds a wait that never ends. It leaves the thread behind, and the subject with it.
pub trait Subject: Sized + Send + Sync + 'static {
    /// Its handles.
    type Handle: Handle;
    /// Its checkpoints that have begun.
    type Attempt: Attempt;

    /// Recovers these shards from a directory.
    ///
    /// # Errors
    /// If the store cannot be opened or recovery fails.
    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError>;
    /// Returns a handle on the current incarnation of a shard.
    fn handle(&self, shard: ShardId) -> Option<Self::Handle>;
    /// Moves the mark of a shard forward.
    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance;
    /// Returns the mark of a shard.
    fn applied(&self, shard: ShardId) -> Option<SeqNo>;
    /// Returns all marks, with what is completed above them.
    fn snapshot(&self) -> Snapshot;
    /// Adds a shard; `None` if it is already tracked.
    fn add(&self, new: NewShard) -> Option<Self::Handle>;
    /// Begins a new incarnation of a shard; `None` if it is not tracked.
    fn reset(&self, new: NewShard) -> Option<Self::Handle>;
    /// Removes a shard. Returns whether it was tracked.
    fn remove(&self, shard: ShardId) -> bool;
    /// Waits until the mark of a shard is at `seqno` or above.
    fn reached(&self, shard: ShardId, seqno: SeqNo) -> <Self::Handle as Handle>::Reached;
    /// Fails current and future waits.
    fn close(&self);
    /// Begins a checkpoint, which supersedes all that have begun before. `None` if there is nothing
    /// to save.
    ///
    /// # Errors
    /// If the checkpointer fails.
    fn begin(&self) -> Result<Option<Self::Attempt>, SubjectError>;
    /// Saves a checkpoint whose data is durable. Returns its generation, or `None` if there is
    /// nothing to save.
    ///
    /// # Errors
    /// If another checkpoint has begun since, or the save fails.
    fn save(&self, attempt: Self::Attempt) -> Result<Option<Generation>, NotSaved>;
    /// Returns whether no checkpoint that a recovery could use holds the shard, in any incarnation.
    fn is_unreferenced(&self, shard: ShardId) -> bool;
    /// Returns the newest saved mark of a shard.
    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo>;
    /// Returns the retention floor of a shard: segments up to it may be deleted.
    fn floor(&self, shard: ShardId) -> Option<SeqNo>;
}

/// A checkpoint was not saved.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    /// A later checkpoint has begun.
    #[error("a later checkpoint has begun")]
    Superseded,
    /// The checkpointer failed.
    #[error("the checkpoint failed")]
    Failed(#[source] SubjectError),
}

/// An error of the subject.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SubjectError(Box<dyn Error + Send + Sync>);

impl SubjectError {
    /// Wraps an error of the subject.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SubjectError(reason.into())
    }
}
