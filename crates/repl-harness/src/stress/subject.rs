//! What the suite drives: a state and its checkpointer, or something that claims to be them.

use std::error::Error;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use repl_checkpoint::Saved;
use repl_core::{
    Advance, AppliedSet, ClaimError, Completion, Incarnation, NewShard, SeqNo, SeqRange, ShardId,
    Snapshot, WaitError, WindowError, WindowFull,
};

/// What came of a wait: a mark at or above the seqno that was awaited.
pub type Waited = Result<SeqNo, WaitError>;

/// A wait as a future.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = Waited> + Send + 'a>>;

/// A handle on one life of one shard, with the promises of `repl_core::Shard`.
pub trait Handle: Clone + Send + Sync + 'static {
    /// Follows the changes of the mark.
    type Changes: Changes;
    /// Lets the shard be applied out of order.
    type Window: Window;

    /// Which life.
    fn incarnation(&self) -> Incarnation;
    /// The mark.
    fn applied(&self) -> SeqNo;
    /// Moves the mark forward.
    fn advance(&self, seqno: SeqNo) -> Advance;
    /// Blocks until the mark is at `seqno` or above.
    ///
    /// # Errors
    /// Why it never will be.
    fn wait_for(&self, seqno: SeqNo) -> Waited;
    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// The same, and that the time was up.
    fn wait_for_timeout(&self, seqno: SeqNo, timeout: Duration) -> Waited;
    /// The same as a future.
    fn reached(&self, seqno: SeqNo) -> Waiting<'static>;
    /// The mark as it is, and then every change of it.
    fn changes(&self) -> Self::Changes;
    /// The mark, and what is completed above it.
    fn completed(&self) -> AppliedSet;
    /// The window of the shard, where it has none.
    ///
    /// # Errors
    /// As `repl_core::ApplyWindow::new`.
    fn window(&self, capacity: u64) -> Result<Self::Window, WindowError>;
}

/// Follows one mark, with the promises of `repl_core::Changes`.
pub trait Changes: Send + 'static {
    /// The next change.
    fn next(&mut self) -> Waiting<'_>;
    /// The next change, blocking for at most `timeout`.
    ///
    /// # Errors
    /// As [`Handle::wait_for_timeout`].
    fn wait_next_timeout(&mut self, timeout: Duration) -> Waited;
}

/// Completes the seqnos of one shard in any order, with the promises of `repl_core::ApplyWindow`.
pub trait Window: Send + Sync + 'static {
    /// A seqno in the hands of one thread; dropped, it is free again.
    type Claim: Claim;

    /// Gives a seqno to the caller alone.
    ///
    /// # Errors
    /// As `repl_core::ApplyWindow::claim`.
    fn claim(&self, seqno: SeqNo) -> Result<Self::Claim, ClaimError>;
    /// Completes a seqno without a claim.
    ///
    /// # Errors
    /// Where it is too far above the mark.
    fn complete(&self, seqno: SeqNo) -> Result<Completion, WindowFull>;
    /// Declares that nothing will come for these seqnos.
    ///
    /// # Errors
    /// Where they begin too far above the mark.
    fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, WindowFull>;
    /// Whether a seqno is completed.
    fn contains(&self, seqno: SeqNo) -> bool;
    /// What is completed above the mark.
    fn pending(&self) -> Vec<SeqRange>;
}

/// A seqno in the hands of one thread: see [`Window::claim`].
pub trait Claim: Send + 'static {
    /// Completes it.
    fn complete(self) -> Completion;
}

/// A state and its checkpointer, with the promises of `repl_core::ReplicationState`,
/// `repl_checkpoint::Checkpointer` and `repl_checkpoint::Floors`.
///
/// Its checkpoints are files of a `FileStore` without a name, in JSON: the suite reads them.
///
/// A wait that never ends is found out; the thread in it is left behind, and the subject with it.
pub trait Subject: Sized + Send + Sync + 'static {
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
    /// Blocks until the mark of a shard is at `seqno` or above, for at most `timeout`.
    ///
    /// # Errors
    /// As [`Handle::wait_for_timeout`], and that the shard is not tracked.
    fn wait_for_timeout(&self, shard: ShardId, seqno: SeqNo, timeout: Duration) -> Waited;
    /// Ends all waiting, for good.
    fn close(&self);
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
