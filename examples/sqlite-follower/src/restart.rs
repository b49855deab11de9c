//! Restart records: proof that a log ended where the follower is, and which log continues it.
//!
//! New salts show only that a log restarted. A checkpoint by another process, while the follower
//! has not read everything, looks the same. So before its log may restart, the leader writes and
//! syncs a *restart record*: the place where the log ends. A follower continues from one log to the
//! next only if
//! 1. a record for its log ends exactly at its position, frame and checksum; and
//! 2. the first salt of the new log is that of the old one plus one, so that there was one restart.
//!
//! A record is valid only until its log grows again. `leader_log.rs` says when the leader removes
//! it, and why the records of the last few logs are kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::durable::{self, Durability, FileError};
use crate::position::Position;
use crate::wal::{LogPoint, WalHeader};

/// At least two: the record of the log from which a follower may have to continue, and that of the
/// log that the leader is about to end.
const KEPT: usize = 4;

/// The restart records of one database, oldest first, at most one per log.
#[derive(Debug)]
pub(crate) struct RestartRecords {
    path: PathBuf,
    records: Vec<LogPoint>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    ended: Vec<LogPoint>,
}

/// The reason why a new log does not continue the one that was followed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NotContinued {
    #[error("no restart record states where the followed log ended")]
    NoRecord,
    #[error("the followed log ended at frame {end}, but was followed only up to frame {reached}")]
    FramesMissed { end: u32, reached: u32 },
    #[error("the restart record of the followed log does not match its content")]
    OtherContent,
    #[error("at least one log is missing between the followed log and this one")]
    NotTheNext,
    #[error("there are no more log numbers")]
    NoMoreLogs,
}

impl RestartRecords {
    /// Loads the records at `path`, none if there is no file.
    pub(crate) fn load(path: &Path) -> Result<RestartRecords, FileError> {
        let document: Option<Document> = durable::load(path)?;
        Ok(RestartRecords {
            path: path.to_owned(),
            records: document.map_or_else(Vec::new, |d| d.ended),
        })
    }

    /// Records durably that a log ends at `end`, replacing an earlier record of that log.
    pub(crate) fn put(&mut self, end: LogPoint) -> Result<(), FileError> {
        self.records.retain(|r| r.salts != end.salts);
        self.records.push(end);
        let surplus = self.records.len().saturating_sub(KEPT);
        self.records.drain(..surplus);
        self.write()
    }

    /// Removes the record of the log of `end`, which continues.
    pub(crate) fn remove(&mut self, end: LogPoint) -> Result<(), FileError> {
        self.records.retain(|r| r.salts != end.salts);
        self.write()
    }

    fn write(&self) -> Result<(), FileError> {
        let document = Document { ended: self.records.clone() };
        durable::save(&self.path, &document, Durability::Disk)
    }

    /// The start of the log of `header`, if that log continues the one of `from` at that place.
    pub(crate) fn follow(
        &self,
        from: Position,
        header: &WalHeader,
    ) -> Result<Position, NotContinued> {
        let of_this_log = |r: &&LogPoint| r.salts == from.at.salts;
        let end = self.records.iter().find(of_this_log).ok_or(NotContinued::NoRecord)?;
        if end.frame > from.at.frame {
            let (end, reached) = (end.frame, from.at.frame);
            return Err(NotContinued::FramesMissed { end, reached });
        }
        if *end != from.at {
            return Err(NotContinued::OtherContent);
        }
        if header.salts[0] != from.at.salts[0].wrapping_add(1) {
            return Err(NotContinued::NotTheNext);
        }
        from.in_next_log(header).ok_or(NotContinued::NoMoreLogs)
    }
}
