//! Checks what a process has left: would a restart lose anything?
//!
//! The check reads the files itself, so an error of the engine cannot hide from it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use example_support::Error;
use repl_checkpoint::{PeekError, peek};
use repl_core::{SeqNo, ShardId};

use crate::engine::Rows;
use crate::follower::SHARDS;
use crate::leader::{Leader, log_of};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("segment {seqno} of shard {shard} is deleted, but a restart begins at mark {mark}")]
    Deleted { shard: ShardId, seqno: SeqNo, mark: SeqNo },
    /// Found after the segments above the mark are replayed.
    #[error("row {key} of shard {shard} is {}, but its log leaves {}", text(*found), text(*expected))]
    Row { shard: ShardId, key: u64, expected: Option<u64>, found: Option<u64> },
    #[error("the follower of shard {shard} ended at mark {mark}, but its log ends at {last}")]
    Behind { shard: ShardId, mark: SeqNo, last: SeqNo },
}

/// The result of a check.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Segments above the saved marks: a restart needs them.
    pub(crate) needed: u64,
    /// Segments that are no longer in the logs.
    pub(crate) deleted: u64,
    pub(crate) faults: Vec<Fault>,
}

/// Checks the files of a process that was killed, or that has reached the `end` of the logs.
pub(crate) fn check(dir: &Path, leader: &Leader, end: bool) -> Result<Found, Error> {
    let saved = match peek(dir.join("marks")) {
        Ok(peeked) => peeked.checkpoint.ok_or("the marks are saved by another codec")?.shards,
        Err(PeekError::Nothing { .. }) => Vec::new(),
        Err(PeekError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut found = Found::default();
    for shard in SHARDS {
        let mark = saved.iter().find(|entry| entry.shard == shard).map_or(0, |entry| entry.mark);
        let last = leader.last;
        if end && mark != last {
            found.faults.push(Fault::Behind { shard, mark, last });
        }
        found.needed += last.saturating_sub(mark);
        for seqno in 1..=last {
            if !fs::exists(log_of(dir, shard).join(seqno.to_string()))? {
                found.deleted += 1;
                let needed = (seqno > mark).then_some(Fault::Deleted { shard, seqno, mark });
                found.faults.extend(needed);
            }
        }
        let (wanted, mut rows) = (leader.rows_above(shard, 0), table(dir, shard)?);
        rows.extend(leader.rows_above(shard, mark));
        for key in wanted.keys().chain(rows.keys()).copied().collect::<BTreeSet<u64>>() {
            let (expected, found_row) = (wanted.get(&key).copied(), rows.get(&key).copied());
            if expected != found_row {
                found.faults.push(Fault::Row { shard, key, expected, found: found_row });
            }
        }
    }
    Ok(found)
}

/// Reads the table file of a shard.
fn table(dir: &Path, shard: ShardId) -> Result<Rows, Error> {
    match fs::read(dir.join(format!("table-{shard}"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Rows::new()),
        bytes => Ok(serde_json::from_slice(&bytes?)?),
    }
}

fn text(row: Option<u64>) -> String {
    row.map_or("missing".to_owned(), |row| row.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::follower;

    const SHARD: ShardId = SHARDS[1];

    /// The faults of a folder that was followed to segment 20 of 20, and then changed.
    fn faults_after(change: impl FnOnce(&Path, &mut Leader)) -> Vec<Fault> {
        let dir = tempfile::tempdir().unwrap();
        let mut leader = Leader::create(dir.path(), 7, 20).unwrap();
        follower::run(dir.path(), 20, Engine::checkpoint).unwrap();
        change(dir.path(), &mut leader);
        check(dir.path(), &leader, true).unwrap().faults
    }

    /// Writes or removes a row of the table file, and returns the row that was there.
    fn change_row(dir: &Path, key: u64, value: Option<u64>) -> Option<u64> {
        let mut rows = table(dir, SHARD).unwrap();
        let old = rows.remove(&key);
        rows.extend(value.map(|value| (key, value)));
        let path = dir.join(format!("table-{SHARD}"));
        fs::write(path, serde_json::to_vec(&rows).unwrap()).unwrap();
        old
    }

    #[test]
    fn a_follower_that_is_not_killed_ends_equal_with_every_segment_deleted() {
        let faults = faults_after(|dir, leader| {
            let found = check(dir, leader, true).unwrap();
            assert_eq!((found.needed, found.deleted), (0, 60));
        });
        assert_eq!(faults, []);
    }

    #[test]
    fn every_wrong_row_is_found() {
        for found in [None, Some(0)] {
            let mut row = (0, None);
            let faults = faults_after(|dir, leader| {
                let (key, _) = leader.rows_above(SHARD, 0).pop_first().unwrap();
                row = (key, change_row(dir, key, found));
            });
            let (key, expected) = row;
            assert!(expected.is_some());
            assert_eq!(faults, [Fault::Row { shard: SHARD, key, expected, found }]);
        }
        let found = Some(1);
        let faults = faults_after(|dir, _| assert_eq!(change_row(dir, 1000, found), None));
        assert_eq!(faults, [Fault::Row { shard: SHARD, key: 1000, expected: None, found }]);
    }

    #[test]
    fn a_deleted_segment_above_the_mark_and_a_mark_behind_the_log_are_found() {
        let faults = faults_after(|dir, leader| {
            leader.write_next().unwrap();
            fs::remove_file(log_of(dir, SHARD).join("21")).unwrap();
        });
        let behind = |shard| Fault::Behind { shard, mark: 20, last: 21 };
        let deleted = Fault::Deleted { shard: SHARD, seqno: 21, mark: 20 };
        let [first, second, third] = SHARDS.map(behind);
        assert_eq!(faults, [first, second, deleted, third]);
    }
}
