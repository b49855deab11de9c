//! Waiting for a seqno, and being woken by the advance that reaches it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::Waiters;
use super::access::Rest;
use super::list::Ticket;
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::sync::locked;
use crate::wakers::{Batch, wake};
use crate::window_state::WindowState;

impl Waiters {
    /// The result of a wait for `seqno`, as far as it is known without the lock.
    #[inline]
    pub(crate) fn outcome(&self, mark: &Mark, seqno: SeqNo) -> Option<Result<SeqNo, WaitError>> {
        if self.target().is_removed() {
            return Some(Err(WaitError::Removed));
        }
        let at = mark.get();
        (at >= seqno).then_some(Ok(at))
    }

    /// The result of a wait for `seqno`. While it is pending, `waker` is in the queue, and `ticket`
    /// is its place there until [`leave`](Waiters::leave).
    #[inline]
    pub(crate) fn poll(
        &self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        match self.outcome(mark, seqno) {
            None => self.enter(mark, seqno, ticket, waker.clone()),
            Some(result) => {
                self.leave(mark, seqno, ticket);
                Poll::Ready(result)
            }
        }
    }

    fn enter(
        &self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<Ticket>,
        waker: Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        let mut waker = Some(waker); // what is left in it is dropped after the lock
        let mut rest = Rest::default();
        let result = locked(&self.queue, |slot| {
            let queue = self.queue_in(slot);
            let result = queue.enter(mark, seqno, ticket, &mut waker, &self.target);
            if result.is_none() {
                rest.watchers = queue.take_watchers_if_changed(mark);
            } else {
                rest.watchers = self.bring_up_to_date(mark, queue);
                rest.empty = slot.take_if(|queue| queue.is_empty());
            }
            result
        });
        rest.finish();
        result.map_or(Poll::Pending, Poll::Ready)
    }

    /// Gives up a place in the queue.
    #[inline]
    pub(crate) fn leave(&self, mark: &Mark, seqno: SeqNo, ticket: &mut Option<Ticket>) {
        if let Some(ticket) = ticket.take() {
            // Above: the thread that raised the target has taken the waiter out.
            if !self.target().is_above(seqno) {
                self.take_out(mark, seqno, ticket);
            }
        }
    }

    #[cold]
    fn take_out(&self, mark: &Mark, seqno: SeqNo, ticket: Ticket) {
        drop(self.with_existing(mark, |queue, _| queue.waiters.remove((seqno, ticket))));
    }

    /// After the mark was raised to or above the target: moves it over the ranges that it has
    /// reached, and wakes the waiters whose seqno is reached.
    #[cold]
    pub(crate) fn settle(&self, mark: &Mark) -> Option<Arc<WindowState>> {
        let (mut first, mut more) = (None, false);
        let window = self.with_existing(mark, |queue, _| {
            queue.merge_ranges(mark);
            let at = mark.get();
            first = queue.waiters.pop_up_to(at);
            more = queue.waiters.lowest() <= at;
            queue.window.clone()
        })?;
        if let Some(first) = first {
            wake(first);
        }
        if more { self.settle_more(mark) } else { window }
    }

    /// Mostly there is no second waiter to wake, and a batch takes time to make.
    #[cold]
    fn settle_more(&self, mark: &Mark) -> Option<Arc<WindowState>> {
        let mut batch = Batch::default();
        loop {
            let (more, window) = self.with_existing(mark, |queue, _| {
                queue.merge_ranges(mark);
                (queue.pop_reached(mark.get(), &mut batch), queue.window.clone())
            })?;
            batch.wake();
            if !more {
                return window;
            }
        }
    }
}
