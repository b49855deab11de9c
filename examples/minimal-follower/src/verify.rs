//! Checks what a process has left: would a restart lose anything?
//!
//! The check reads the files itself, so an error of the engine cannot hide from it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use example_support::Error;
use repl_checkpoint::{PeekError, peek};
use repl_core::ShardId;

use crate::engine::Rows;
use crate::follower::SHARDS;
use crate::leader::{Leader, log_of};

/// The result of a check.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Segments above the saved marks: a restart needs them.
    pub(crate) needed: u64,
    /// Segments that are no longer in the logs.
    pub(crate) deleted: u64,
    /// What is wrong.
    pub(crate) faults: Vec<String>,
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
        if end && mark != leader.last {
            found.faults.push(format!("shard {shard} ends at mark {mark}, before its log"));
        }
        found.needed += leader.last.saturating_sub(mark);
        for seqno in 1..=leader.last {
            let kept = fs::exists(log_of(dir, shard).join(seqno.to_string()))?;
            found.deleted += u64::from(!kept);
            if !kept && seqno > mark {
                found.faults.push(format!(
                    "segment {seqno} of shard {shard} is deleted, but a restart begins at mark {mark}"
                ));
            }
        }
        let (expected, mut rows) = (leader.rows_above(shard, 0), table(dir, shard)?);
        rows.extend(leader.rows_above(shard, mark)); // as a restart replays them
        let mut keys = expected.keys().chain(rows.keys());
        if let Some(key) = keys.find(|key| rows.get(key) != expected.get(key)) {
            let text = |row: Option<&u64>| row.map_or("nothing".to_owned(), u64::to_string);
            let (row, expected) = (text(rows.get(key)), text(expected.get(key)));
            found.faults.push(format!(
                "row {key} of shard {shard} holds {row}, but its log leaves {expected}"
            ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::follower;

    const SHARD: ShardId = SHARDS[1];

    /// The faults of a folder that was followed to segment 20 of 20, and then changed.
    fn faults_after(change: impl FnOnce(&Path, &mut Leader)) -> Vec<String> {
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
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn every_wrong_row_is_found() {
        for (found, text) in [(None, "nothing"), (Some(0), "0")] {
            let mut row = (0, None);
            let faults = faults_after(|dir, leader| {
                let (key, _) = leader.rows_above(SHARD, 0).pop_first().unwrap();
                row = (key, change_row(dir, key, found));
            });
            let (key, expected) = (row.0, row.1.unwrap());
            let fault = format!("row {key} of shard 2 holds {text}, but its log leaves {expected}");
            assert_eq!(faults, [fault]);
        }
        let faults = faults_after(|dir, _| assert_eq!(change_row(dir, 1000, Some(1)), None));
        assert_eq!(faults, ["row 1000 of shard 2 holds 1, but its log leaves nothing"]);
    }

    #[test]
    fn a_deleted_segment_above_the_mark_and_a_mark_behind_the_log_are_found() {
        let faults = faults_after(|dir, leader| {
            leader.write_next().unwrap();
            fs::remove_file(log_of(dir, SHARD).join("21")).unwrap();
        });
        let deleted = "segment 21 of shard 2 is deleted, but a restart begins at mark 20";
        let [first, second, third] =
            SHARDS.map(|shard| format!("shard {shard} ends at mark 20, before its log"));
        assert_eq!(faults, [&first, &second, deleted, &third]);
    }
}
