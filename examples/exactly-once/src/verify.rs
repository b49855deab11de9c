//! Checks a database and the logs beside it, from the database's own rows.

use example_support::Error;
use repl_checkpoint::CheckpointBytes;
use repl_core::ReplicationState;

use crate::database::Database;
use crate::log::{Logs, SHARDS};

/// The result of a check.
pub(crate) struct Found {
    /// The number of segments that are applied.
    pub(crate) applied: u64,
    /// The number of segments that are deleted from the logs.
    pub(crate) deleted: u64,
    /// What is wrong.
    pub(crate) faults: Vec<String>,
}

/// Checks what an applier has left: nothing is applied twice, and what is deleted is applied, and
/// at or below the stored mark. If the logs are at their `end`, nothing is missing either.
pub(crate) fn check(logs: &Logs, database: &Database, end: bool) -> Result<Found, Error> {
    let stored = ReplicationState::from_checkpoint_bytes(&database.marks()?, &SHARDS)?;
    let (mut rows, totals) = database.contents()?;
    let (applied, mut deleted, mut faults) = (rows.len() as u64, 0, Vec::new());
    for (shard, total) in SHARDS.into_iter().zip(totals) {
        let mark = stored.applied_seqno(shard).unwrap_or(0);
        let kept = logs.kept(shard)?;
        for seqno in 1..=logs.segments {
            let is_deleted = !kept.contains(&seqno);
            deleted += u64::from(is_deleted);
            let fault = match rows.remove(&(shard, seqno)).unwrap_or(0) {
                0 if is_deleted => "was deleted, but is not applied".to_owned(),
                0 if end => "was never applied".to_owned(),
                0 | 1 if is_deleted && seqno > mark => {
                    format!("was deleted, but the stored mark is {mark}")
                }
                0 | 1 => continue,
                times => format!("was applied {times} times"),
            };
            faults.push(format!("segment {seqno} of shard {shard} {fault}"));
        }
        let last = logs.segments;
        if end && mark != last {
            let stored = format!("the stored mark of shard {shard} is {mark}");
            faults.push(format!("{stored}, but its log ends at {last}"));
        }
        let expected: u64 = (1..=last).map(|seqno| logs.amount(shard, seqno)).sum();
        if end && total != expected {
            let stored = format!("the total of shard {shard} is {total}");
            faults.push(format!("{stored}, but its segments add up to {expected}"));
        }
    }
    faults.extend(rows.into_keys().map(|(shard, seqno)| {
        format!("segment {seqno} of shard {shard} was applied, but is not in the log")
    }));
    Ok(Found { applied, deleted, faults })
}

#[cfg(test)]
mod tests {
    use repl_core::ShardId;
    use rusqlite::Connection;

    use super::*;
    use crate::database::{add, store_marks};

    const SHARD: ShardId = SHARDS[2];

    /// What a check finds after all logs of three segments were applied and `change` was made.
    fn faults_after(change: impl FnOnce(&Logs, &Connection)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs { root: folder.path().to_owned(), seed: 7, segments: 3 };
        logs.write().unwrap();
        let path = folder.path().join("data");
        Database::create(&path).unwrap();
        let mut database = Database::open(&path).unwrap();
        let transaction = database.begin().unwrap();
        let marks = ReplicationState::new(&SHARDS);
        for shard in SHARDS {
            for seqno in 1..=3 {
                add(&transaction, logs.read(shard, seqno).unwrap()).unwrap();
            }
            marks.advance(shard, 3);
        }
        store_marks(&transaction, &marks.to_checkpoint_bytes()).unwrap();
        transaction.commit().unwrap();
        change(&logs, &Connection::open(&path).unwrap());
        check(&logs, &database, true).unwrap().faults
    }

    /// The faults after one statement.
    fn faults_of(sql: &str) -> Vec<String> {
        faults_after(|_, connection| connection.execute_batch(sql).unwrap())
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(faults_of(""), [""; 0]);
        let sql = "UPDATE applied SET times = 3 WHERE shard = 2 AND seqno = 2";
        assert_eq!(faults_of(sql), ["segment 2 of shard 2 was applied 3 times"]);
        let lost = "DELETE FROM applied WHERE shard = 2 AND seqno = 2";
        assert_eq!(faults_of(lost), ["segment 2 of shard 2 was never applied"]);
        let sql = "INSERT INTO applied VALUES (2, 4, 1), (2, 0, 1)";
        let unknown = "of shard 2 was applied, but is not in the log";
        assert_eq!(faults_of(sql), [0, 4].map(|seqno| format!("segment {seqno} {unknown}")));
        let [fault] = &faults_of("UPDATE totals SET total = 1 WHERE shard = 2")[..] else {
            panic!()
        };
        assert!(fault.starts_with("the total of shard 2 is 1, but its segments add up to"));
        let faults = faults_after(|logs, connection| {
            logs.delete(SHARD, 2).unwrap();
            connection.execute_batch(lost).unwrap();
        });
        assert_eq!(faults, ["segment 2 of shard 2 was deleted, but is not applied"]);
        let faults = faults_after(|logs, connection| {
            (1..=3).for_each(|seqno| logs.delete(SHARD, seqno).unwrap());
            let marks = ReplicationState::new(&SHARDS);
            for id in SHARDS {
                marks.advance(id, if id == SHARD { 2 } else { 3 });
            }
            store_marks(connection, &marks.to_checkpoint_bytes()).unwrap();
        });
        let above = "segment 3 of shard 2 was deleted, but the stored mark is 2";
        assert_eq!(faults, [above, "the stored mark of shard 2 is 2, but its log ends at 3"]);
    }
}
