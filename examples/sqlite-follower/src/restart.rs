//! Did the log that I follow end where I stand, and go on in this one?
//!
//! New salts tell that a log restarted, and nothing else: a checkpoint by a stranger, behind a
//! follower that has not read all, leaves the same trace. So before its log may restart the leader
//! writes down the place where it ends, a *restart record*, and syncs it. A follower goes from one
//! log to the next only where
//! 1. a record for its log ends exactly at its position, frame and checksum, and
//! 2. the new log's first salt is the old one's plus one: one restart lies between, not two.
//!
//! A record is valid only until its log grows again. The leader removes it before that can do harm:
//! see `leader_log.rs`, which also says why the records of the last few logs are kept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::durable::{self, FileError, Reach};
use crate::position::Position;
use crate::wal::{LogPoint, WalHeader};

/// At least two: the record of the log that a follower may have to leave, and the one of the log
/// that the leader is about to end.
const KEPT: usize = 4;

/// The restart records of one database, oldest first, at most one a log.
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

/// Why a new log does not continue the one that was followed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NotContinued {
    #[error("no restart record tells where the log that was followed ended")]
    NoRecord,
    #[error("the log that was followed ended at frame {end}, and only frame {reached} was reached")]
    FramesMissed { end: u32, reached: u32 },
    #[error("the restart record of the log that was followed speaks of other content")]
    OtherContent,
    #[error("between the log that was followed and this one lies at least one more")]
    NotTheNext,
    #[error("there are no more log numbers")]
    NoMoreLogs,
}

impl RestartRecords {
    /// The records at `path`, none where there is no file.
    pub(crate) fn load(path: &Path) -> Result<RestartRecords, FileError> {
        let document: Option<Document> = durable::load(path)?;
        Ok(RestartRecords {
            path: path.to_owned(),
            records: document.map_or_else(Vec::new, |d| d.ended),
        })
    }

    /// Writes down durably that a log ends at `end`, in place of what was said of that log before.
    pub(crate) fn put(&mut self, end: LogPoint) -> Result<(), FileError> {
        self.records.retain(|r| r.salts != end.salts);
        self.records.push(end);
        let surplus = self.records.len().saturating_sub(KEPT);
        self.records.drain(..surplus);
        self.write()
    }

    /// Takes back what was said of the log of `end`: it goes on.
    pub(crate) fn take_back(&mut self, end: LogPoint) -> Result<(), FileError> {
        self.records.retain(|r| r.salts != end.salts);
        self.write()
    }

    fn write(&self) -> Result<(), FileError> {
        let document = Document { ended: self.records.clone() };
        durable::save(&self.path, &document, Reach::Disk)
    }

    /// The start of the log of `header`, where that log continues the one of `from` at that place.
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
