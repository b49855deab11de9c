//! Moving the mark over the contiguous prefix of what is completed.
//!
//! # Why no completion is left behind
//! Completing the seqno that follows the mark raises the mark and then *advances the prefix*: it
//! moves the mark over everything that is completed next. Completing a later seqno leaves it in its
//! chunk, for the thread that closes the gap. Two threads may close the two halves of one gap at
//! once:
//!
//! | completing `s`, not next to the mark | raising the mark to `s - 1` |
//! | --- | --- |
//! | 1. set the bit of `s` | 1. raise the mark, a read-modify-write |
//! | 2. synchronized load of the mark, a read-modify-write that changes nothing | 2. look at the bit of `s` |
//! | 3. advance the prefix, if the mark is at `s - 1` or beyond | 3. advance the prefix, if it is completed |
//!
//! As with waiters (`waiters.rs` argues it) one of the two read-modify-writes is the later in the
//! mark's modification order, and the thread that makes it observes what the other did before.
//! Either the completer finds the mark at `s - 1`, or the raiser finds the bit set. With a
//! plain load in place of the synchronized one neither may, and the mark stays for good: the loom
//! twin `a_plain_load_after_completing_leaves_the_mark_behind`. Each step raises the mark again, so
//! the argument holds at every seqno on the way, as long as the thread goes on until nothing
//! follows: the loom twin `advancing_the_prefix_only_once_leaves_the_mark_behind`.
//!
//! # Why nothing depends on a thread that helps
//! A snapshot also moves the mark on, and may be stopped between any two of its steps; so may any
//! completer. Once a call that completes has returned, the mark has passed what that call could
//! pass, whatever the other threads still have to do:
//! - A completer that finds the mark beyond its own seqno goes on from there all the same
//!   ([`Cell::advance_prefix`] is called with the mark that the synchronized load returned).
//! - A raise that finds the mark farther up raises it to there again, which settles the ranges and
//!   the waiters that the other thread has not settled yet ([`Cell::raise_in_window`]).
//! - A chunk that is gone ([`State::Passed`]) is no gap: the mark was seen above it by the thread
//!   that dropped it. So the thread goes on from the mark of now. Taken for a gap, the mark stays
//!   behind until the stopped thread goes on, and waiters asleep: the test
//!   `a_chunk_that_is_gone_is_no_gap_and_the_waiters_before_it_are_woken` fails on that. The same
//!   holds where `highest` (`window_state.rs`) says that nothing is above: if it was cleared, the
//!   mark is higher by then.
//!
//! An advance from outside looks at the window only where the shard's flag is set; so does a
//! snapshot. `window_state.rs` argues that the flag is set whenever a bit above the mark is.
//!
//! # Windows that follow each other
//! An advance from outside goes on in the window that it finds under the shard's lock. Should
//! another window be attached by then, the advance goes on in that one too: its completers have
//! left to this advance what is behind a mark that this advance raised.

use std::sync::Arc;

use super::Cell;
use crate::applied_set::AppliedSet;
use crate::chunks::State;
use crate::ids::SeqNo;
use crate::sync::interleave;
use crate::window_state::WindowState;

impl Cell {
    /// The newest mark, and a place in its modification order.
    pub(crate) fn sync_load(&self) -> SeqNo {
        self.mark.sync_load()
    }

    /// Raises the mark and does none of what follows, as a thread that is stopped there.
    #[cfg(test)]
    pub(crate) fn raise_and_stop(&self, to: SeqNo) {
        self.mark.raise(to);
    }

    /// Raises the mark and settles what that reaches; returns where the mark was. The caller moves
    /// it on over what is completed in the window.
    #[inline]
    fn raise_in_window(&self, to: SeqNo) -> SeqNo {
        let from = self.mark.raise(to);
        interleave();
        if self.waiters.target().must_settle_in_window(to) {
            self.waiters.settle(&self.mark);
            if from < to {
                self.ring();
            }
        }
        from
    }

    /// Raises the mark and moves it over the ranges next to it, also where another thread has
    /// raised it farther. Returns where it was and where it is.
    #[inline]
    pub(crate) fn raise_over_ranges(&self, to: SeqNo) -> (SeqNo, SeqNo) {
        let from = self.raise_in_window(to);
        let (mut seen, mut at) = (to, self.applied());
        while at > seen {
            self.raise_in_window(at);
            (seen, at) = (at, self.applied());
        }
        (from, at)
    }

    /// Moves the mark over everything that is completed next to it, from a mark to which another
    /// thread may have raised it without going on. Returns the mark.
    pub(crate) fn advance_prefix(&self, window: &WindowState, at: SeqNo) -> SeqNo {
        let (_, at) = self.raise_over_ranges(at);
        self.advance_in_chunks(window, at)
    }

    /// Moves the mark over what is completed in chunks next to it, and over the ranges that this
    /// reaches. Returns the mark.
    #[inline]
    pub(crate) fn advance_in_chunks(&self, window: &WindowState, mut at: SeqNo) -> SeqNo {
        loop {
            let (end, goes_on) = if window.may_have_completed(at) {
                let (end, next) = window.chunks.prefix(at);
                (end, end > at || next == State::Passed)
            } else {
                (at, self.applied() > at)
            };
            if !goes_on {
                window.chunks.drop_passed(at);
                return at;
            }
            (_, at) = self.raise_over_ranges(end);
        }
    }

    /// Moves the mark on in `window`, where there is one, and then in the one that has taken its
    /// place meanwhile.
    pub(crate) fn advance_over_windows(&self, mut window: Option<Arc<WindowState>>) {
        while let Some(now) = window {
            self.advance_prefix(&now, self.applied());
            window = self.waiters.window().filter(|next| !Arc::ptr_eq(next, &now));
        }
    }

    /// The mark, and what is completed above it. Nothing of that touches the mark: the mark is moved
    /// on where a thread that completes has not done so yet.
    pub(crate) fn applied_set(&self) -> AppliedSet {
        // The flag first: cleared, it means that the mark read after it has passed the ranges.
        if !self.has_above() {
            return AppliedSet::up_to(self.applied());
        }
        let mut above = self.waiters.completed(&self.mark);
        let mut mark = self.applied();
        above.remove_up_to(mark);
        let mut raised = false;
        while let Some(next) = above.first().filter(|next| next.first() == mark.saturating_add(1)) {
            self.raise_in_window(next.last());
            mark = self.applied();
            above.remove_up_to(mark);
            raised = true;
        }
        if raised {
            self.advance_over_windows(self.waiters.window());
        }
        AppliedSet::from_parts(mark, above)
    }
}
