//! Moving the mark over what is completed next to it: the steps of `window.rs`.

use super::core::Core;
use super::ring::State;
use crate::ids::SeqNo;
use crate::ranges::{Ranges, SeqRange};

impl Core {
    /// Moves the mark over all that is completed next to it.
    pub(crate) fn follow(&self) {
        self.follow_on(self.shard().applied());
    }

    /// The same, from a mark to which another thread may have moved it without going on; returns
    /// the mark.
    pub(super) fn follow_on(&self, at: SeqNo) -> SeqNo {
        let (_, at) = self.raise(at);
        self.follow_from(at)
    }

    /// Raises the mark, and moves it over the ranges next to it: also where another thread has
    /// raised it farther. Returns where it was and where it is.
    #[inline]
    pub(super) fn raise(&self, to: SeqNo) -> (SeqNo, SeqNo) {
        let cell = self.shard().cell();
        let from = cell.raise_in_window(to);
        let (mut seen, mut at) = (to, cell.applied());
        while at > seen {
            cell.raise_in_window(at);
            (seen, at) = (at, cell.applied());
        }
        (from, at)
    }

    /// Moves the mark over what is completed in the ring next to it; returns the mark.
    #[inline]
    pub(super) fn follow_from(&self, mut at: SeqNo) -> SeqNo {
        loop {
            let mut end = at;
            while end < SeqNo::MAX && self.ring().state(end + 1) == State::Completed {
                end += 1;
            }
            if end == at {
                return at;
            }
            (_, at) = self.raise(end);
        }
    }

    /// Adds what is completed in the ring.
    pub(crate) fn add_completed(&self, completed: &mut Ranges) {
        let at = self.shard().applied();
        let mut seqno = at;
        let last = at.saturating_add(self.ring().len()).min(self.highest());
        while seqno < last {
            let first = seqno + 1;
            while seqno < last
                && matches!(self.ring().state(seqno + 1), State::Completed | State::Passed)
            {
                seqno += 1;
            }
            completed.insert(SeqRange::new(first, seqno));
            seqno = seqno.saturating_add(1);
        }
    }

    /// What is completed stays so, in the cell; then the shard may have another window.
    pub(super) fn close(&self) {
        let mut completed = Ranges::default();
        self.add_completed(&mut completed);
        let cell = self.shard().cell();
        for range in completed.iter() {
            cell.complete_in_window(range);
        }
        cell.detach(self);
    }
}
