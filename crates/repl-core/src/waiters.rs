//! Who waits for which seqno on one shard, and what is completed above its mark; and why no wake-up
//! is lost.
//!
//! # The target
//! Beside the mark lies one word, the *target*: the lowest seqno whose reaching concerns somebody.
//! - [`REMOVED`]: the cell has left its table. For good.
//! - [`NOBODY`]: no one waits. (Somebody who awaits a seqno above it is not told apart: an advance
//!   to there looks under the lock in vain.)
//! - With [`ABOVE`] set as well: seqnos may be completed above the mark, so every advance from
//!   outside the shard's window has to look whether the mark goes further.
//!
//! It is written under the lock only.
//!
//! # Orderings
//! A waiter must not go to sleep while the advance that it waits for goes by. Both first write,
//! then look at what the other wrote:
//!
//! | waiter, under the lock | advance |
//! | --- | --- |
//! | 1. store the target | 1. raise the mark, a read-modify-write |
//! | 2. meet the mark, a read-modify-write that changes nothing | 2. load the target |
//! | 3. wait unless it is reached | 3. take the lock and wake unless the target is above |
//!
//! The two read-modify-writes are on one atomic, so one comes first in its modification order, and
//! the later one reads from it or from its release sequence.
//! - *The raise comes first.* Then the meeting returns the raised mark: the waiter does not wait.
//! - *The meeting comes first.* It is a `Release`, the raise an `Acquire`: the waiter's step 1
//!   happens before the advance's step 2, which so reads that target or a later one. A later one
//!   was stored under the lock, after this waiter had entered the queue, and is no higher than what
//!   the waiter awaits, as long as it is there. So the advance takes the lock, and finds it.
//!
//! Hence the target itself could be `Relaxed`, as far as waking goes. It is `Release` and `Acquire`
//! for what else it says:
//! - [`REMOVED`]: who is told of it and looks the shard up again finds the table without this cell
//!   (`who_is_told_removed_finds_the_new_life`; with either `Relaxed` it may not:
//!   `told_of_a_removal_by_a_relaxed_word_one_finds_the_old_life`).
//! - [`ABOVE`] cleared: who sees that, and *then* reads the mark, sees a mark that has passed the
//!   ranges (`who_sees_nothing_above_the_mark_sees_the_mark_that_passed_it`; with either `Relaxed`,
//!   or the mark read first, it may not:
//!   `nothing_above_told_by_a_relaxed_word_hides_what_was_completed`).
//!
//! What breaks when weaker, each a loom twin:
//! - the meeting as a plain load: it may return an old mark, and neither sees the other
//!   (`a_plain_load_before_sleeping_loses_the_wake_up`);
//! - the meeting, or the raise, `Relaxed`: nothing carries the target to the advance
//!   (`a_relaxed_meeting_loses_the_wake_up`, `a_relaxed_raise_loses_the_wake_up`);
//! - no second look at the mark at all (`sleeping_without_a_second_look_loses_the_wake_up`);
//! - the target stored after the meeting (`a_target_stored_too_late_loses_the_wake_up`).
//!
//! A `SeqCst` fence on both sides would do as well, and every advance would pay for it; the
//! read-modify-write of the raise is there anyway.
//!
//! # Ranges completed above the mark
//! They are like waiters for the seqno before them, except that being reached moves the mark on:
//! the same target and the same argument hold for them. They are taken out only after the mark has
//! passed them, under the lock: what is completed is found in the mark or in the ranges
//! (`ranges_taken_out_before_the_mark_is_raised_are_found_nowhere`).

mod held;

use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::ranges::{Ranges, SeqRange};
use crate::reached::WaitError;
use crate::sync::{AtomicU64, Mutex, Ordering, locked};
use crate::wakers::{Batch, Woken};
use crate::window;

use self::held::Held;

const REMOVED: u64 = 0;
const ABOVE: u64 = 1 << 63;
const NOBODY: u64 = ABOVE - 1;

/// What the word beside the mark said.
#[derive(Clone, Copy)]
pub(crate) struct Target(u64);

impl Target {
    #[inline]
    pub(crate) fn is_removed(self) -> bool {
        self.0 == REMOVED
    }

    /// Whether seqnos may be completed above the mark.
    pub(crate) fn has_above(self) -> bool {
        self.0 & ABOVE != 0
    }

    /// Whether an advance to `seqno` from outside a window has to look under the lock.
    #[inline]
    pub(crate) fn concerns(self, seqno: SeqNo) -> bool {
        self.0 <= seqno || self.has_above()
    }

    /// The same for an advance by the window of the shard, which follows up itself.
    #[inline]
    pub(crate) fn concerns_in_window(self, seqno: SeqNo) -> bool {
        self.0 & !ABOVE <= seqno
    }
}

/// The window of a shard, as its cell knows it: it must not keep the window alive.
type Window = Weak<window::Core>;

pub(crate) struct Waiters {
    target: AtomicU64,
    /// `None` until there is something to hold: most shards are never waited on, and a cell has
    /// only 64 bytes.
    held: Mutex<Option<Box<Held>>>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters { target: AtomicU64::new(NOBODY), held: Mutex::new(None) }
    }

    #[inline]
    pub(crate) fn target(&self) -> Target {
        Target(self.target.load(Ordering::Acquire))
    }

    /// How a wait for `seqno` stands, as far as that shows without the lock.
    #[inline]
    pub(crate) fn outcome(&self, mark: &Mark, seqno: SeqNo) -> Option<Result<SeqNo, WaitError>> {
        if self.target().is_removed() {
            return Some(Err(WaitError::Removed));
        }
        let at = mark.get();
        (at >= seqno).then_some(Ok(at))
    }

    /// How a wait for `seqno` stands; where it goes on, `waker` will be woken, and `ticket` is its
    /// place in the queue until [`leave`](Waiters::leave).
    pub(crate) fn poll(
        &self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        let result = self.outcome(mark, seqno).or_else(|| {
            let mut waker = Some(waker.clone()); // what is left in it is dropped after the lock
            self.with(|held, target| held.enter(mark, seqno, ticket, &mut waker, target))
        });
        match result {
            Some(result) => {
                self.leave(seqno, ticket);
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }

    /// Gives up a place in the queue.
    pub(crate) fn leave(&self, seqno: SeqNo, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            let waker = self.with(|held, _| held.queue.remove(&(seqno, ticket)));
            drop(waker);
        }
    }

    /// After the mark was raised to what concerns somebody: moves it over the ranges that it has
    /// come to, and wakes those whose seqno is reached.
    #[cold]
    pub(crate) fn settle(&self, mark: &Mark) -> Option<Window> {
        loop {
            let mut batch = Batch::default();
            let (more, window) = self.with(|held, _| {
                held.absorb(mark);
                (held.pop_reached(mark.get(), &mut batch), held.window.clone())
            });
            batch.wake();
            if !more {
                return window;
            }
        }
    }

    /// Records a range as completed, and moves the mark over it if it has come there.
    pub(crate) fn complete(&self, mark: &Mark, range: SeqRange) -> Option<Window> {
        let told = self.with(|held, target| {
            let window = held.window.as_ref().and_then(Weak::upgrade);
            // Before the range can be seen: who finds it there must not be given its seqnos.
            if let Some(window) = &window {
                window.note_far(range.last);
            }
            held.completed.insert(range);
            held.aim(target); // 1.
            mark.meet(); // 2.
            held.absorb(mark); // 3.
            window
        });
        drop(told);
        self.settle(mark)
    }

    /// Whether all of `range` was recorded as completed, and the mark has not passed it.
    pub(crate) fn cover(&self, range: SeqRange) -> bool {
        self.look(|held| held.completed.cover(range)).unwrap_or(false)
    }

    /// The highest seqno in a range.
    pub(crate) fn highest_completed(&self) -> Option<SeqNo> {
        self.look(|held| held.completed.highest()).flatten()
    }

    /// The ranges completed above the mark, and the window as it was then: one that closes right
    /// after them would leave what is completed in it in neither.
    pub(crate) fn completed(&self) -> (Ranges, Option<Arc<window::Core>>) {
        self.with(|held, _| (held.completed.clone(), held.window.as_ref().and_then(Weak::upgrade)))
    }

    /// The window that is attached now.
    pub(crate) fn window(&self) -> Option<Window> {
        self.look(|held| held.window.clone()).flatten()
    }

    /// Lets every advance from outside tell `window`. False where there is one.
    pub(crate) fn attach(&self, window: &Window) -> bool {
        self.with(|held, _| {
            let free = held.window.is_none();
            if free {
                held.window = Some(Weak::clone(window));
            }
            free
        })
    }

    /// Forgets `window`, where that is the one.
    pub(crate) fn detach(&self, window: *const window::Core) {
        self.with(|held, _| {
            if held.window.as_ref().is_some_and(|here| std::ptr::eq(here.as_ptr(), window)) {
                held.window = None;
            }
        });
    }

    /// Ends all waiting, now and later. Who is returned must be woken after all locks are let go.
    pub(crate) fn close(&self) -> Woken {
        self.with(|held, _| {
            held.closed = true;
            Woken::new(std::mem::take(&mut held.queue))
        })
    }

    /// As [`close`](Waiters::close), for a cell that no table holds any more.
    pub(crate) fn remove(&self) -> Woken {
        locked(&self.held, |held| {
            self.target.store(REMOVED, Ordering::Release);
            let queue = held.as_mut().map(|held| std::mem::take(&mut held.queue));
            Woken::new(queue.unwrap_or_default())
        })
    }

    /// Runs `f` under the lock on what is held, where anything is.
    fn look<R>(&self, f: impl FnOnce(&Held) -> R) -> Option<R> {
        locked(&self.held, |held| held.as_deref().map(f))
    }

    /// Runs `f` under the lock, and brings the target up to date.
    fn with<R>(&self, f: impl FnOnce(&mut Held, &AtomicU64) -> R) -> R {
        locked(&self.held, |held| {
            let held = held.get_or_insert_default();
            let result = f(held, &self.target);
            held.aim(&self.target);
            result
        })
    }
}
