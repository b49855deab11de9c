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

/// A future that is ready once a mark reaches a seqno: see [`Shard::reached`].
///
/// Await it under any executor, or block the thread with [`wait`](Self::wait),
/// [`wait_timeout`](Self::wait_timeout) or [`wait_deadline`](Self::wait_deadline). It enters the
/// queue when it is first polled. Dropping it leaves nothing behind. Once it is ready it keeps its
/// result.
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct Reached(Stage);

// The result is kept in parts: as a `Result` it would be copied through memory.
enum Stage {
    Reached(SeqNo),
    Failed(WaitError),
    Waiting(Waiting),
}

/// A wait that is not over, and its place in the queue.
struct Waiting {
    shard: Shard,
    seqno: SeqNo,
    ticket: Option<u64>,
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
            None => Reached(Stage::Waiting(self.waiting(seqno))),
        }
    }
}

impl Shard {
    #[cold]
    fn waiting(&self, seqno: SeqNo) -> Waiting {
        Waiting { shard: self.clone(), seqno, ticket: None }
    }
}

impl Reached {
    #[inline]
    pub(crate) fn ready(result: Result<SeqNo, WaitError>) -> Self {
        Reached(match result {
            Ok(mark) => Stage::Reached(mark),
            Err(reason) => Stage::Failed(reason),
        })
    }

    pub(crate) fn waiting(shard: Shard, seqno: SeqNo) -> Self {
        Reached(Stage::Waiting(Waiting { shard, seqno, ticket: None }))
    }

    /// The result of now, without queueing for it.
    pub(crate) fn peek(&self) -> Option<Result<SeqNo, WaitError>> {
        match &self.0 {
            Stage::Reached(mark) => Some(Ok(*mark)),
            Stage::Failed(reason) => Some(Err(*reason)),
            Stage::Waiting(Waiting { shard, seqno, .. }) => shard.cell().outcome(*seqno),
        }
    }

    /// Whether the seqno was reached when the wait began, or at the last poll.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.0, Stage::Reached(_))
    }

    /// Blocks the thread until the seqno is reached; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`], but not [`WaitError::Timeout`].
    #[inline]
    pub fn wait(self) -> Result<SeqNo, WaitError> {
        match self.0 {
            Stage::Reached(mark) => Ok(mark),
            Stage::Failed(reason) => Err(reason),
            Stage::Waiting(waiting) => waiting.block(),
        }
    }

    /// Blocks the thread for at most `timeout`; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    #[inline]
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        match self.0 {
            Stage::Reached(mark) => Ok(mark),
            Stage::Failed(reason) => Err(reason),
            Stage::Waiting(waiting) => waiting.block_for(timeout),
        }
    }

    /// Blocks the thread until `deadline` at the latest; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    #[inline]
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        match self.0 {
            Stage::Reached(mark) => Ok(mark),
            Stage::Failed(reason) => Err(reason),
            Stage::Waiting(waiting) => waiting.block_until(deadline),
        }
    }
}

impl Future for Reached {
    type Output = Result<SeqNo, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = match &mut this.0 {
            Stage::Reached(mark) => Ok(*mark),
            Stage::Failed(reason) => Err(*reason),
            Stage::Waiting(Waiting { shard, seqno, ticket }) => {
                ready!(shard.cell().poll_reached(*seqno, ticket, context.waker()))
            }
        };
        *this = Reached::ready(result);
        Poll::Ready(result)
    }
}

/// Out of line, so that a wait that is over already stays two loads and a comparison.
impl Waiting {
    #[cold]
    fn block(self) -> Result<SeqNo, WaitError> {
        park::block_on(Reached(Stage::Waiting(self)))
    }

    #[cold]
    fn block_for(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        let waiting = Reached(Stage::Waiting(self));
        park::block_for(waiting, timeout).unwrap_or(Err(WaitError::Timeout))
    }

    #[cold]
    fn block_until(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        let waiting = Reached(Stage::Waiting(self));
        park::block_until(waiting, deadline).unwrap_or(Err(WaitError::Timeout))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shard.cell().leave(self.seqno, &mut self.ticket);
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stage::Reached(mark) => write!(f, "Reached(Ok({mark}))"),
            Stage::Failed(reason) => write!(f, "Reached(Err({reason:?}))"),
            Stage::Waiting(Waiting { shard, seqno, ticket }) => f
                .debug_struct("Reached")
                .field("shard", shard)
                .field("seqno", seqno)
                .field("queued", &ticket.is_some())
                .finish(),
        }
    }
}
