//! One life of one shard: its mark, who waits on it, and what does not change while it lives.

use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use crate::completed::AppliedSet;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::mark::Mark;
use crate::ranges::SeqRange;
use crate::reached::WaitError;
use crate::shard::Advance;
use crate::waiters::Waiters;
use crate::wakers::Woken;
use crate::window;

/// Who a cell speaks of. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) shard: ShardId,
    pub(crate) incarnation: Incarnation,
    pub(crate) log: LogId,
}

/// A cell has 64 bytes of its own, a cache line of most machines, so that advancing one shard does
/// not slow its neighbour.
#[repr(align(64))]
pub(crate) struct Cell {
    key: Key,
    mark: Mark,
    waiters: Waiters,
}

#[cfg(all(target_os = "linux", not(loom)))]
const _: () = assert!(size_of::<Cell>() == 64);

impl Cell {
    pub(crate) fn new(key: Key, mark: SeqNo) -> Self {
        Cell { key, mark: Mark::new(mark), waiters: Waiters::new() }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    #[inline]
    pub(crate) fn applied(&self) -> SeqNo {
        self.mark.get()
    }

    #[inline]
    pub(crate) fn is_removed(&self) -> bool {
        self.waiters.target().is_removed()
    }

    #[inline]
    pub(crate) fn advance(&self, to: SeqNo) -> Advance {
        let at = self.mark.get();
        if self.is_removed() {
            return Advance::Removed;
        }
        if to <= at {
            return Advance::Stale { at };
        }
        let from = self.mark.raise(to);
        if from >= to {
            return Advance::Stale { at: from };
        }
        if self.waiters.target().concerns(to) {
            return self.settle_from_outside(from);
        }
        Advance::Advanced { from }
    }

    /// The mark never falls, so a mark of `expected` or more, once seen, holds until the raise:
    /// no compare-and-swap loop is needed.
    #[inline]
    pub(crate) fn advance_from(&self, expected: SeqNo, to: SeqNo) -> Advance {
        let at = self.mark.get();
        if at < expected && at < to && !self.is_removed() {
            return Advance::Gap { at };
        }
        self.advance(to)
    }

    #[cold]
    fn settle_from_outside(&self, from: SeqNo) -> Advance {
        if self.is_removed() {
            return Advance::Removed;
        }
        self.follow(self.waiters.settle(&self.mark));
        Advance::Advanced { from }
    }

    /// How the wait for `seqno` stands without queueing for it.
    pub(crate) fn outcome(&self, seqno: SeqNo) -> Option<Result<SeqNo, WaitError>> {
        self.waiters.outcome(&self.mark, seqno)
    }

    pub(crate) fn poll_reached(
        &self,
        seqno: SeqNo,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        self.waiters.poll(&self.mark, seqno, ticket, waker)
    }

    pub(crate) fn leave(&self, seqno: SeqNo, ticket: &mut Option<u64>) {
        self.waiters.leave(seqno, ticket);
    }

    /// Called when no table holds this cell any more.
    pub(crate) fn retire(&self) -> Woken {
        self.waiters.remove()
    }

    pub(crate) fn close(&self) -> Woken {
        self.waiters.close()
    }

    /// Records a range as completed, from outside a window.
    pub(crate) fn complete(&self, range: SeqRange) {
        self.follow(self.complete_in_window(range));
    }

    /// Lets the window of the shard, where there is one, move the mark over what was completed in
    /// it; and then the one that has taken its place meanwhile, which may rely on this mark too.
    fn follow(&self, mut window: Option<Weak<window::Core>>) {
        while let Some(now) = window.as_ref().and_then(Weak::upgrade) {
            now.follow();
            let next = self.waiters.window();
            if next.as_ref().is_none_or(|next| std::ptr::eq(next.as_ptr(), &raw const *now)) {
                return;
            }
            window = next;
        }
    }

    /// Whether there may be ranges completed above the mark.
    #[inline]
    pub(crate) fn has_above(&self) -> bool {
        self.waiters.target().has_above()
    }

    /// The mark, and what is completed above it: nothing that touches the mark, which is moved on
    /// if some thread that completes has not come to it yet.
    pub(crate) fn completed(&self) -> AppliedSet {
        // The flag first: cleared, it says that the mark read after it has passed the ranges.
        if !self.has_above() {
            return AppliedSet::in_form(self.applied(), &[]);
        }
        let (mut above, window) = self.waiters.completed();
        if let Some(window) = &window {
            window.add_completed(&mut above);
        }
        let mut mark = self.applied();
        above.forget_up_to(mark);
        while let Some(next) = above.first().filter(|range| range.first == mark.saturating_add(1)) {
            self.raise_in_window(next.last);
            mark = self.applied();
            above.forget_up_to(mark);
        }
        self.follow(window.as_ref().map(Arc::downgrade));
        AppliedSet::in_form(mark, &above.iter().collect::<Vec<_>>())
    }
}

/// What only the window of the shard may do: it follows up itself.
impl Cell {
    /// Raises the mark, and returns where it was.
    #[inline]
    pub(crate) fn raise_in_window(&self, to: SeqNo) -> SeqNo {
        let from = self.mark.raise(to);
        if self.waiters.target().concerns_in_window(to) {
            self.waiters.settle(&self.mark);
        }
        from
    }

    pub(crate) fn complete_in_window(&self, range: SeqRange) -> Option<Weak<window::Core>> {
        let range = SeqRange::new(range.first.max(1), range.last); // 0 is always applied
        if range.is_empty() || self.is_removed() {
            return None;
        }
        self.waiters.complete(&self.mark, range)
    }

    pub(crate) fn meet(&self) -> SeqNo {
        self.mark.meet()
    }

    pub(crate) fn ranges_cover(&self, range: SeqRange) -> bool {
        self.waiters.cover(range)
    }

    pub(crate) fn highest_in_a_range(&self) -> Option<SeqNo> {
        self.waiters.highest_completed()
    }

    pub(crate) fn attach(&self, window: &Arc<window::Core>) -> bool {
        self.waiters.attach(&Arc::downgrade(window))
    }

    pub(crate) fn detach(&self, window: *const window::Core) {
        self.waiters.detach(window);
    }
}
