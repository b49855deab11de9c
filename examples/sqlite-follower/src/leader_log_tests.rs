use std::fs;

use super::*;
use crate::position::Position;
use crate::restart::NotContinued;
use crate::source::{open_existing, open_to_write};

const SHARD: ShardId = ShardId(0);

struct Leader {
    folder: tempfile::TempDir,
    layout: Layout,
    db: Connection,
    log: LeaderLog,
}

impl Leader {
    fn new() -> Leader {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        fs::create_dir_all(layout.leader()).unwrap();
        fs::create_dir_all(layout.follower()).unwrap();
        let db = open_to_write(&layout.database(SHARD), 1024).unwrap();
        let log = LeaderLog::open(&layout, SHARD, false).unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut leader = Leader { folder, layout, db, log };
        leader.log.after_commit().unwrap();
        leader
    }

    /// The leader after a SIGKILL and a restart.
    fn killed(self) -> Leader {
        let Leader { folder, layout, db, log } = self;
        drop((db, log));
        let db = open_to_write(&layout.database(SHARD), 1024).unwrap();
        let log = LeaderLog::open(&layout, SHARD, false).unwrap();
        Leader { folder, layout, db, log }
    }

    fn commit(&mut self) -> LogPoint {
        self.db.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        self.log.after_commit().unwrap()
    }

    /// Publishes the floor `end`.
    fn release(&self, end: LogPoint) {
        let mut floors = PublishedFloors::default();
        floors.set(SHARD, Position::of_base_copy(end));
        floors.publish(&self.layout.floors()).unwrap();
    }

    fn end_log(&mut self) -> bool {
        self.log.end(&self.db, &AtomicBool::new(true)).unwrap()
    }

    /// The position at which a follower at `from` continues in the log that the file holds now.
    fn follow(&self, from: LogPoint) -> Result<Position, NotContinued> {
        let header = Tail::new(&self.layout.log(SHARD)).header().unwrap().unwrap();
        let records = RestartRecords::load(&self.layout.restarts(SHARD)).unwrap();
        records.follow(Position::of_base_copy(from), &header)
    }

    fn has_record_of(&self, end: LogPoint) -> bool {
        !matches!(self.follow(end), Err(NotContinued::NoRecord))
    }
}

#[test]
fn a_log_ends_only_at_the_floor_and_a_follower_there_continues_in_the_next() {
    let mut leader = Leader::new();
    let early = leader.commit();
    let end = leader.commit();
    assert!(!leader.end_log(), "no floor");
    leader.release(early);
    assert!(!leader.end_log(), "a floor below the end");
    leader.release(end);
    assert!(leader.end_log());
    let next = leader.commit();
    assert_ne!(next.salts, end.salts);
    let position = leader.follow(end).unwrap();
    assert_eq!((position.log, position.at.salts, position.at.frame), (2, next.salts, 0));
    let missed = NotContinued::FramesMissed { end: end.frame, reached: early.frame };
    assert_eq!(leader.follow(early), Err(missed));
    let other = LogPoint { checksum: [0, 0], ..end };
    assert_eq!(leader.follow(other), Err(NotContinued::OtherContent));
}

#[test]
fn the_record_of_a_log_that_continues_is_removed() {
    let mut leader = Leader::new();
    let end = leader.commit();
    // Killed between the record and the checkpoint.
    leader.log.records.put(end).unwrap();
    let mut leader = leader.killed();
    assert!(leader.has_record_of(end), "it may still end there");
    let next = leader.commit();
    assert_eq!(next.salts, end.salts, "the log continued");
    assert!(!leader.has_record_of(end));
}

#[test]
fn after_a_kill_between_checkpoint_and_restart_the_record_stays_only_if_the_log_restarts() {
    for kept_open in [false, true] {
        let mut leader = Leader::new();
        let end = leader.commit();
        leader.release(end);
        assert!(leader.end_log());
        // While another connection is open, SQLite's index remembers the checkpoint.
        let other = open_existing(&leader.layout.database(SHARD)).unwrap();
        other.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
        if !kept_open {
            drop(other);
            let mut leader = leader.killed();
            let next = leader.commit();
            assert_eq!(next.salts, end.salts);
            assert!(!leader.has_record_of(end));
            continue;
        }
        let mut leader = leader.killed();
        let next = leader.commit();
        assert_ne!(next.salts, end.salts);
        leader.follow(end).unwrap();
    }
}

#[test]
fn a_start_keeps_the_record_of_the_previous_log() {
    let mut leader = Leader::new();
    let end = leader.commit();
    leader.release(end);
    assert!(leader.end_log());
    leader.commit();
    // A follower is still at the end of the first log while the leader restarts repeatedly.
    for _ in 0..3 {
        leader = leader.killed();
        leader.commit();
        leader.follow(end).unwrap();
    }
}

#[test]
fn a_restart_prevented_by_a_reader_leaves_no_record() {
    let mut leader = Leader::new();
    leader.commit();
    let reader = open_existing(&leader.layout.database(SHARD)).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    let end = leader.commit();
    leader.release(end);
    assert!(!leader.end_log(), "busy");
    assert!(!leader.has_record_of(end));
    reader.execute_batch("COMMIT").unwrap();
    assert!(leader.end_log());
    leader.commit();
    leader.follow(end).unwrap();
}

#[test]
fn a_leader_killed_while_a_reader_prevents_the_restart_records_the_end_at_its_start() {
    let mut leader = Leader::new();
    let end = leader.commit();
    // The reader is at the end of the log, so all frames can be copied, and only the restart waits.
    let reader = open_existing(&leader.layout.database(SHARD)).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    leader.release(end);
    assert!(!leader.end_log(), "busy");
    let mut leader = leader.killed();
    reader.execute_batch("COMMIT").unwrap();
    let next = leader.commit();
    assert_ne!(next.salts, end.salts, "the log restarted nevertheless");
    leader.follow(end).unwrap();
}

#[test]
fn a_log_may_begin_with_a_rolled_back_transaction_that_spilled() {
    let mut leader = Leader::new();
    let end = leader.commit();
    leader.release(end);
    assert!(leader.end_log());
    leader.db.execute_batch("PRAGMA cache_size = 5; BEGIN").unwrap();
    for _ in 0..40 {
        leader.db.execute_batch("INSERT INTO t VALUES (randomblob(3000))").unwrap();
    }
    leader.db.execute_batch("ROLLBACK").unwrap();
    let position = leader.follow(end).unwrap();
    let next = leader.commit();
    assert_eq!(next.salts, position.at.salts);
}

#[test]
fn a_checkpoint_by_another_process_is_an_error() {
    let mut leader = Leader::new();
    let end = leader.commit();
    let other = open_existing(&leader.layout.database(SHARD)).unwrap();
    other.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
    leader.db.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let error = leader.log.after_commit().unwrap_err();
    assert!(matches!(error, LeaderLogError::OtherWriter { act: "restarted", .. }), "{error}");
    assert_eq!(leader.follow(end), Err(NotContinued::NoRecord));
}

#[test]
fn a_follower_does_not_skip_a_log() {
    let mut leader = Leader::new();
    let end = leader.commit();
    leader.release(end);
    assert!(leader.end_log());
    // Another process writes, checkpoints and writes again, so the log of its first write is gone.
    let other = open_existing(&leader.layout.database(SHARD)).unwrap();
    other.execute_batch("INSERT INTO t VALUES ('lost')").unwrap();
    other.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
    other.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(leader.follow(end), Err(NotContinued::NotTheNext));
}
