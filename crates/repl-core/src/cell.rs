//! One incarnation of one shard: its mark, its waiters, and what never changes.

mod prefix;

use std::sync::Arc;
use std::sync::atomic::AtomicU64 as StdAtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use crate::ids::{Incarnation, Key, LogId, SeqNo, ShardId};
use crate::mark::Mark;
use crate::outcome::{Advance, WaitError};
use crate::seq_range::SeqRange;
use crate::waiters::{Arming, Seen, Ticket, Waiters};
use crate::wakers::Woken;
use crate::window_state::WindowState;

/// A cell has 64 bytes of its own, a cache line of most machines, so that advancing one shard does
/// not slow its neighbour.
#[repr(align(64))]
pub(crate) struct Cell {
    key: StoredKey,
    mark: Mark,
    waiters: Waiters,
}

#[cfg(all(target_os = "linux", not(loom_models)))]
const _: () = assert!(size_of::<Cell>() == 64);

/// A key that is set once, before other threads can reach the cell. What makes the cell reachable
/// orders it, so `Relaxed` does, and loom has nothing to try here.
#[derive(Default)]
struct StoredKey {
    shard: StdAtomicU64,
    incarnation: StdAtomicU64,
    log: [StdAtomicU64; 2],
}

impl Cell {
    /// A cell that no place leads to yet.
    pub(crate) fn vacant() -> Self {
        Cell { key: StoredKey::default(), mark: Mark::new(0), waiters: Waiters::new() }
    }

    /// Sets what a vacant cell is for.
    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    pub(crate) fn begin(&self, key: Key, mark: SeqNo) {
        self.key.shard.store(key.shard.0, Relaxed);
        self.key.incarnation.store(key.incarnation.0, Relaxed);
        self.key.log[0].store((key.log.0 >> 64) as u64, Relaxed);
        self.key.log[1].store(key.log.0 as u64, Relaxed);
        self.mark.raise(mark);
    }

    #[inline]
    pub(crate) fn shard(&self) -> ShardId {
        ShardId(self.key.shard.load(Relaxed))
    }

    pub(crate) fn key(&self) -> Key {
        let log = [0, 1].map(|half: usize| u128::from(self.key.log[half].load(Relaxed)));
        Key {
            shard: self.shard(),
            incarnation: Incarnation(self.key.incarnation.load(Relaxed)),
            log: LogId(log[0] << 64 | log[1]),
        }
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
        let from = self.mark.raise_from(at, to);
        if from >= to {
            return Advance::Stale { at: from };
        }
        if self.waiters.target().must_settle(to) {
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
        if let Some(window) = self.waiters.settle(&self.mark) {
            self.advance_over_windows(Some(window));
        }
        self.ring();
        Advance::Advanced { from }
    }

    /// The result of a wait for `seqno`, as far as it is known without queueing for it.
    #[inline]
    pub(crate) fn outcome(&self, seqno: SeqNo) -> Option<Result<SeqNo, WaitError>> {
        self.waiters.outcome(&self.mark, seqno)
    }

    #[inline]
    pub(crate) fn poll_reached(
        &self,
        seqno: SeqNo,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<SeqNo, WaitError>> {
        self.waiters.poll(&self.mark, seqno, ticket, waker)
    }

    #[inline]
    pub(crate) fn leave(&self, seqno: SeqNo, ticket: &mut Option<Ticket>) {
        self.waiters.leave(&self.mark, seqno, ticket);
    }

    pub(crate) fn awaited(&self) -> Option<SeqNo> {
        self.waiters.awaited(&self.mark)
    }

    pub(crate) fn waiter_count(&self) -> usize {
        self.waiters.count()
    }

    pub(crate) fn poll_awaited(
        &self,
        seen: Seen,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<Option<SeqNo>, WaitError>> {
        self.waiters.poll_awaited(&self.mark, seen, ticket, waker)
    }

    pub(crate) fn unwatch(&self, ticket: &mut Option<u64>) {
        self.waiters.unwatch(&self.mark, ticket);
    }

    /// Makes the next change of what is applied ring a bell.
    pub(crate) fn arm(&self, arming: &Arming) {
        self.waiters.arm(&self.mark, arming);
    }

    /// After a change of what is applied: rings the bell, if the cell is armed.
    #[inline]
    pub(crate) fn ring(&self) {
        self.waiters.ring();
    }

    /// Called when no table holds this cell any more.
    pub(crate) fn retire(&self) -> Woken {
        self.waiters.remove()
    }

    pub(crate) fn close(&self) -> Woken {
        self.waiters.close()
    }

    /// Marks a range as completed, from outside a window.
    pub(crate) fn complete(&self, range: SeqRange) {
        self.advance_over_windows(self.complete_range(range));
    }

    /// Marks a range as completed; returns the window to move the mark on in.
    pub(crate) fn complete_range(&self, range: SeqRange) -> Option<Arc<WindowState>> {
        let range = SeqRange::new(range.first().max(1), range.last()); // 0 is always applied
        if range.is_empty() || self.is_removed() {
            return None;
        }
        self.waiters.complete(&self.mark, range)
    }

    pub(crate) fn ranges_cover(&self, range: SeqRange) -> bool {
        self.waiters.ranges_cover(range)
    }

    pub(crate) fn highest_in_ranges(&self) -> Option<SeqNo> {
        self.waiters.highest_in_ranges()
    }

    /// Whether there may be ranges completed above the mark.
    #[inline]
    pub(crate) fn has_above(&self) -> bool {
        self.waiters.target().has_above()
    }

    pub(crate) fn contains(&self, seqno: SeqNo) -> bool {
        // The flag first: cleared, it means that the mark read after it has passed the ranges.
        let has_above = self.has_above();
        let at = self.applied();
        if seqno <= at || !has_above {
            return seqno <= at;
        }
        let (in_range, window) = self.waiters.find(seqno);
        in_range
            || window.is_some_and(|window| window.is_completed_above(at, seqno))
            || seqno <= self.applied() // the mark has passed it meanwhile
    }

    pub(crate) fn attach(&self, window: &Arc<WindowState>) -> bool {
        self.waiters.attach(&self.mark, window)
    }

    /// Sets the flag that something may be completed above the mark, and records in `window` that
    /// `seqno` is about to be.
    #[cold]
    pub(crate) fn begin_above(&self, window: &WindowState, seqno: SeqNo) {
        self.waiters.begin_above(window, seqno);
    }

    pub(crate) fn detach(&self) {
        self.waiters.detach(&self.mark);
    }
}
