//! What comes of beginning an epoch.

use std::error::Error;
use std::fmt;

use crate::ids::EpochStart;

/// An epoch or its first segment is not above those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochOrder {
    /// The first epoch that is out of order.
    pub start: EpochStart,
}

/// An epoch cannot begin: it is not above the latest one. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StaleEpoch {
    /// The epoch that was to begin.
    pub epoch: u64,
    /// The latest epoch, which it would have to be above.
    pub latest: u64,
}

/// An epoch could not begin in a running state; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BeginEpochError {
    /// It is not above the latest epoch of the shard.
    Stale(StaleEpoch),
    /// The state does not track this shard.
    UnknownShard,
}

/// A wait for a bookmark ended before its segment was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BookmarkError {
    /// The log does not have the write: a later epoch begins at or below its segment. Write again.
    Lost,
    /// The epochs of the shard begin after the bookmark, so they cannot tell whether the log has the
    /// write. Ask the leader, or read what was written.
    TooOld,
    /// The shard follows another log.
    OtherLog,
    /// The time was up. The shard may reach the bookmark later.
    Timeout,
    /// The [state](crate::ReplicationState::close) or the [shard](crate::Shard::close) was closed.
    Closed,
    /// The shard was removed during the wait.
    Removed,
    /// The state does not track this shard.
    UnknownShard,
}

impl fmt::Display for EpochOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out of place: epochs and their first segments must ascend", self.start)
    }
}

impl fmt::Display for StaleEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StaleEpoch { epoch, latest } = self;
        write!(f, "epoch {epoch} cannot begin: epoch {latest} is the latest, and not below it")
    }
}

impl fmt::Display for BeginEpochError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BeginEpochError::Stale(stale) => stale.fmt(f),
            BeginEpochError::UnknownShard => f.write_str(UNKNOWN),
        }
    }
}

impl fmt::Display for BookmarkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BookmarkError::Lost => {
                "a later epoch has replaced the bookmark's segment: write it again"
            }
            BookmarkError::TooOld => {
                "the shard's epochs begin after the bookmark, so they cannot tell whether its \
                 segment is kept: ask the leader"
            }
            BookmarkError::OtherLog => "the bookmark is of another log than the shard",
            BookmarkError::Timeout => "timed out before the bookmark was reached",
            BookmarkError::Closed => "waiting was closed before the bookmark was reached",
            BookmarkError::Removed => "the shard was removed before the bookmark was reached",
            BookmarkError::UnknownShard => UNKNOWN,
        })
    }
}

const UNKNOWN: &str = "the state does not track this shard";

impl From<StaleEpoch> for BeginEpochError {
    fn from(stale: StaleEpoch) -> Self {
        BeginEpochError::Stale(stale)
    }
}

impl Error for BeginEpochError {}
impl Error for BookmarkError {}
impl Error for EpochOrder {}
impl Error for StaleEpoch {}
