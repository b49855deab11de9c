use std::fs;

use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Recovered, StoreId, recover};
use repl_core::{LogId, NewShard};

use super::*;
use crate::source::open_to_write;
use crate::wal::LogPoint;

const SHARD: ShardId = ShardId(0);
const BASE: LogId = LogId(7);

/// A leader, and a follower with a mark saved at the end of its log.
struct Saved {
    _folder: tempfile::TempDir,
    layout: Layout,
    leader: rusqlite::Connection,
    position: Position,
}

impl Saved {
    fn new() -> Saved {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        fs::create_dir_all(layout.leader()).unwrap();
        fs::create_dir_all(layout.follower()).unwrap();
        let leader = open_to_write(&layout.database(SHARD), 1024).unwrap();
        leader.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut tail = Tail::new(&layout.log(SHARD));
        let at = crate::base_copy::copy_base(&layout, SHARD, &mut tail).unwrap();
        let position = Position::of_base_copy(at);
        let saved = Saved { _folder: folder, layout, leader, position };

        let mut recovered = saved.recover(&[]);
        let new = NewShard::new(SHARD).with_mark(position.seqno()).with_log(BASE);
        recovered.state.add_shard(new).unwrap();
        let positions = Positions::load(&saved.layout.positions()).unwrap();
        positions.begin(SHARD, BASE, position);
        let floors = recovered.checkpointer.floors();
        let checkpointer = &mut recovered.checkpointer;
        checkpointer.checkpoint(|a| Ok(positions.save(a.marks(), &floors)?)).unwrap();
        saved
    }

    fn recover(&self, shards: &[ShardId]) -> Recovered {
        let store = FileStore::open(self.layout.checkpoint(), StoreId::UNNAMED).unwrap();
        recover(store, JsonCodec, shards, OnCorrupt::FallBack).unwrap()
    }

    /// The decision of a follower that starts now.
    fn decide(&self, rebase: bool) -> Result<Start, DecideError> {
        let mut recovered = self.recover(&[SHARD]);
        let positions = Positions::load(&self.layout.positions()).unwrap();
        let starts = decide_all(&self.layout, &positions, &mut recovered.checkpointer, rebase)?;
        let [(SHARD, start)] = <[_; 1]>::try_from(starts).unwrap() else { panic!("other shard") };
        Ok(start)
    }

    fn write(&self) {
        self.leader.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    }
}

fn is_reset(decided: Result<Start, DecideError>, words: &str) -> bool {
    match decided {
        Err(DecideError::Start(StartError::LogReset(e))) => e.to_string().contains(words),
        _ => false,
    }
}

#[test]
fn in_the_same_log_a_shard_resumes_with_the_end_of_the_log() {
    let saved = Saved::new();
    saved.write();
    saved.write();
    let Start::Resume { shard, position, log_end } = saved.decide(false).unwrap() else {
        panic!("it copied");
    };
    assert_eq!((shard.applied(), position), (saved.position.seqno(), saved.position));
    assert_eq!(log_end, saved.position.seqno() + 2);
}

#[test]
fn in_a_new_log_a_shard_resumes_if_a_record_ends_the_old_one_at_the_mark() {
    let saved = Saved::new();
    let mut records = RestartRecords::load(&saved.layout.restarts(SHARD)).unwrap();
    records.put(saved.position.at).unwrap();
    saved.leader.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
    saved.write();
    let Start::Resume { position, log_end, .. } = saved.decide(false).unwrap() else {
        panic!("it copied");
    };
    assert_eq!((position.log, position.at.frame, log_end), (2, 0, (2 << 32) + 1));
}

#[test]
fn any_other_log_is_an_error_and_copied_with_rebase() {
    let saved = Saved::new();
    saved.leader.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
    assert!(matches!(saved.decide(false).unwrap(), Start::Resume { .. }), "nothing is missing yet");
    saved.write();
    assert!(is_reset(saved.decide(false), "no restart record"));
    let mut records = RestartRecords::load(&saved.layout.restarts(SHARD)).unwrap();
    let at = saved.position.at;
    records.put(LogPoint { frame: at.frame + 1, ..at }).unwrap();
    assert!(is_reset(saved.decide(false), "only up to frame"));
    fs::write(saved.layout.log(SHARD), b"").unwrap();
    assert!(is_reset(saved.decide(false), "the log is gone"));
    assert!(matches!(saved.decide(true).unwrap(), Start::Copy));
}

#[test]
fn a_mark_without_a_replica_or_a_position_is_an_error() {
    let saved = Saved::new();
    let replica = fs::read(saved.layout.replica(SHARD)).unwrap();
    fs::remove_file(saved.layout.replica(SHARD)).unwrap();
    let error = saved.decide(false).unwrap_err();
    assert!(matches!(error, DecideError::Start(StartError::NoReplica { .. })), "{error}");
    fs::write(saved.layout.replica(SHARD), replica).unwrap();
    fs::remove_file(saved.layout.positions()).unwrap();
    let error = saved.decide(false).unwrap_err();
    assert!(matches!(error, DecideError::Start(StartError::NoPosition { .. })), "{error}");
}

#[test]
fn a_replica_without_a_mark_is_copied_again() {
    let saved = Saved::new();
    fs::remove_dir_all(saved.layout.checkpoint()).unwrap();
    assert!(saved.layout.replica(SHARD).exists());
    assert!(matches!(saved.decide(false).unwrap(), Start::Copy));
}

#[test]
fn no_generation_holds_a_discarded_mark() {
    let saved = Saved::new();
    fs::remove_file(saved.layout.positions()).unwrap();
    assert!(matches!(saved.decide(true).unwrap(), Start::Copy));
    // Killed right there, and the newest generation is corrupt too.
    let files = fs::read_dir(saved.layout.checkpoint()).unwrap();
    let files = files.map(|f| f.unwrap().path());
    let newest = files.filter(|f| f.extension().is_some_and(|e| e == "checkpoint")).max();
    fs::write(newest.unwrap(), b"").unwrap();
    assert!(matches!(saved.decide(false).unwrap(), Start::Copy));
}

#[test]
fn after_a_read_error_of_the_log_rebase_discards_nothing() {
    let saved = Saved::new();
    fs::remove_file(saved.layout.log(SHARD)).unwrap();
    fs::create_dir(saved.layout.log(SHARD)).unwrap();
    let error = saved.decide(true).unwrap_err();
    assert!(matches!(error, DecideError::Start(StartError::Tail(_))), "{error}");
    let still = saved.recover(&[SHARD]);
    assert_eq!(still.state.applied_seqno(SHARD), Some(saved.position.seqno()));
    let mut checkpointer = still.checkpointer;
    checkpointer.checkpoint(|_| Ok(())).unwrap();
}
