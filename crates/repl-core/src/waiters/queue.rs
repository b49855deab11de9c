//! What the lock of one shard guards: its waiters, and what is completed above its mark. The numbers
//! are those of the steps in `waiters.rs`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64 as StdAtomicU64;
use std::task::{Poll, Waker};

use super::list::{Ticket, WaitList};
use super::target::{ABOVE, ARMED, CLOSED, NOBODY, REMOVED, Seen};
use crate::bell::Bell;
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::range_set::RangeSet;
use crate::sync::{AtomicU64, Ordering};
use crate::wakers::{Batch, Watchers, Woken};
use crate::window_state::WindowState;

/// The next ticket of a watcher. Of all queues, as a watcher may come back with its ticket to a queue
/// that was made after the one that it was in. Tickets are only compared, so `Relaxed` does, and loom
/// has nothing to try here.
static NEXT_WATCHER: StdAtomicU64 = StdAtomicU64::new(0);

/// Kept only while it has something to hold: see [`is_empty`](WaitQueue::is_empty).
#[derive(Default, Clone)]
pub(super) struct WaitQueue {
    pub(super) waiters: WaitList,
    pub(super) watchers: Option<Box<Watchers>>,
    /// Whether waiting is closed. The target says so where there is no queue.
    pub(super) closed: bool,
    pub(super) completed: RangeSet,
    pub(super) window: Option<Arc<WindowState>>,
    /// To ring at the next change.
    pub(super) bell: Option<Arc<Bell>>,
}

impl WaitQueue {
    /// Whether the shard can do without a queue.
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
            && self.watchers.is_none()
            && self.window.is_none()
            && self.completed.is_empty()
            && self.bell.is_none()
    }

    /// Nothing but a bell.
    pub(super) fn of(bell: Arc<Bell>) -> Self {
        WaitQueue { bell: Some(bell), ..WaitQueue::default() }
    }

    /// Enters a waiter. `None` if it has to wait, otherwise the result of its wait.
    pub(super) fn enter(
        &mut self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<Ticket>,
        waker: &mut Option<Waker>,
        target: &AtomicU64,
    ) -> Option<Result<SeqNo, WaitError>> {
        let known = ticket.take();
        if target.load(Ordering::Relaxed) == REMOVED {
            return Some(Err(WaitError::Removed));
        }
        if let Some(known) = known {
            let queued = self.waiters.get_mut((seqno, known));
            if let (Some(queued), Some(new)) = (queued, waker.as_mut()) {
                std::mem::swap(queued, new);
                *ticket = Some(known);
                return None;
            }
        }
        let place = (seqno, self.waiters.insert(seqno, waker.take()?));
        lower_target(target, seqno); // 1.
        let at = mark.sync_load(); // 2.
        if at < seqno && !self.closed {
            *ticket = Some(place.1);
            return None; // 3.
        }
        *waker = self.waiters.remove(place);
        Some(if at < seqno { Err(WaitError::Closed) } else { Ok(at) })
    }

    /// The lowest seqno above a mark of `at` that a waiter awaits. Waiters at or below the mark are
    /// on their way out.
    pub(super) fn awaited(&self, at: SeqNo) -> Option<SeqNo> {
        self.waiters.lowest_above(at)
    }

    /// The lowest awaited seqno, if it differs from `seen`; otherwise keeps `waker` until it does.
    pub(super) fn watch(
        &mut self,
        at: SeqNo,
        seen: Seen,
        ticket: &mut Option<u64>,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Option<SeqNo>, WaitError>> {
        let awaited = self.awaited(at);
        if seen != Seen::Lowest(awaited) {
            return Poll::Ready(Ok(awaited));
        }
        if self.closed {
            return Poll::Ready(Err(WaitError::Closed));
        }
        let new = NEXT_WATCHER.fetch_add(1, Ordering::Relaxed);
        *ticket = Some(new);
        let watchers = self.watchers.get_or_insert_default();
        watchers.wakers.extend(waker.take().map(|waker| (new, waker)));
        watchers.seen = awaited;
        Poll::Pending
    }

    /// Takes a watcher out.
    pub(super) fn unwatch(&mut self, ticket: u64) -> Option<Waker> {
        let watchers = self.watchers.as_mut()?;
        let waker = watchers.wakers.remove(&ticket);
        if watchers.wakers.is_empty() {
            self.watchers = None;
        }
        waker
    }

    /// Takes the watchers out, if the lowest awaited seqno is no longer what they have seen.
    #[inline]
    pub(super) fn take_watchers_if_changed(&mut self, mark: &Mark) -> Option<Box<Watchers>> {
        let seen = self.watchers.as_ref()?.seen;
        if self.awaited(mark.get()) == seen { None } else { self.watchers.take() }
    }

    pub(super) fn take_wakers(&mut self) -> Woken {
        let (low, waiters) = self.waiters.take();
        Woken { low, waiters, watchers: self.watchers.take() }
    }

    /// Moves the mark over the ranges that it has reached, and takes them out.
    pub(super) fn merge_ranges(&mut self, mark: &Mark) {
        while let Some(range) = self.completed.first() {
            if range.first() > mark.get().saturating_add(1) {
                return;
            }
            mark.raise(range.last());
            self.completed.remove_up_to(mark.get());
        }
    }

    /// Moves waiters whose seqno is reached into `batch`; returns whether it is full.
    pub(super) fn pop_reached(&mut self, at: SeqNo, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            let Some(waker) = self.waiters.pop_up_to(at) else { return false };
            batch.push(waker);
        }
        true
    }

    /// Stores the target that the present contents need.
    pub(super) fn update_target(&self, target: &AtomicU64) {
        let now = target.load(Ordering::Relaxed);
        if now == REMOVED {
            return;
        }
        let nobody = if self.closed { CLOSED } else { NOBODY };
        let armed = if self.bell.is_some() { ARMED } else { nobody };
        let awaited = self.waiters.lowest();
        let before = self.completed.first().map_or(nobody, |range| range.first() - 1);
        let in_window = self.window.as_ref().is_some_and(|window| window.may_have_completed(0));
        let above = in_window || !self.completed.is_empty();
        let new = awaited.min(before).min(armed) | if above { ABOVE } else { 0 };
        if new != now {
            target.store(new, Ordering::Release);
        }
    }
}

/// Stores the target that the present contents need after a waiter was added to them.
fn lower_target(target: &AtomicU64, seqno: SeqNo) {
    let now = target.load(Ordering::Relaxed);
    if seqno < now & !ABOVE {
        target.store(seqno | now & ABOVE, Ordering::Release);
    }
}
