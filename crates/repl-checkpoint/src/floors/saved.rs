//! Waiting for a mark to be saved.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use repl_core::{Reached, SeqNo, Shard, ShardId, WaitError};

use super::{Floors, Source, mark_in};

/// A future that is ready once a mark is saved: see [`Floors::saved`].
///
/// Await it under any executor, or block the thread with [`wait`](Self::wait),
/// [`wait_timeout`](Self::wait_timeout) or [`wait_deadline`](Self::wait_deadline). Dropping it leaves
/// nothing behind.
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct UntilSaved {
    floors: Floors,
    /// `None` if the shard was not tracked when the wait began.
    shard: Option<Shard>,
    seqno: SeqNo,
    /// Until it is ready there is nothing to look at.
    next: Option<Reached>,
}

type Waited = Result<SeqNo, WaitError>;

impl UntilSaved {
    pub(super) fn new(floors: Floors, shard: ShardId, seqno: SeqNo) -> Self {
        let shard = floors.state().shard(shard);
        let next = shard.as_ref().map(|shard| shard.reached(seqno));
        UntilSaved { floors, shard, seqno, next }
    }

    /// Blocks the thread until the mark is saved; returns the saved mark.
    ///
    /// # Errors
    /// Those of [`Floors::saved`].
    pub fn wait(self) -> Result<SeqNo, WaitError> {
        self.wait_by(Reached::wait)
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Floors::saved`], and [`WaitError::Timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.wait_deadline(deadline),
            None => self.wait(), // beyond the end of the clock
        }
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// Those of [`Floors::saved`], and [`WaitError::Timeout`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        self.wait_by(|next| next.wait_deadline(deadline))
    }

    fn wait_by(mut self, wait: impl Fn(Reached) -> Waited) -> Waited {
        let mut next = self.next.take();
        loop {
            if let Some(next) = next {
                wait(next)?;
            }
            next = match self.look() {
                Break(result) => return result,
                Continue(wait) => Some(wait),
            };
        }
    }

    /// The result, or what to wait for before the next look.
    fn look(&self) -> ControlFlow<Waited, Reached> {
        let Some(shard) = &self.shard else {
            return Break(Err(WaitError::UnknownShard));
        };
        // Ready at once: the mark is at the seqno by now. It fails if the shard was removed.
        let applied = shard.reached(0).wait();
        let inner = match (&self.floors.0, applied) {
            (_, Err(error)) => return Break(Err(error)),
            (Source::Durable(_), Ok(mark)) => return Break(Ok(mark)),
            (Source::Saved(inner), Ok(_)) => inner,
        };
        let ended = inner.ended(); // before the look: what ends meanwhile is looked at again
        let newest = inner.saves().newest.as_ref().and_then(|newest| mark_in(newest, shard));
        match newest.filter(|mark| *mark >= self.seqno) {
            Some(mark) => Break(Ok(mark)),
            None if inner.doubt().is_some() => Break(Err(WaitError::Closed)),
            None => Continue(inner.ended_after(ended)),
        }
    }
}

impl Future for UntilSaved {
    type Output = Result<SeqNo, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(next) = &mut self.next {
                let waited = ready!(Pin::new(next).poll(cx));
                self.next = None;
                if let Err(error) = waited {
                    return Poll::Ready(Err(error));
                }
            }
            match self.look() {
                Break(result) => return Poll::Ready(result),
                Continue(next) => self.next = Some(next),
            }
        }
    }
}

impl fmt::Debug for UntilSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shard = self.shard.as_ref().map(Shard::id);
        f.debug_struct("UntilSaved")
            .field("shard", &shard)
            .field("seqno", &self.seqno)
            .finish_non_exhaustive()
    }
}
