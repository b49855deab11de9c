//! Watching the lowest seqno that is awaited.

use std::task::{Poll, Waker};

use super::Waiters;
use super::target::{REMOVED, Seen};
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::sync::Ordering;

impl Waiters {
    /// The lowest seqno above the mark that a waiter awaits.
    pub(crate) fn awaited(&self, mark: &Mark) -> Option<SeqNo> {
        self.look(|queue| queue.awaited(mark.get())).flatten()
    }

    /// The number of waiters in the queue.
    pub(crate) fn count(&self) -> usize {
        self.look(|queue| queue.waiters.len()).unwrap_or(0)
    }

    /// The lowest awaited seqno, once it differs from `seen`. While it does not, `waker` is kept,
    /// and `ticket` is its place until [`unwatch`](Waiters::unwatch).
    pub(crate) fn poll_awaited(
        &self,
        mark: &Mark,
        seen: Seen,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<Option<SeqNo>, WaitError>> {
        if self.target().is_removed() {
            *ticket = None;
            return Poll::Ready(Err(WaitError::Removed));
        }
        // What is left in them is dropped after the lock.
        let (mut new, mut old) = (Some(waker.clone()), None);
        self.with(mark, |queue, target| {
            old = ticket.take().and_then(|ticket| queue.unwatch(ticket));
            if target.load(Ordering::Relaxed) == REMOVED {
                return Poll::Ready(Err(WaitError::Removed));
            }
            queue.watch(mark.get(), seen, ticket, &mut new)
        })
    }

    /// Gives up watching what is awaited.
    pub(crate) fn unwatch(&self, mark: &Mark, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            drop(self.with_existing(mark, |queue, _| queue.unwatch(ticket)));
        }
    }
}
