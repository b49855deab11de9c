//! The word beside the mark: see `waiters.rs`.

use crate::ids::SeqNo;

pub(super) const REMOVED: u64 = 0;
/// Every advance from a mark to a higher one reaches it. A waiter for seqno 1 makes the same target.
pub(super) const ARMED: u64 = 1;
pub(super) const ABOVE: u64 = 1 << 63;
pub(super) const NOBODY: u64 = ABOVE - 1;
/// As `NOBODY`, and waiting is closed. A waiter for this very seqno has the same target, and a queue.
pub(super) const CLOSED: u64 = NOBODY - 1;

/// What was read from the word beside the mark.
#[derive(Clone, Copy)]
pub(crate) struct Target(pub(super) u64);

impl Target {
    #[inline]
    pub(crate) fn is_removed(self) -> bool {
        self.0 == REMOVED
    }

    /// Whether a change has to ring; or a waiter awaits seqno 1.
    #[inline]
    pub(crate) fn is_armed(self) -> bool {
        self.0 & !ABOVE == ARMED
    }

    /// Whether waiting is closed, where there is no queue.
    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & !ABOVE == CLOSED
    }

    /// Whether no waiter for `seqno` is queued.
    #[inline]
    pub(super) fn is_above(self, seqno: SeqNo) -> bool {
        self.0 & !ABOVE > seqno || self.is_removed()
    }

    /// Whether seqnos may be completed above the mark.
    pub(crate) fn has_above(self) -> bool {
        self.0 & ABOVE != 0
    }

    /// Whether an advance to `seqno` from outside a window has something to settle.
    #[inline]
    pub(crate) fn must_settle(self, seqno: SeqNo) -> bool {
        self.0 <= seqno || self.has_above()
    }

    /// The same for an advance by the window of the shard, which moves the mark on itself.
    #[inline]
    pub(crate) fn must_settle_in_window(self, seqno: SeqNo) -> bool {
        self.0 & !ABOVE <= seqno
    }
}

/// What a follower of the lowest awaited seqno has seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No value yet.
    Nothing,
    /// This value.
    Lowest(Option<SeqNo>),
}
