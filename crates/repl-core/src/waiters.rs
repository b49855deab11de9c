//! The waiters of one shard, and what is completed above its mark; and why no wake-up is lost.
//!
//! # The target
//! Beside the mark lies one word, the *target*: the lowest seqno at which an advance has something
//! to settle.
//! - `REMOVED`: the cell has left its table, for good.
//! - `NOBODY`: nothing is waiting. (An advance above it takes the lock and finds nothing.)
//! - `CLOSED`: nothing is waiting, and waiting is closed.
//! - `ARMED`: any change has to be noticed (`waiters/arming.rs`).
//! - With `ABOVE` set as well: seqnos may be completed above the mark, so every advance from
//!   outside the shard's window has to look whether the mark goes further. It is set while there are
//!   ranges, and from the first completion in a window until a snapshot finds nothing above the mark
//!   (`window_state.rs`).
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
//! # Leaving without the lock
//! Once its seqno is reached, a waiter mostly has no entry in the queue any more. It knows so without
//! the lock: a target above its seqno means that its entry is gone.
//!
//! When it entered, it stored or found a target at or below its seqno. What it reads later is that
//! target or a later one, as it reads the same atomic again. A target above its seqno was stored later,
//! under the lock, and by a thread that found no entry for that seqno. No such entry comes back. At
//! the target itself the entry may still be there: not taking it out then leaves it for good
//! (`leaving_without_the_lock_at_the_target_leaves_the_waiter_behind`).
//!
//! # The queue
//! A shard has a queue only while there is something to hold. So what is known without one is in the
//! target: whether waiting is closed. A queue that was made anew gives out tickets that an earlier one
//! has given out. That confuses no waiters: an entry with the ticket of an earlier waiter has another
//! seqno, as the earlier one left the queue when its seqno was reached, when it was dropped, or when
//! waiting ended. Watchers have no seqno, so their tickets are unique among all queues.
//!
//! # Ranges completed above the mark
//! A range is like a waiter for the seqno before it, except that reaching it moves the mark on: the
//! same target and the same argument hold. A range is taken out only after the mark has passed it,
//! under the lock. So what is completed is always in the mark or in the ranges
//! (`ranges_taken_out_before_the_mark_is_raised_are_found_nowhere`).

mod access;
mod arming;
mod ending;
mod list;
mod queue;
mod reaching;
mod spare;
mod target;
#[cfg(test)]
mod tests;
mod watching;

use std::sync::Arc;

use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::range_set::RangeSet;
use crate::seq_range::SeqRange;
use crate::sync::{AtomicU64, Mutex, Ordering, locked};
use crate::window_state::WindowState;

pub(crate) use self::arming::Arming;
pub(crate) use self::list::Ticket;
use self::queue::WaitQueue;
use self::target::{ABOVE, NOBODY, REMOVED};
pub(crate) use self::target::{Seen, Target};

pub(crate) struct Waiters {
    target: AtomicU64,
    /// `None` while there is nothing to hold: most shards are seldom waited on, and a cell has only
    /// 64 bytes. Cells that are armed and hold nothing else share one.
    queue: Mutex<Option<Arc<WaitQueue>>>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters { target: AtomicU64::new(NOBODY), queue: Mutex::new(None) }
    }

    #[inline]
    pub(crate) fn target(&self) -> Target {
        Target(self.target.load(Ordering::Acquire))
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
        let window = self.settle(mark);
        self.ring();
        window
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

    /// What is completed above the mark; clears `ABOVE` if that is nothing. Ranges and window are
    /// read together: what a window leaves that closes between two reads would be in neither.
    pub(crate) fn completed(&self, mark: &Mark) -> RangeSet {
        let read = |queue: &WaitQueue| {
            let mut completed = queue.completed.clone();
            if let Some(window) = &queue.window {
                window.add_completed(mark.get(), &mut completed);
                window.end_at(mark.get());
                queue.update_target(&self.target);
            }
            completed
        };
        self.look(read).unwrap_or_default()
    }

    /// Sets `ABOVE`, and then records in `window` that `seqno` is about to be completed.
    pub(crate) fn begin_above(&self, window: &WindowState, seqno: SeqNo) {
        locked(&self.queue, |slot| {
            let target = self.target.load(Ordering::Relaxed);
            // Without a queue there is no window any more in which anything looks.
            if target != REMOVED && slot.as_ref().is_some_and(|queue| queue.window.is_some()) {
                self.target.store(target | ABOVE, Ordering::Release);
            }
            window.begin(seqno);
        });
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
}
