//! A claim of one seqno, and the future of one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::guard::{Guard, Place};
use crate::ids::SeqNo;
use crate::outcome::{ClaimError, CompleteError, Completion};
use crate::park;
use crate::reached::Reached;

/// A seqno of an [`ApplyWindow`](super::ApplyWindow) that one applier holds alone.
///
/// Complete it after applying. A claim that is dropped without being completed frees its seqno. A
/// claim that is leaked ([`std::mem::forget`]) holds its seqno, and keeps its window open, for ever.
#[must_use = "dropping a claim frees its seqno"]
pub struct Claim {
    /// `None` once completed.
    guard: Option<Arc<Guard>>,
    seqno: SeqNo,
    place: Place,
}

impl Claim {
    pub(super) fn try_new(guard: &Arc<Guard>, seqno: SeqNo) -> Result<Self, ClaimError> {
        let place = guard.claim(seqno)?;
        Ok(Claim { guard: Some(Arc::clone(guard)), seqno, place })
    }

    /// Returns the seqno.
    pub fn seqno(&self) -> SeqNo {
        self.seqno
    }

    /// Completes the seqno, and moves the mark over the contiguous prefix.
    ///
    /// Returns [`Completion::AlreadyCompleted`] if a skip or an advance of the shard overtook the
    /// claim.
    ///
    /// # Errors
    /// [`CompleteError::Removed`].
    pub fn complete(mut self) -> Result<Completion, CompleteError> {
        match self.guard.take() {
            Some(guard) => guard.complete_claimed(self.seqno, self.place),
            None => Err(CompleteError::Removed),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.release(self.seqno, self.place);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.seqno).finish()
    }
}

/// The future of a claim that waits for room: see [`ApplyWindow::claim`](super::ApplyWindow::claim).
///
/// Await it, or block with [`wait`](Self::wait). It keeps the window open until it is ready or
/// dropped. Dropping it leaves nothing behind. Polled again after it was ready, it fails with
/// [`ClaimError::Claimed`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct Claiming {
    /// `None` once it was ready.
    guard: Option<Arc<Guard>>,
    seqno: SeqNo,
    room: Option<Reached>,
}

impl Claiming {
    pub(super) fn new(guard: Arc<Guard>, seqno: SeqNo) -> Self {
        Claiming { guard: Some(guard), seqno, room: None }
    }

    /// Blocks the thread until the seqno is claimed or cannot be.
    ///
    /// # Errors
    /// [`ClaimError`], but neither [`Full`](ClaimError::Full) nor [`Timeout`](ClaimError::Timeout).
    pub fn wait(self) -> Result<Claim, ClaimError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    /// [`ClaimError`], but not [`Full`](ClaimError::Full).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Claim, ClaimError> {
        park::block_for(self, timeout).unwrap_or(Err(ClaimError::Timeout))
    }

    /// Blocks the thread until `deadline` at the latest.
    ///
    /// # Errors
    /// [`ClaimError`], but not [`Full`](ClaimError::Full).
    pub fn wait_deadline(self, deadline: Instant) -> Result<Claim, ClaimError> {
        park::block_until(self, deadline).unwrap_or(Err(ClaimError::Timeout))
    }
}

impl Future for Claiming {
    type Output = Result<Claim, ClaimError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Claiming { guard, seqno, room } = self.get_mut();
        let Some(open) = guard else { return Poll::Ready(Err(ClaimError::Claimed)) };
        let result = loop {
            if let Some(room) = room {
                if let Err(reason) = ready!(Pin::new(room).poll(context)) {
                    break Err(reason.into());
                }
            }
            match Claim::try_new(open, *seqno) {
                Err(ClaimError::Full(full)) => *room = Some(open.shard.reached(full.resume_at)),
                result => break result,
            }
        };
        *guard = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyWindow")
            .field("shard", &self.shard)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
