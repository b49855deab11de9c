//! Waiting for a mark to be saved.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use repl_core::{Reached, SeqNo, Shard, ShardId, WaitError};

use super::{Floors, Source, mark_in};
use crate::blocking::block_until;

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
    /// Until the seqno is applied; `None` once it is.
    applied: Option<Reached>,
    /// Until another attempt ends. There is nothing to look at before.
    ended: Option<Reached>,
}

impl UntilSaved {
    pub(super) fn new(floors: Floors, shard: ShardId, seqno: SeqNo) -> Self {
        let shard = floors.state().shard(shard);
        let applied = shard.as_ref().map(|shard| shard.reached(seqno));
        UntilSaved { floors, shard, seqno, applied, ended: None }
    }

    /// Blocks the thread until the mark is saved; returns the saved mark.
    ///
    /// # Errors
    /// Those of [`Floors::saved`].
    pub fn wait(self) -> Result<SeqNo, WaitError> {
        block_until(self, None).unwrap_or(Err(WaitError::Timeout))
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`Floors::saved`], and [`WaitError::Timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        // A time beyond the end of the clock never comes.
        let deadline = Instant::now().checked_add(timeout);
        block_until(self, deadline).unwrap_or(Err(WaitError::Timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// Those of [`Floors::saved`], and [`WaitError::Timeout`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        block_until(self, Some(deadline)).unwrap_or(Err(WaitError::Timeout))
    }

    /// The result if it is known; otherwise sets what to wait for.
    fn look(&mut self) -> Option<Result<SeqNo, WaitError>> {
        let shard = self.shard.as_ref()?;
        // Seqno 0 is always reached, unless the shard was removed.
        if let Err(error) = shard.reached(0).wait() {
            return Some(Err(error));
        }
        let inner = match &self.floors.0 {
            Source::Saved(inner) => inner,
            Source::Durable(_) => {
                let mark = shard.applied();
                return (mark >= self.seqno).then_some(Ok(mark));
            }
        };
        let ended = inner.ended_after(inner.ended()); // before the look, or an end could be missed
        let newest = inner.saves().newest.as_ref().and_then(|newest| mark_in(newest, shard));
        if let Some(mark) = newest.filter(|mark| *mark >= self.seqno) {
            return Some(Ok(mark));
        }
        self.ended = Some(ended);
        inner.is_stuck().then_some(Err(WaitError::Closed))
    }
}

impl Future for UntilSaved {
    type Output = Result<SeqNo, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.shard.is_none() {
            return Poll::Ready(Err(WaitError::UnknownShard));
        }
        loop {
            if let Some(Poll::Ready(waited)) = polled(&mut self.applied, cx)
                && let Err(error) = waited
            {
                return Poll::Ready(Err(error));
            }
            match polled(&mut self.ended, cx) {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
                Some(Poll::Ready(Ok(_))) | None => {}
            }
            if let Some(result) = self.look() {
                return Poll::Ready(result);
            }
            if self.ended.is_none() {
                return Poll::Pending; // nothing but the mark is waited for
            }
        }
    }
}

/// Polls a wait, if there is one, and drops it when it is over.
fn polled(
    wait: &mut Option<Reached>,
    cx: &mut Context<'_>,
) -> Option<Poll<Result<SeqNo, WaitError>>> {
    let polled = Pin::new(wait.as_mut()?).poll(cx);
    if polled.is_ready() {
        *wait = None;
    }
    Some(polled)
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
