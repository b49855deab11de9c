//! What comes of moving a mark, waiting, claiming and completing: every result and error.

mod epoch;
mod io_error;

use std::error::Error;
use std::fmt;

use crate::ids::{SeqNo, ShardId};

pub use self::epoch::{BeginEpochError, BookmarkError, EpochOrder, StaleEpoch};

/// The outcome of an attempt to advance a mark.
///
/// It only reports, so it may be ignored: whether to apply a segment is decided *before* applying,
/// by `applied() < seqno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advance {
    /// This call moved the mark from `from` to the seqno that was asked for. It published
    /// everything that its thread wrote before.
    Advanced {
        /// The mark just before.
        from: SeqNo,
    },
    /// The mark was already there or above; nothing changed, and nothing need be published.
    Stale {
        /// The mark that was found.
        at: SeqNo,
    },
    /// Only from [`Shard::advance_from`](crate::Shard::advance_from): segments between the mark and
    /// the expected one are missing; nothing changed.
    Gap {
        /// The mark that was found: the next segment needed follows it.
        at: SeqNo,
    },
    /// The shard was removed or reset after this handle was taken; the present incarnation did not
    /// change. Look the shard up again.
    Removed,
    /// Only from calls by id: the state does not track this shard; nothing changed.
    UnknownShard,
}

impl Advance {
    /// Returns the mark that the call found, before it moved it or left it. `None` if the shard was
    /// removed or is not tracked.
    pub fn mark_before(self) -> Option<SeqNo> {
        match self {
            Advance::Advanced { from: mark }
            | Advance::Stale { at: mark }
            | Advance::Gap { at: mark } => Some(mark),
            Advance::Removed | Advance::UnknownShard => None,
        }
    }

    /// Returns whether this call moved the mark.
    pub fn is_advanced(self) -> bool {
        matches!(self, Advance::Advanced { .. })
    }
}

/// The outcome of completing a seqno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completion {
    /// This call completed it. Where several calls without a claim complete the same seqno at the
    /// same time, more than one may get this.
    Completed {
        /// The mark right after: below the seqno as long as an earlier one is missing.
        mark: SeqNo,
    },
    /// It was completed, skipped or applied before; nothing changed. Seqno 0 always is.
    AlreadyCompleted {
        /// The mark that was found.
        mark: SeqNo,
    },
}

/// A wait ended before its seqno was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u64)] // so that the result of a wait fits two registers
pub enum WaitError {
    /// The time was up. The shard may reach the seqno later.
    Timeout,
    /// The [state](crate::ReplicationState::close) or the [shard](crate::Shard::close) was closed.
    Closed,
    /// The shard was removed or reset: this incarnation advances no more. Look it up again.
    Removed,
    /// Only from calls by id: the state does not track this shard.
    UnknownShard,
}

/// A wait for the marks of a whole snapshot ended early: one shard did not reach its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitAllError {
    /// The shard.
    pub shard: ShardId,
    /// Why it did not.
    pub reason: WaitError,
}

/// A seqno lies farther above the mark than the window reaches; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowFull {
    /// The seqno.
    pub seqno: SeqNo,
    /// The mark from which on the seqno fits. [`ApplyWindow::room_for`] waits for it.
    ///
    /// [`ApplyWindow::room_for`]: crate::ApplyWindow::room_for
    pub resume_at: SeqNo,
}

/// A seqno could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClaimError {
    /// It is completed, skipped or applied: go on with the next one.
    AlreadyCompleted,
    /// Another applier holds it. It is free again if that one fails.
    Claimed,
    /// Only from [`ApplyWindow::try_claim`](crate::ApplyWindow::try_claim): it is too far above the
    /// mark.
    Full(WindowFull),
    /// The shard was removed or reset: look it up again.
    Removed,
    /// The state or the shard was closed before there was room.
    Closed,
    /// The time was up before there was room.
    Timeout,
}

/// A seqno could not be completed, or a range not be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompleteError {
    /// It begins too far above the mark; nothing changed.
    Full(WindowFull),
    /// The shard was removed or reset; the present incarnation did not change.
    Removed,
}

/// A window could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowError {
    /// The shard has an open window, or claims of an earlier one are still held.
    AlreadyOpen,
    /// A window of capacity 0 could never complete anything.
    NoCapacity,
    /// The shard was removed or reset: look it up again.
    Removed,
}

/// A shard could not be added: it is tracked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlreadyTracked {
    /// The shard.
    pub shard: ShardId,
}

/// What [`ReplicationState::merge`](crate::ReplicationState::merge) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[must_use = "shards of another log, and unknown ones, were not merged"]
pub struct Merged {
    /// The number of shards whose mark moved.
    pub advanced: usize,
    /// Shards of the snapshot that the state does not track, ascending.
    pub unknown: Vec<ShardId>,
    /// Shards that follow another named log in the snapshot than in the state, ascending. They are
    /// left as they were.
    pub other_log: Vec<ShardId>,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitError::Timeout => "timed out before the seqno was reached",
            WaitError::Closed => "waiting was closed before the seqno was reached",
            WaitError::Removed => REMOVED,
            WaitError::UnknownShard => "the state does not track this shard",
        })
    }
}

impl fmt::Display for WaitAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} did not reach its mark in the snapshot", self.shard)
    }
}

impl fmt::Display for WindowFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WindowFull { seqno, resume_at } = self;
        write!(
            f,
            "seqno {seqno} is beyond the apply window: wait for the mark to reach {resume_at}"
        )
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::AlreadyCompleted => f.write_str("the seqno is already completed"),
            ClaimError::Claimed => f.write_str("the seqno is claimed by another applier"),
            ClaimError::Full(full) => full.fmt(f),
            ClaimError::Removed => f.write_str(REMOVED),
            ClaimError::Closed => f.write_str("waiting was closed before the window had room"),
            ClaimError::Timeout => f.write_str("timed out before the window had room"),
        }
    }
}

impl fmt::Display for CompleteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompleteError::Full(full) => full.fmt(f),
            CompleteError::Removed => f.write_str(REMOVED),
        }
    }
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WindowError::AlreadyOpen => {
                "the shard has an open apply window, or claims of one: drop them first"
            }
            WindowError::NoCapacity => "an apply window needs a capacity of at least 1",
            WindowError::Removed => REMOVED,
        })
    }
}

impl fmt::Display for AlreadyTracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} is already tracked: reset it to begin at another mark", self.shard)
    }
}

const REMOVED: &str = "the shard was removed or reset: look it up again";

impl Error for WaitError {}
impl Error for WindowFull {}
impl Error for ClaimError {}
impl Error for CompleteError {}
impl Error for WindowError {}
impl Error for AlreadyTracked {}

impl Error for WaitAllError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.reason)
    }
}

impl From<WindowFull> for ClaimError {
    fn from(full: WindowFull) -> Self {
        ClaimError::Full(full)
    }
}

impl From<WindowFull> for CompleteError {
    fn from(full: WindowFull) -> Self {
        CompleteError::Full(full)
    }
}

impl From<WaitError> for ClaimError {
    fn from(reason: WaitError) -> Self {
        match reason {
            WaitError::Timeout => ClaimError::Timeout,
            WaitError::Closed => ClaimError::Closed,
            WaitError::Removed | WaitError::UnknownShard => ClaimError::Removed,
        }
    }
}
