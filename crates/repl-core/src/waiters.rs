//! The waiters of one shard, and what is completed above its mark; and why no wake-up is lost.
//!
//! # The target
//! Beside the mark lies one word, the *target*: the lowest seqno at which an advance has something
//! to settle.
//! - `REMOVED`: the cell has left its table, for good.
//! - `NOBODY`: nothing is waiting. (An advance above it takes the lock and finds nothing.)
//! - With `ABOVE` set as well: seqnos may be completed above the mark, so every advance from
//!   outside the shard's window has to look whether the mark goes further.
//!
//! It is written under the lock only.
//!
//! # Orderings
//! A waiter must not go to sleep while the advance that it waits for goes by. Both first write,
//! then read what the other wrote:
//!
//! | waiter, under the lock | advance |
//! | --- | --- |
//! | 1. store the target | 1. raise the mark, a read-modify-write |
//! | 2. synchronized load of the mark, a read-modify-write that changes nothing | 2. load the target |
//! | 3. wait unless it is reached | 3. take the lock and wake unless the target is above |
//!
//! The two read-modify-writes are on one atomic, so one comes first in its modification order, and
//! the later one reads from it or from its release sequence.
//! - *The raise comes first.* Then the synchronized load returns the raised mark: the waiter does
//!   not wait.
//! - *The synchronized load comes first.* It is a `Release`, the raise an `Acquire`: the waiter's
//!   step 1 happens before the advance's step 2, which so reads that target or a later one. A later
//!   one was stored under the lock, after this waiter had entered the queue. It is no higher than
//!   what the waiter awaits, as long as the waiter is queued. So the advance takes the lock, and
//!   finds the waiter.
//!
//! Hence the target itself could be `Relaxed`, as far as waking goes. It is `Release` and `Acquire`
//! for what else it says:
//! - `REMOVED`: a thread that reads it and looks the shard up again finds the table without this
//!   cell (`a_thread_that_sees_removed_finds_the_new_incarnation`; with either `Relaxed` it may not:
//!   `a_relaxed_removal_flag_leads_back_to_the_old_incarnation`).
//! - `ABOVE` cleared: a thread that reads it, and *then* reads the mark, reads a mark that has
//!   passed the ranges (`nothing_above_the_mark_means_that_the_mark_has_passed_it`; with either
//!   `Relaxed`, or the mark read first, it may not:
//!   `a_relaxed_flag_of_nothing_above_hides_what_was_completed`).
//!
//! What breaks when weaker, each a loom twin:
//! - the synchronized load as a plain load: it may return an old mark, and neither sees the other
//!   (`a_plain_load_before_sleeping_loses_the_wake_up`);
//! - the synchronized load, or the raise, `Relaxed`: nothing carries the target to the advance
//!   (`a_relaxed_sync_load_loses_the_wake_up`, `a_relaxed_raise_loses_the_wake_up`);
//! - no second look at the mark at all (`sleeping_without_a_second_look_loses_the_wake_up`);
//! - the target stored after the synchronized load
//!   (`a_target_stored_too_late_loses_the_wake_up`).
//!
//! A `SeqCst` fence on both sides would do as well, and every advance would pay for it; the
//! read-modify-write of the raise is there anyway.
//!
//! # Ranges completed above the mark
//! A range is like a waiter for the seqno before it, except that reaching it moves the mark on: the
//! same target and the same argument hold. A range is taken out only after the mark has passed it,
//! under the lock. So what is completed is always in the mark or in the ranges
//! (`ranges_taken_out_before_the_mark_is_raised_are_found_nowhere`).

mod queue;
mod target;
mod watching;

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::range_set::RangeSet;
use crate::seq_range::SeqRange;
use crate::sync::{AtomicU64, Mutex, Ordering, locked};
use crate::wakers::{Batch, Woken};
use crate::window_state::WindowState;

use self::queue::WaitQueue;
use self::target::{NOBODY, REMOVED};
pub(crate) use self::target::{Seen, Target};

pub(crate) struct Waiters {
    target: AtomicU64,
    /// `None` until there is something to hold: most shards are never waited on, and a cell has
    /// only 64 bytes.
    queue: Mutex<Option<Box<WaitQueue>>>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters { target: AtomicU64::new(NOBODY), queue: Mutex::new(None) }
    }

    #[inline]
    pub(crate) fn target(&self) -> Target {
        Target(self.target.load(Ordering::Acquire))
    }

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
    pub(crate) fn poll(
        &self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        let result = self.outcome(mark, seqno).or_else(|| {
            let mut waker = Some(waker.clone()); // what is left in it is dropped after the lock
            self.with(mark, |queue, target| queue.enter(mark, seqno, ticket, &mut waker, target))
        });
        match result {
            Some(result) => {
                self.leave(mark, seqno, ticket);
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }

    /// Gives up a place in the queue.
    pub(crate) fn leave(&self, mark: &Mark, seqno: SeqNo, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            drop(self.with_existing(mark, |queue, _| queue.waiters.remove(&(seqno, ticket))));
        }
    }

    /// After the mark was raised to or above the target: moves it over the ranges that it has
    /// reached, and wakes the waiters whose seqno is reached.
    #[cold]
    pub(crate) fn settle(&self, mark: &Mark) -> Option<Arc<WindowState>> {
        loop {
            let mut batch = Batch::default();
            let (more, window) = self.with(mark, |queue, _| {
                queue.merge_ranges(mark);
                (queue.pop_reached(mark.get(), &mut batch), queue.window.clone())
            });
            batch.wake();
            if !more {
                return window;
            }
        }
    }

    /// Records a range as completed, and moves the mark over it if the mark is next to it.
    pub(crate) fn complete(&self, mark: &Mark, range: SeqRange) -> Option<Arc<WindowState>> {
        self.with(mark, |queue, target| {
            if target.load(Ordering::Relaxed) == REMOVED {
                return;
            }
            // Before the range can be seen: its seqnos must not be claimed by then.
            if let Some(window) = &queue.window {
                window.note_overflow(range.last());
            }
            queue.completed.insert(range);
            queue.update_target(target); // 1.
            mark.sync_load(); // 2.
            queue.merge_ranges(mark); // 3.
        });
        self.settle(mark)
    }

    /// Whether all of `range` was recorded as completed, and the mark has not passed it.
    pub(crate) fn ranges_cover(&self, range: SeqRange) -> bool {
        self.look(|queue| queue.completed.covers(range)).unwrap_or(false)
    }

    /// The highest seqno in a range.
    pub(crate) fn highest_in_ranges(&self) -> Option<SeqNo> {
        self.look(|queue| queue.completed.highest()).flatten()
    }

    /// Whether `seqno` is in a range, and the window at that time.
    pub(crate) fn find(&self, seqno: SeqNo) -> (bool, Option<Arc<WindowState>>) {
        self.look(|queue| (queue.completed.contains(seqno), queue.window.clone()))
            .unwrap_or_default()
    }

    /// The ranges completed above the mark, and the window at that time. They are read together: a
    /// window that closes between two reads would leave what is completed in it in neither.
    pub(crate) fn completed(&self) -> (RangeSet, Option<Arc<WindowState>>) {
        self.look(|queue| (queue.completed.clone(), queue.window.clone())).unwrap_or_default()
    }

    /// The window that is attached now.
    pub(crate) fn window(&self) -> Option<Arc<WindowState>> {
        self.look(|queue| queue.window.clone()).flatten()
    }

    /// Attaches `window`, so that every advance from outside moves the mark on over what is
    /// completed in it. Returns false where a window is attached already.
    pub(crate) fn attach(&self, mark: &Mark, window: &Arc<WindowState>) -> bool {
        self.with(mark, |queue, _| {
            let free = queue.window.is_none();
            if free {
                queue.window = Some(Arc::clone(window));
            }
            free
        })
    }

    /// Detaches the window.
    pub(crate) fn detach(&self, mark: &Mark) {
        drop(self.with_existing(mark, |queue, _| queue.window.take()));
    }

    /// Fails current and future waits. Wake the returned wakers after releasing all locks.
    pub(crate) fn close(&self) -> Woken {
        locked(&self.queue, |queue| {
            let queue = queue.get_or_insert_default();
            queue.closed = true;
            let woken = queue.take_wakers();
            queue.update_target(&self.target);
            woken
        })
    }

    /// As [`close`](Waiters::close), for a cell that has left its table. Nothing stays in memory but
    /// the cell.
    pub(crate) fn remove(&self) -> Woken {
        let queue = locked(&self.queue, |queue| {
            self.target.store(REMOVED, Ordering::Release);
            queue.take()
        });
        queue.map(|mut queue| queue.take_wakers()).unwrap_or_default()
    }

    /// Runs `f` under the lock on the queue, where there is one.
    fn look<R>(&self, f: impl FnOnce(&WaitQueue) -> R) -> Option<R> {
        locked(&self.queue, |queue| queue.as_deref().map(f))
    }

    /// Runs `f` under the lock, brings the target up to date, and wakes the watchers of what is
    /// awaited where that changed.
    fn with<R>(&self, mark: &Mark, f: impl FnOnce(&mut WaitQueue, &AtomicU64) -> R) -> R {
        let (result, watchers) =
            locked(&self.queue, |queue| self.changed(mark, queue.get_or_insert_default(), f));
        if let Some(watchers) = watchers {
            watchers.wake();
        }
        result
    }

    /// The same, where there is a queue.
    fn with_existing<R>(
        &self,
        mark: &Mark,
        f: impl FnOnce(&mut WaitQueue, &AtomicU64) -> R,
    ) -> Option<R> {
        let (result, watchers) = locked(&self.queue, |queue| {
            queue.as_deref_mut().map(|queue| self.changed(mark, queue, f))
        })?;
        if let Some(watchers) = watchers {
            watchers.wake();
        }
        Some(result)
    }

    fn changed<R>(
        &self,
        mark: &Mark,
        queue: &mut WaitQueue,
        f: impl FnOnce(&mut WaitQueue, &AtomicU64) -> R,
    ) -> (R, Option<Woken>) {
        let result = f(queue, &self.target);
        queue.update_target(&self.target);
        (result, queue.take_watchers_if_changed(mark))
    }
}
