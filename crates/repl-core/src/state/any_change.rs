//! Waiting for any change of a state.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::ReplicationState;
use crate::bell::Bell;
use crate::outcome::WaitError;
use crate::park;
use crate::waiters::Arming;

/// A future that is ready once a state has changed: see [`ReplicationState::any_change`].
///
/// Await it under any executor, or block the thread with [`wait`](Self::wait),
/// [`wait_timeout`](Self::wait_timeout) or [`wait_deadline`](Self::wait_deadline).
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct AnyChange {
    bell: Arc<Bell>,
    seen: u64,
    ticket: Option<u64>,
}

impl ReplicationState {
    /// Waits for any change after this call: a mark moves, a seqno is completed above one, or a
    /// shard is added, removed or reset.
    ///
    /// Take it first, then look at the state, then wait: no change is missed in between. It may be
    /// ready although the look found nothing new. For what is at rest for long, and must not poll
    /// meanwhile.
    ///
    /// ```
    /// use repl_core::{ReplicationState, ShardId};
    ///
    /// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    /// let change = state.any_change();
    /// assert_eq!(state.marks().marks(), [0, 0]); // nothing to do now
    /// std::thread::scope(|s| {
    ///     s.spawn(|| state.advance(ShardId(2), 5));
    ///     change.wait() // blocks the thread; or `.await` it
    /// })?;
    /// assert_eq!(state.marks().marks(), [0, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The call takes the lock of each shard once, and no memory for it. From then on the first
    /// change of each shard takes a lock too; later ones cost what they always do.
    ///
    /// # Errors
    /// The future fails with [`WaitError::Closed`] if the state is [closed](Self::close).
    pub fn any_change(&self) -> AnyChange {
        let seen = self.bell.rings(); // first: what comes later rings once more
        let arming = Arming::of(&self.bell);
        self.table.order().cells().for_each(|cell| cell.arm(&arming));
        AnyChange { bell: Arc::clone(&self.bell), seen, ticket: None }
    }
}

impl AnyChange {
    /// Returns whether the state has changed.
    pub fn has_changed(&self) -> bool {
        self.bell.rings() > self.seen
    }

    /// Blocks the thread until the state changes.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the state is closed.
    pub fn wait(self) -> Result<(), WaitError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and [`WaitError::Timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitError> {
        park::block_for(self, timeout).unwrap_or(Err(WaitError::Timeout))
    }

    /// Blocks the thread until `deadline` at the latest.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and [`WaitError::Timeout`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<(), WaitError> {
        park::block_until(self, deadline).unwrap_or(Err(WaitError::Timeout))
    }
}

impl Future for AnyChange {
    type Output = Result<(), WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let AnyChange { bell, seen, ticket } = self.get_mut();
        bell.poll(*seen, ticket, context.waker())
    }
}

impl Clone for AnyChange {
    /// Waits for the same change.
    fn clone(&self) -> Self {
        AnyChange { bell: Arc::clone(&self.bell), seen: self.seen, ticket: None }
    }
}

impl Drop for AnyChange {
    fn drop(&mut self) {
        self.bell.leave(&mut self.ticket);
    }
}

impl fmt::Debug for AnyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyChange")
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}
