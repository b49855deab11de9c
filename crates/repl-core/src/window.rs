//! Segments that are applied in parallel and finish in any order: the mark moves over the
//! contiguous prefix. `cell/prefix.rs` argues why no completion is left behind, and
//! `window_state.rs` why no seqno is claimed twice.

mod claim;
mod guard;
#[cfg(test)]
mod stopped_helper_tests;

use std::fmt;
use std::sync::Arc;

use crate::ids::SeqNo;
use crate::outcome::{ClaimError, CompleteError, Completion, WindowError};
use crate::reached::Reached;
use crate::seq_range::SeqRange;
use crate::shard::Shard;

pub use self::claim::{Claim, Claiming};
use self::guard::Guard;

/// Lets many threads apply the segments of one shard in any order.
///
/// Each applier [claims](Self::claim) a seqno, applies it and [completes](Claim::complete) it. The
/// shard's mark moves over the contiguous prefix of what is completed.
///
/// Share the window by reference or in an [`Arc`]; claims may outlive it. Claims and completions
/// within 16,384 seqnos of the mark take no lock but for the first in each 512 seqnos, unless that
/// seqno or a higher one was skipped before, or claimed or completed from farther away.
///
/// ```
/// use repl_core::{ApplyWindow, ReplicationState, SeqRange, ShardId};
///
/// let state = ReplicationState::single();
/// let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
/// let window = ApplyWindow::new(shard.clone(), 1024)?;
/// let (first, third) = (window.try_claim(1)?, window.try_claim(3)?);
/// assert!(window.try_claim(3).is_err()); // one applier holds it
///
/// third.complete()?;
/// assert_eq!(shard.applied(), 0);
/// assert!(shard.contains(3));
/// first.complete()?;
/// drop(window.try_claim(2)?); // an applier that fails: the seqno is free again
/// window.claim(2).wait()?.complete()?; // blocks the thread while the window is full
/// assert_eq!(shard.applied(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Capacity and memory
/// `capacity` bounds how far above the mark seqnos may be claimed or completed: beyond it the answer
/// is [`WindowFull`](crate::WindowFull), and nothing is dropped. Memory follows what is in flight,
/// not the capacity. An idle window takes about 500 bytes. Each 512 seqnos take 144 bytes from the
/// first claim or completion above the mark until the mark has passed them: at most 5 KiB, and at
/// most twice what those in flight take. Each range or claim more than 16,384 seqnos above the mark
/// takes a tree node.
///
/// # Seqnos that jump
/// The mark waits for every seqno. Where seqnos are positions of a log, [skip](Self::skip) those
/// between two records; a skip costs the same whatever its length.
///
/// # Together with `Shard::advance`
/// An advance of the shard from elsewhere counts as a skip up to its seqno. It takes a short lock
/// where something is completed above the mark, or was since the last snapshot.
/// A shard has one window at a time. It closes when the window, its claims and the futures of
/// [`claim`](Self::claim) are dropped.
pub struct ApplyWindow {
    guard: Arc<Guard>,
}

impl ApplyWindow {
    /// Opens a window over a shard, from its mark on.
    ///
    /// What the shard holds as completed above its mark (from a checkpoint, or from an earlier
    /// window) is completed here.
    ///
    /// # Errors
    /// [`WindowError`].
    pub fn new(shard: Shard, capacity: u64) -> Result<Self, WindowError> {
        Guard::open(shard, capacity).map(|guard| ApplyWindow { guard })
    }

    /// Returns the shard.
    pub fn shard(&self) -> &Shard {
        &self.guard.shard
    }

    /// Returns how far above the mark seqnos may be claimed or completed.
    pub fn capacity(&self) -> u64 {
        self.guard.capacity()
    }

    /// Claims `seqno` for the caller alone, once the window has room for it.
    ///
    /// Returns a future that needs no runtime; its [`wait`](Claiming::wait) blocks the thread
    /// instead. Nothing is claimed before it is polled or waited on.
    ///
    /// Dropping a claim wakes nobody: appliers that go through the seqnos in order must come back to
    /// it. Closing the state ends the waiting for room, not the claiming of what there is room for.
    pub fn claim(&self, seqno: SeqNo) -> Claiming {
        Claiming::new(Arc::clone(&self.guard), seqno)
    }

    /// Claims `seqno` for the caller alone, without waiting.
    ///
    /// # Errors
    /// [`ClaimError`]; [`ClaimError::Full`] where the window has no room for it.
    pub fn try_claim(&self, seqno: SeqNo) -> Result<Claim, ClaimError> {
        Claim::try_new(&self.guard, seqno)
    }

    /// Waits until the window has room for `seqno`: it can be claimed, completed and skipped from
    /// then on.
    ///
    /// ```
    /// # use repl_core::{ApplyWindow, CompleteError, ReplicationState, ShardId};
    /// # let state = ReplicationState::single();
    /// # let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
    /// let window = ApplyWindow::new(shard, 2)?;
    /// window.complete(2)?;
    /// assert!(matches!(window.complete(3), Err(CompleteError::Full(_))));
    /// std::thread::scope(|s| {
    ///     s.spawn(|| window.complete(1));
    ///     window.room_for(3).wait() // blocks the thread; or `.await` it
    /// })?;
    /// window.complete(3)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn room_for(&self, seqno: SeqNo) -> Reached {
        self.shard().reached(seqno.saturating_sub(self.capacity()))
    }

    /// Completes a seqno without a claim: for an engine that gives each seqno to one applier by its
    /// own means.
    ///
    /// # Errors
    /// [`CompleteError`].
    #[inline]
    pub fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError> {
        self.guard.complete(seqno)
    }

    /// Marks a seqno or a range of them as completed because nothing has to be applied for it.
    ///
    /// Skipped seqnos are in what a checkpoint records. Claims of seqnos in the range stay with
    /// their holders; completing them changes nothing.
    ///
    /// Costs the same for one seqno as for a billion. Returns [`Completion::AlreadyCompleted`] if
    /// the range is empty, was skipped before, is one completed seqno, or lies at or below the mark.
    ///
    /// # Errors
    /// [`CompleteError`]; [`CompleteError::Full`] if the range begins too far above the mark,
    /// however far it ends.
    pub fn skip(&self, range: impl Into<SeqRange>) -> Result<Completion, CompleteError> {
        self.guard.skip(range.into())
    }
}

impl fmt::Debug for ApplyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}
