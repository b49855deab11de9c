//! What comes of claiming and completing.

use std::error::Error;
use std::fmt;

use crate::ids::SeqNo;
use crate::reached::WaitError;

/// What came of completing a seqno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completion {
    /// This call completed it. Of calls without a claim that complete the same seqno at the very
    /// same time, more than one may be told so.
    Completed {
        /// The mark right after: below the seqno as long as an earlier one is missing.
        mark: SeqNo,
    },
    /// It was completed, skipped or applied before; nothing changed. So with seqno 0.
    AlreadyCompleted {
        /// The mark that was seen.
        mark: SeqNo,
    },
    /// The shard was removed or reset: nothing changed for the shard of today.
    Removed,
}

/// A seqno lies farther above the mark than the window reaches: nothing was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowFull {
    /// The seqno.
    pub seqno: SeqNo,
    /// Once the mark is here, the seqno fits: `shard.wait_for(resume_at)`, or `reached`.
    pub resume_at: SeqNo,
}

/// Why a seqno could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClaimError {
    /// It is completed, skipped or applied: pass over it.
    AlreadyCompleted,
    /// Another applier has it. It may come back, should that one fail.
    Claimed,
    /// It is too far above the mark: wait.
    Full(WindowFull),
    /// The shard was removed or reset, or, while waiting for room, the state was closed.
    Ended(WaitError),
}

/// Why a window could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowError {
    /// The shard has a window, or claims of an earlier one are still held.
    AlreadyOpen,
    /// A window of capacity 0 could never complete anything.
    NoCapacity,
    /// The shard was removed or reset: look it up again.
    Removed,
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
            ClaimError::AlreadyCompleted => f.write_str("the seqno is completed: pass over it"),
            ClaimError::Claimed => f.write_str("the seqno is claimed by another applier"),
            ClaimError::Full(full) => full.fmt(f),
            ClaimError::Ended(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WindowError::AlreadyOpen => {
                "the shard has an apply window, or claims of one: drop them first"
            }
            WindowError::NoCapacity => "an apply window needs a capacity of at least 1",
            WindowError::Removed => "the shard was removed or reset: look it up again",
        })
    }
}

impl Error for WindowFull {}
impl Error for ClaimError {}
impl Error for WindowError {}

impl From<WindowFull> for ClaimError {
    fn from(full: WindowFull) -> Self {
        ClaimError::Full(full)
    }
}

impl From<WaitError> for ClaimError {
    fn from(why: WaitError) -> Self {
        ClaimError::Ended(why)
    }
}
