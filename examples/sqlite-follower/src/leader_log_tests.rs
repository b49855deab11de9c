use super::*;
use crate::database::open_existing;
use crate::fixture::{Fixture, SHARD};
use crate::handover::PublishedFloors;

const NO_RECORD: &str = "no restart record states where the followed log ended";

struct Leader {
    at: Fixture,
    log: LeaderLog,
}

impl Leader {
    fn new() -> Leader {
        let at = Fixture::new(1024);
        let mut log = LeaderLog::open(&at.layout, SHARD, false).unwrap();
        at.run("INSERT INTO t VALUES (0)");
        log.after_commit().unwrap();
        Leader { at, log }
    }

    /// A leader whose log has ended, and the end.
    fn with_ended_log() -> (Leader, LogPoint) {
        let mut leader = Leader::new();
        let end = leader.commit();
        leader.release(end);
        assert!(leader.end_log());
        (leader, end)
    }

    /// The leader after a SIGKILL and a restart.
    fn killed(self) -> Leader {
        drop(self.log);
        let at = self.at.reopened();
        let log = LeaderLog::open(&at.layout, SHARD, false).unwrap();
        Leader { at, log }
    }

    /// Another connection that has run these statements.
    fn other(&self, sql: &str) -> Connection {
        let other = open_existing(&self.at.layout.database(SHARD)).unwrap();
        other.execute_batch(sql).unwrap();
        other
    }

    fn commit(&mut self) -> LogPoint {
        self.at.run("INSERT INTO t VALUES (1)");
        self.log.after_commit().unwrap()
    }

    /// Publishes the floor `end`.
    fn release(&self, end: LogPoint) {
        let floors = PublishedFloors::from([(SHARD.0, end)]);
        example_support::files::save_in_cache(&self.at.layout.floors(), &floors).unwrap();
    }

    fn end_log(&mut self) -> bool {
        self.log.try_end(&self.at.db).unwrap()
    }

    /// Where a follower at `from` continues in the log that the file holds now.
    fn follow(&self, from: LogPoint) -> Result<LogPoint, &'static str> {
        let header = Tail::new(&self.at.layout.log(SHARD)).header().unwrap().unwrap();
        let records = RestartRecords::load(&self.at.layout.restarts(SHARD)).unwrap();
        records.follow(from, &header)
    }

    fn has_record_of(&self, end: LogPoint) -> bool {
        self.follow(end) != Err(NO_RECORD)
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
    let start = leader.follow(end).unwrap();
    assert_eq!((start.salts, start.frame), (next.salts, 0));
    assert_eq!(leader.follow(early), Err("the followed log ended at a later frame"));
    let other = LogPoint { checksum: [0, 0], ..end };
    assert_eq!(leader.follow(other), Err("the restart record does not match the content"));
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
        let (leader, end) = Leader::with_ended_log();
        // While another connection is open, SQLite's index remembers the checkpoint.
        let other = leader.other("SELECT count(*) FROM t");
        let other = kept_open.then_some(other);
        let mut leader = leader.killed();
        assert_eq!(leader.commit().salts != end.salts, kept_open);
        let expected = if kept_open { Ok(()) } else { Err(NO_RECORD) };
        assert_eq!(leader.follow(end).map(drop), expected);
        drop(other);
    }
}

#[test]
fn a_start_keeps_the_record_of_the_previous_log() {
    let (mut leader, end) = Leader::with_ended_log();
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
    let reader = leader.other("BEGIN; SELECT count(*) FROM t");
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
    let reader = leader.other("BEGIN; SELECT count(*) FROM t");
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
    let (mut leader, end) = Leader::with_ended_log();
    leader.at.spill("ROLLBACK");
    let start = leader.follow(end).unwrap();
    assert_eq!(leader.commit().salts, start.salts);
}

#[test]
fn a_checkpoint_by_another_process_is_an_error() {
    let mut leader = Leader::new();
    let end = leader.commit();
    leader.other("PRAGMA wal_checkpoint");
    leader.at.run("INSERT INTO t VALUES (1)");
    let error = leader.log.after_commit().unwrap_err().to_string();
    assert!(error.contains("another process has restarted the log"), "{error}");
    assert_eq!(leader.follow(end), Err(NO_RECORD));
}

#[test]
fn a_follower_does_not_skip_a_log() {
    let (leader, end) = Leader::with_ended_log();
    // Another process writes, checkpoints and writes again, so the log of its first write is gone.
    let lost = "INSERT INTO t VALUES ('lost')";
    leader.other(&format!("{lost}; PRAGMA wal_checkpoint; INSERT INTO t VALUES (2)"));
    assert!(leader.follow(end).is_err_and(|why| why.contains("log is missing")));
}
