//! How leader and follower agree on the end of a log: restart records and retention floors.
//!
//! A follower continues from one log to the next only if
//! 1. a record for its log ends exactly at its position, frame and checksum; and
//! 2. the first salt of the new log is that of the old one plus one, so that there was one restart.
//!
//! A record is valid only until its log grows again. `leader_log.rs` says when it is removed.
//!
//! A floor is up to where the leader may drop its log. Its file need not be durable: an older one
//! promises less, and a corrupt one nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use example_support::{Error, files};
use repl_core::ShardId;

use crate::wal::{LogPoint, WalHeader};

/// At least two: a follower may have to continue from the log before the one that now ends.
const KEPT: usize = 4;

/// The restart records of one database, oldest first, at most one per log.
#[derive(Debug)]
pub(crate) struct RestartRecords {
    path: PathBuf,
    records: Vec<LogPoint>,
}

impl RestartRecords {
    /// Loads the records at `path`, none if there is no file.
    pub(crate) fn load(path: &Path) -> Result<RestartRecords, Error> {
        let records = files::load(path)?.unwrap_or_default();
        Ok(RestartRecords { path: path.to_owned(), records })
    }

    /// Records durably that a log ends at `end`, replacing an earlier record of that log.
    pub(crate) fn put(&mut self, end: LogPoint) -> Result<(), Error> {
        self.records.retain(|r| r.salts != end.salts);
        self.records.push(end);
        let surplus = self.records.len().saturating_sub(KEPT);
        self.records.drain(..surplus);
        files::save(&self.path, &self.records)
    }

    /// Removes the record of the log of `end`, which continues.
    pub(crate) fn remove(&mut self, end: LogPoint) -> Result<(), Error> {
        self.records.retain(|r| r.salts != end.salts);
        files::save(&self.path, &self.records)
    }

    /// The start of the log of `header`, if that log continues the one of `from` at that place, or
    /// the reason why it does not.
    pub(crate) fn follow(
        &self,
        from: LogPoint,
        header: &WalHeader,
    ) -> Result<LogPoint, &'static str> {
        match self.records.iter().find(|record| record.salts == from.salts) {
            None => Err("no restart record states where the followed log ended"),
            Some(end) if end.frame > from.frame => Err("the followed log ended at a later frame"),
            Some(end) if *end != from => Err("the restart record does not match the content"),
            Some(end) if header.salts[0] != end.salts[0].wrapping_add(1) => {
                Err("at least one log is missing between the followed log and this one")
            }
            Some(_) => Ok(header.start()),
        }
    }
}

/// The floors of a follower, by shard.
pub(crate) type PublishedFloors = BTreeMap<u64, LogPoint>;

/// Whether the published floor of a shard is exactly `end`.
pub(crate) fn floor_is_at(end: LogPoint, shard: ShardId, path: &Path) -> Result<bool, Error> {
    match files::load::<PublishedFloors>(path) {
        Ok(floors) => Ok(floors.is_some_and(|floors| floors.get(&shard.0) == Some(&end))),
        Err(e) if e.is::<files::Corrupt>() => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_place_in_the_same_log_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floors");
        let end = LogPoint { salts: [1, 2], frame: 30, checksum: [4, 5] };
        let reached = |at| floor_is_at(at, ShardId(1), &path).unwrap();
        assert!(!reached(end), "no file");

        files::save_in_cache(&path, &PublishedFloors::from([(1, end)])).unwrap();
        assert!(reached(end));
        assert!(!reached(LogPoint { frame: 31, ..end }), "the log is longer");
        assert!(!reached(LogPoint { salts: [2, 2], ..end }), "another log");
        assert!(!reached(LogPoint { checksum: [4, 6], ..end }), "a rewritten log");
        assert!(!floor_is_at(end, ShardId(2), &path).unwrap(), "another database");

        std::fs::write(&path, b"").unwrap();
        assert!(!reached(end), "a file emptied by a power cut");
    }
}
