//! Up to where may the leader drop its log? The follower says so in one small file.
//!
//! A floor is a promise: nothing up to this place will ever be asked for again. It is the mark in
//! the *previous* acknowledged generation of the checkpoint, so that falling back from a damaged
//! newest one keeps it. It carries the salts and the checksum of its place, and the leader compares
//! all of that with the end of its own log. So a floor of another log, or of a log that was
//! rewritten, is never mistaken for one of this.
//!
//! The file need not reach the disk: what it speaks of has. An older one promises less, and one
//! that a power cut damaged promises nothing until the next is written. A database that it does not
//! name has no floor, and the leader holds all.

use std::collections::BTreeMap;
use std::path::Path;

use repl_core::ShardId;
use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError, Reach};
use crate::position::Position;
use crate::wal::LogPoint;

/// What a follower has promised, by database.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedFloors {
    floors: BTreeMap<u64, Position>,
}

impl PublishedFloors {
    pub(crate) fn set(&mut self, shard: ShardId, floor: Position) {
        self.floors.insert(shard.0, floor);
    }

    pub(crate) fn publish(&self, path: &Path) -> Result<(), FileError> {
        durable::save(path, self, Reach::Cache)
    }

    /// Whether a follower has promised never to ask for anything up to `end`.
    pub(crate) fn reach(path: &Path, shard: ShardId, end: LogPoint) -> Result<bool, FileError> {
        match durable::load::<PublishedFloors>(path) {
            Ok(Some(published)) => Ok(published.floors.get(&shard.0).is_some_and(|f| f.at == end)),
            Ok(None) | Err(FileError::Damaged { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_place_in_the_very_log_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floors");
        let end = LogPoint { salts: [1, 2], frame: 30, checksum: [4, 5] };
        let reached = |at| PublishedFloors::reach(&path, ShardId(1), at).unwrap();
        assert!(!reached(end), "no file");

        let mut floors = PublishedFloors::default();
        floors.set(ShardId(1), Position { log: 7, at: end });
        floors.publish(&path).unwrap();
        assert!(reached(end));
        assert!(!reached(LogPoint { frame: 31, ..end }), "the log is longer");
        assert!(!reached(LogPoint { salts: [2, 2], ..end }), "another log");
        assert!(!reached(LogPoint { checksum: [4, 6], ..end }), "a rewritten log");
        assert!(!PublishedFloors::reach(&path, ShardId(2), end).unwrap(), "another database");

        std::fs::write(&path, b"").unwrap();
        assert!(!reached(end), "a file that a power cut emptied");
    }
}
