//! Checks a database and the logs beside it, from the database's own rows.

use std::collections::BTreeSet;

use repl_checkpoint::CheckpointBytes;
use repl_core::{ReplicationState, SeqNo, ShardId};
use thiserror::Error;

use crate::database::Database;
use crate::log::{Logs, SHARDS};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("segment {seqno} of shard {shard} was never applied")]
    Missing { shard: ShardId, seqno: SeqNo },
    #[error("segment {seqno} of shard {shard} was applied {times} times")]
    Repeated { shard: ShardId, seqno: SeqNo, times: u64 },
    #[error("segment {seqno} of shard {shard} was applied, but is not in the log")]
    NotInLog { shard: ShardId, seqno: SeqNo },
    #[error("segment {seqno} of shard {shard} was deleted, but is not applied")]
    DeletedUnapplied { shard: ShardId, seqno: SeqNo },
    #[error("segment {seqno} of shard {shard} was deleted, but the stored mark is {mark}")]
    DeletedAbove { shard: ShardId, seqno: SeqNo, mark: SeqNo },
    #[error("the stored mark of shard {shard} is {mark}, but its log ends at {segments}")]
    Mark { shard: ShardId, mark: SeqNo, segments: u64 },
    #[error("the total of shard {shard} is {total}, but its segments add up to {expected}")]
    Total { shard: ShardId, total: u64, expected: u64 },
}

/// The result of a check.
pub(crate) struct Found {
    /// The number of segments that are applied.
    pub(crate) applied: u64,
    /// The number of segments that are deleted from the logs.
    pub(crate) deleted: u64,
    pub(crate) faults: Vec<Fault>,
}

/// Checks what an applier has left: nothing is applied twice, and what is deleted is applied, and
/// at or below the stored mark. If the logs are at their `end`, nothing is missing either.
pub(crate) fn check(
    logs: &Logs,
    database: &Database,
    end: bool,
) -> Result<Found, example_support::Error> {
    let stored = ReplicationState::from_checkpoint_bytes(&database.marks()?, &SHARDS)?;
    let (mut rows, totals) = database.contents()?;
    let (applied, mut deleted, mut faults) = (rows.len() as u64, 0, Vec::new());
    for (shard, total) in SHARDS.into_iter().zip(totals) {
        let mark = stored.applied_seqno(shard).unwrap_or(0);
        let kept: BTreeSet<SeqNo> = logs.kept(shard)?.into_iter().collect();
        for seqno in 1..=logs.segments {
            let is_deleted = !kept.contains(&seqno);
            deleted += u64::from(is_deleted);
            match rows.remove(&(shard, seqno)).unwrap_or(0) {
                0 if is_deleted => faults.push(Fault::DeletedUnapplied { shard, seqno }),
                0 if end => faults.push(Fault::Missing { shard, seqno }),
                0 | 1 => {}
                times => faults.push(Fault::Repeated { shard, seqno, times }),
            }
            if is_deleted && seqno > mark {
                faults.push(Fault::DeletedAbove { shard, seqno, mark });
            }
        }
        if end && mark != logs.segments {
            faults.push(Fault::Mark { shard, mark, segments: logs.segments });
        }
        let expected = (1..=logs.segments).map(|seqno| logs.amount(shard, seqno)).sum();
        if end && total != expected {
            faults.push(Fault::Total { shard, total, expected });
        }
    }
    faults.extend(rows.into_keys().map(|(shard, seqno)| Fault::NotInLog { shard, seqno }));
    Ok(Found { applied, deleted, faults })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::database::{add, store_marks};

    const SHARD: ShardId = SHARDS[2];

    /// What a check finds after all logs of three segments were applied and `change` was made.
    fn faults_after(change: impl FnOnce(&Logs, &Connection)) -> Vec<Fault> {
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
    fn faults_of(sql: &str) -> Vec<Fault> {
        faults_after(|_, connection| connection.execute_batch(sql).unwrap())
    }

    #[test]
    fn every_fault_is_found() {
        let (shard, seqno) = (SHARD, 2);
        assert_eq!(faults_of(""), []);
        let sql = "UPDATE applied SET times = 3 WHERE shard = 2 AND seqno = 2";
        assert_eq!(faults_of(sql), [Fault::Repeated { shard, seqno, times: 3 }]);
        let lost = "DELETE FROM applied WHERE shard = 2 AND seqno = 2";
        assert_eq!(faults_of(lost), [Fault::Missing { shard, seqno }]);
        let sql = "INSERT INTO applied VALUES (2, 4, 1), (2, 0, 1)";
        let unknown = [0, 4].map(|seqno| Fault::NotInLog { shard, seqno });
        assert_eq!(faults_of(sql), unknown);
        let faults = faults_of("UPDATE totals SET total = 1 WHERE shard = 2");
        assert!(matches!(faults[..], [Fault::Total { shard: SHARD, total: 1, .. }]));
        let faults = faults_after(|logs, connection| {
            logs.delete(shard, seqno).unwrap();
            connection.execute_batch(lost).unwrap();
        });
        assert_eq!(faults, [Fault::DeletedUnapplied { shard, seqno }]);
        let faults = faults_after(|logs, connection| {
            (1..=3).for_each(|seqno| logs.delete(shard, seqno).unwrap());
            let marks = ReplicationState::new(&SHARDS);
            for id in SHARDS {
                marks.advance(id, if id == shard { 2 } else { 3 });
            }
            store_marks(connection, &marks.to_checkpoint_bytes()).unwrap();
        });
        let above = Fault::DeletedAbove { shard, seqno: 3, mark: 2 };
        assert_eq!(faults, [above, Fault::Mark { shard, mark: 2, segments: 3 }]);
    }
}
