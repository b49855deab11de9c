//! The lowest seqno that is awaited on a shard, and its changes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::ids::SeqNo;
use crate::outcome::WaitError;
use crate::park;
use crate::shard::Shard;
use crate::waiters::Seen;

/// The changes of the lowest awaited seqno of one shard: see [`Shard::awaited_changes`].
///
/// Changes are coalesced: a slow reader gets the newest value, once. Nothing is queued.
#[derive(Debug, Clone)]
#[must_use = "nothing is followed until `next` is called"]
pub struct AwaitedChanges {
    shard: Shard,
    seen: Seen,
}

impl Shard {
    /// Returns the lowest seqno that anything waits for on this shard; `None` if nothing waits.
    ///
    /// It tells a component that fetches segments how far they are needed now. A seqno that is
    /// reached is not awaited. Takes the lock of the shard for a moment.
    pub fn awaited(&self) -> Option<SeqNo> {
        self.cell().awaited()
    }

    /// Returns the number of waits in the queue of this shard, for metrics.
    ///
    /// One that is reached leaves the queue with the advance that wakes it, or when it is dropped.
    /// Takes the lock of the shard for a moment.
    pub fn waiter_count(&self) -> usize {
        self.cell().waiter_count()
    }

    /// Returns the changes of [`awaited`](Self::awaited), beginning with its value now.
    ///
    /// ```
    /// use repl_core::{ReplicationState, ShardId};
    ///
    /// let state = ReplicationState::single();
    /// let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
    /// let mut awaited = shard.awaited_changes();
    /// assert_eq!(awaited.next().wait()?, None);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| shard.reached(7).wait());
    ///     assert_eq!(awaited.next().wait(), Ok(Some(7))); // fetch the segments up to 7
    ///     shard.advance(7);
    ///     assert_eq!(awaited.next().wait(), Ok(None));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn awaited_changes(&self) -> AwaitedChanges {
        AwaitedChanges { shard: self.clone(), seen: Seen::Nothing }
    }
}

impl AwaitedChanges {
    /// Waits for the next change; the first call gives the value as it is. Dropping the future loses
    /// no change.
    ///
    /// # Errors
    /// The future fails with [`WaitError::Removed`] if the shard is removed or reset, and with
    /// [`WaitError::Closed`] once waiting is closed and the last change was given out.
    #[expect(clippy::should_implement_trait, reason = "the name that async streams use for it")]
    pub fn next(&mut self) -> NextAwaited<'_> {
        NextAwaited { changes: self, ticket: None }
    }
}

/// The future of the next change of what is awaited: see [`AwaitedChanges::next`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct NextAwaited<'a> {
    changes: &'a mut AwaitedChanges,
    ticket: Option<u64>,
}

impl NextAwaited<'_> {
    /// Blocks the thread until the lowest awaited seqno changes; returns it.
    ///
    /// # Errors
    /// [`WaitError`], but not [`WaitError::Timeout`].
    pub fn wait(self) -> Result<Option<SeqNo>, WaitError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`; returns the lowest awaited seqno.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<Option<SeqNo>, WaitError> {
        park::block_for(self, timeout).unwrap_or(Err(WaitError::Timeout))
    }

    /// Blocks the thread until `deadline` at the latest; returns the lowest awaited seqno.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<Option<SeqNo>, WaitError> {
        park::block_until(self, deadline).unwrap_or(Err(WaitError::Timeout))
    }
}

impl Future for NextAwaited<'_> {
    type Output = Result<Option<SeqNo>, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let NextAwaited { changes, ticket } = self.get_mut();
        let polled = changes.shard.cell().poll_awaited(changes.seen, ticket, context.waker());
        let result = ready!(polled);
        if let Ok(awaited) = result {
            changes.seen = Seen::Lowest(awaited);
        }
        Poll::Ready(result)
    }
}

impl Drop for NextAwaited<'_> {
    fn drop(&mut self) {
        self.changes.shard.cell().unwatch(&mut self.ticket);
    }
}
