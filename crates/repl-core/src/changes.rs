//! Every change of one mark, coalesced.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::ids::SeqNo;
use crate::outcome::WaitError;
use crate::park;
use crate::reached::Reached;
use crate::shard::Shard;

/// The changes of one mark: see [`Shard::changes`].
///
/// Changes are coalesced: a slow reader gets the newest mark, once. Nothing is queued. Each mark is
/// above the one before it, and no change is missed between two calls.
#[derive(Debug, Clone)]
#[must_use = "nothing is followed until `next` is called"]
pub struct Changes {
    shard: Shard,
    seen: Option<SeqNo>,
}

impl Shard {
    /// Returns the changes of the mark, beginning with the mark as it is now.
    ///
    /// ```
    /// let state = repl_core::ReplicationState::single();
    /// let shard = state.shard(repl_core::ShardId::SINGLE).ok_or("not tracked")?;
    /// shard.advance(3);
    /// let mut changes = shard.changes();
    /// assert_eq!(changes.next().wait()?, 3); // blocks the thread; or `.await` it
    /// (4..=9).for_each(|seqno| drop(shard.advance(seqno)));
    /// assert_eq!(changes.next().wait()?, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes(&self) -> Changes {
        Changes { shard: self.clone(), seen: None }
    }
}

impl Changes {
    /// Returns the last mark that was given out, `None` before the first.
    pub fn seen(&self) -> Option<SeqNo> {
        self.seen
    }

    /// Waits for the next change; the first call gives the mark as it is. Dropping the future loses
    /// no change.
    ///
    /// # Errors
    /// The future fails with [`WaitError::Removed`] if the shard is removed or reset, and with
    /// [`WaitError::Closed`] once waiting is closed and the last change was given out, or after a
    /// mark of `u64::MAX`, which can never move again.
    #[expect(clippy::should_implement_trait, reason = "the name that async streams use for it")]
    pub fn next(&mut self) -> NextChange<'_> {
        NextChange { changes: self, reached: None }
    }
}

/// The future of the next change of a mark: see [`Changes::next`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct NextChange<'a> {
    changes: &'a mut Changes,
    reached: Option<Reached>,
}

impl NextChange<'_> {
    /// Blocks the thread until the mark changes; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`], but not [`WaitError::Timeout`].
    pub fn wait(self) -> Result<SeqNo, WaitError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError> {
        park::block_for(self, timeout).unwrap_or(Err(WaitError::Timeout))
    }

    /// Blocks the thread until `deadline` at the latest; returns the mark.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError> {
        park::block_until(self, deadline).unwrap_or(Err(WaitError::Timeout))
    }
}

impl Future for NextChange<'_> {
    type Output = Result<SeqNo, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let NextChange { changes, reached } = self.get_mut();
        let Changes { shard, seen } = &mut **changes;
        let Some(next) = seen.map_or(Some(0), |seen| seen.checked_add(1)) else {
            return Poll::Ready(Err(WaitError::Closed));
        };
        let reached = reached.get_or_insert_with(|| shard.reached(next));
        let result = ready!(Pin::new(reached).poll(context));
        if let Ok(mark) = result {
            *seen = Some(mark);
        }
        Poll::Ready(result)
    }
}
