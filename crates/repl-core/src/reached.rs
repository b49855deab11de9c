//! Waiting for a mark to reach a seqno.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::ids::SeqNo;
use crate::outcome::WaitError;
use crate::park;
use crate::shard::Shard;
use crate::waiters::Ticket;

/// A future that is ready once a mark reaches a seqno: see [`Shard::reached`].
///
/// Await it under any executor, or block the thread with [`wait`](Self::wait),
/// [`wait_timeout`](Self::wait_timeout) or [`wait_deadline`](Self::wait_deadline). It enters the
/// queue when it is first polled. Dropping it leaves nothing behind. Once it is ready it keeps its
/// result.
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct Reached {
    // An enum would be moved through memory, which takes longer than all the rest of a poll.
    /// `None` once the wait is over.
    shard: Option<Shard>,
    /// The awaited seqno; once the wait is over, the mark.
    seqno: SeqNo,
    /// The place in the queue.
    ticket: Option<Ticket>,
    failed: Option<WaitError>,
}

impl Shard {
    /// Waits until the mark is at `seqno` or above; the result is the mark.
    ///
    /// If `seqno` is already reached, this call itself answers, with two loads. An advance wakes only
    /// the waiters that it reaches; the others cost it nothing.
    ///
    /// ```
    /// use repl_core::{ReplicationState, ShardId, WaitError};
    /// use std::time::Duration;
    ///
    /// let state = ReplicationState::single();
    /// let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| shard.advance(5));
    ///     shard.reached(2).wait() // blocks the thread
    /// })?;
    /// let timeout = Duration::from_millis(1);
    /// assert_eq!(shard.reached(6).wait_timeout(timeout), Err(WaitError::Timeout));
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// // Under tokio: a wait that times out, like every dropped wait, leaves nothing behind.
    /// assert_eq!(shard.reached(5).await, Ok(5));
    /// assert!(tokio::time::timeout(timeout, shard.reached(6)).await.is_err());
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future fails with [`WaitError::Removed`] if the shard is removed or reset, whatever its
    /// last mark was, and with [`WaitError::Closed`] if the [state](crate::ReplicationState::close)
    /// or the [shard](Shard::close) is closed before the seqno is reached.
    #[inline]
    pub fn reached(&self, seqno: SeqNo) -> Reached {
        match self.cell().outcome(seqno) {
            Some(result) => Reached::ready(result),
            None => Reached::waiting(self.clone(), seqno),
        }
    }
}

impl Reached {
    #[inline]
    pub(crate) fn ready(result: Result<SeqNo, WaitError>) -> Self {
        let seqno = result.unwrap_or(0);
        Reached { shard: None, seqno, ticket: None, failed: result.err() }
    }

    #[inline]
    pub(crate) fn waiting(shard: Shard, seqno: SeqNo) -> Self {
        Reached { shard: Some(shard), seqno, ticket: None, failed: None }
    }

    /// The result, once the wait is over.
    #[inline]
    fn result(&self) -> Result<SeqNo, WaitError> {
        self.failed.map_or(Ok(self.seqno), Err)
    }

    /// The result of now, without queueing for it.
    pub(crate) fn peek(&self) -> Option<Result<SeqNo, WaitError>> {
        match &self.shard {
            Some(shard) => shard.cell().outcome(self.seqno),
            None => Some(self.result()),
        }
    }

    /// Whether the seqno was reached when the wait began, or at the last poll.
    pub(crate) fn is_ok(&self) -> bool {
        self.shard.is_none() && self.failed.is_none()
    }

    /// Blocks the thread until the seqno is reached; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`], but not [`WaitError::Timeout`].
    #[inline]
    pub fn wait(self) -> Result<SeqNo, WaitError> {
        if self.shard.is_some() { self.block() } else { self.result() }
    }

    /// Blocks the thread for at most `timeout`; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    #[inline]
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        if self.shard.is_some() { self.block_for(timeout) } else { self.result() }
    }

    /// Blocks the thread until `deadline` at the latest; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    #[inline]
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        if self.shard.is_some() { self.block_until(deadline) } else { self.result() }
    }
}

impl Future for Reached {
    type Output = Result<SeqNo, WaitError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Reached { shard, seqno, ticket, failed } = self.get_mut();
        let result = match shard {
            None => failed.map_or(Ok(*seqno), Err),
            Some(waiting) => {
                let result = ready!(waiting.cell().poll_reached(*seqno, ticket, context.waker()));
                *shard = None;
                match result {
                    Ok(mark) => *seqno = mark,
                    Err(reason) => *failed = Some(reason),
                }
                result
            }
        };
        Poll::Ready(result)
    }
}

/// Out of line, so that a wait that is over already stays two loads and a comparison.
impl Reached {
    #[cold]
    fn block(self) -> Result<SeqNo, WaitError> {
        park::block_on(self)
    }

    #[cold]
    fn block_for(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        park::block_for(self, timeout).unwrap_or(Err(WaitError::Timeout))
    }

    #[cold]
    fn block_until(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        park::block_until(self, deadline).unwrap_or(Err(WaitError::Timeout))
    }
}

impl Drop for Reached {
    #[inline]
    fn drop(&mut self) {
        if let Some(shard) = &self.shard {
            shard.cell().leave(self.seqno, &mut self.ticket);
        }
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "a wait that is not over has not failed")]
impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(shard) = &self.shard else {
            return write!(f, "Reached({:?})", self.result());
        };
        f.debug_struct("Reached")
            .field("shard", shard)
            .field("seqno", &self.seqno)
            .field("queued", &self.ticket.is_some())
            .finish()
    }
}
