//! Retention floors: up to which place the leader may drop its log, published in one small file.
//!
//! A floor is a promise: the follower never needs anything up to this place again. It is the mark
//! in the *previous* acknowledged generation of the checkpoint, so that it holds even if recovery
//! falls back from a corrupt newest one. It carries the salts and the checksum of its place, and
//! the leader compares them with the end of its own log. So the floor of another log, or of a
//! rewritten log, never matches.
//!
//! The file need not be durable, since the checkpoint it is based on is. An older file promises
//! less. A file corrupted by a power cut promises nothing until the next one is written. For a
//! database without a floor the leader keeps the whole log.

use std::collections::BTreeMap;
use std::path::Path;

use repl_core::ShardId;
use serde::{Deserialize, Serialize};

use crate::durable::{self, Durability, FileError};
use crate::position::Position;
use crate::wal::LogPoint;

/// The floors of a follower, by database.
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
        durable::save(path, self, Durability::Cache)
    }

    /// Whether the floor of a shard is exactly `end`.
    pub(crate) fn reach(path: &Path, shard: ShardId, end: LogPoint) -> Result<bool, FileError> {
        match durable::load::<PublishedFloors>(path) {
            Ok(Some(published)) => Ok(published.floors.get(&shard.0).is_some_and(|f| f.at == end)),
            Ok(None) | Err(FileError::Corrupt { .. }) => Ok(false),
            Err(e) => Err(e),
        }
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
        assert!(!reached(end), "a file emptied by a power cut");
    }
}
