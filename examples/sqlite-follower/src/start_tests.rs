use std::fs;

use example_support::files;
use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Recovered, StoreId, recover};
use repl_core::NewShard;

use super::*;
use crate::base_copy::copy_base;
use crate::fixture::{Fixture, SHARD};
use crate::positions::new_base;

/// A leader, and a follower with a mark saved at the end of its log.
struct Saved {
    leader: Fixture,
    at: LogPoint,
}

impl Saved {
    fn new() -> Saved {
        Saved::with_place(|at| at)
    }

    /// The place of the mark is recorded as `place` says.
    fn with_place(place: impl FnOnce(LogPoint) -> LogPoint) -> Saved {
        let leader = Fixture::new(1024);
        let at = copy_base(&leader.layout, SHARD, &mut leader.tail().0).unwrap();
        let saved = Saved { leader, at };

        let mut recovered = saved.recover(&[]);
        let (base, mark) = (new_base(&at), 1 << 32 | u64::from(at.frame));
        let new = NewShard::new(SHARD).with_mark(mark).with_log(base);
        recovered.state.add_shard(new).unwrap();
        let positions = Positions::load(&saved.leader.layout.positions()).unwrap();
        positions.begin(SHARD, base, place(at));
        let floors = recovered.checkpointer.floors();
        let checkpointer = &mut recovered.checkpointer;
        checkpointer.checkpoint(|a| positions.save(a.marks(), &floors)).unwrap();
        saved
    }

    fn recover(&self, shards: &[ShardId]) -> Recovered {
        let store = FileStore::open(self.leader.layout.checkpoint(), StoreId::UNNAMED).unwrap();
        recover(store, JsonCodec, shards, OnCorrupt::FallBack).unwrap()
    }

    /// The decision of a follower that starts now.
    fn decide(&self, rebase: bool) -> Result<Start, Error> {
        let mut recovered = self.recover(&[SHARD]);
        let positions = Positions::load(&self.leader.layout.positions()).unwrap();
        let starts =
            decide_all(&self.leader.layout, &positions, &mut recovered.checkpointer, rebase)?;
        let [start] = <[_; 1]>::try_from(starts).unwrap();
        Ok(start)
    }

    fn write(&self) {
        self.leader.run("INSERT INTO t VALUES (1)");
    }

    fn restart_log(&self) {
        self.leader.run("PRAGMA wal_checkpoint(RESTART)");
    }
}

/// Whether a base copy is needed, for the reason that contains `words`.
fn needs_copy(decided: Result<Start, Error>, words: &str) -> bool {
    decided.is_err_and(|e| e.is::<CannotContinue>() && e.to_string().contains(words))
}

#[test]
fn in_the_same_log_a_shard_resumes_with_the_end_of_the_log() {
    let saved = Saved::new();
    saved.write();
    saved.write();
    let Start::Resume { shard, at, log_end } = saved.decide(false).unwrap() else {
        panic!("it copied");
    };
    assert_eq!((at, log_end), (saved.at, shard.applied() + 2));
}

#[test]
fn in_a_new_log_a_shard_resumes_if_a_record_ends_the_old_one_at_the_mark() {
    let saved = Saved::new();
    let mut records = RestartRecords::load(&saved.leader.layout.restarts(SHARD)).unwrap();
    records.put(saved.at).unwrap();
    saved.restart_log();
    saved.write();
    let Start::Resume { at, log_end, .. } = saved.decide(false).unwrap() else {
        panic!("it copied");
    };
    assert_eq!((at.frame, log_end), (0, (2 << 32) + 1));
}

#[test]
fn any_other_log_is_an_error_and_copied_with_rebase() {
    let saved = Saved::new();
    saved.restart_log();
    assert!(matches!(saved.decide(false).unwrap(), Start::Resume { .. }), "nothing is missing yet");
    saved.write();
    assert!(needs_copy(saved.decide(false), "no restart record"));
    assert!(needs_copy(saved.decide(false), "the log has deleted those up to 8589934592"));
    let mut records = RestartRecords::load(&saved.leader.layout.restarts(SHARD)).unwrap();
    let at = saved.at;
    records.put(LogPoint { frame: at.frame + 1, ..at }).unwrap();
    assert!(needs_copy(saved.decide(false), "ended at a later frame"));
    fs::write(saved.leader.layout.log(SHARD), b"").unwrap();
    assert!(needs_copy(saved.decide(false), "the log is gone"));
    assert!(needs_copy(saved.decide(false), "but the log ends at 0"));
    assert!(matches!(saved.decide(true).unwrap(), Start::Copy(SHARD)));
}

#[test]
fn a_log_with_another_content_at_the_mark_has_diverged() {
    let saved = Saved::with_place(|at| LogPoint { checksum: [1, 2], ..at });
    assert!(needs_copy(saved.decide(false), "the frame at that place is different now"));
    assert!(needs_copy(saved.decide(false), "applied segments differ from those of the log"));
    assert!(matches!(saved.decide(true).unwrap(), Start::Copy(SHARD)));
}

#[test]
fn no_generation_holds_a_discarded_mark() {
    let saved = Saved::new();
    fs::remove_file(saved.leader.layout.positions()).unwrap();
    assert!(matches!(saved.decide(true).unwrap(), Start::Copy(SHARD)));
    // Killed right there, and the newest generation is corrupt too.
    let checkpoints = files::checkpoints_in(&saved.leader.layout.checkpoint()).unwrap();
    fs::write(checkpoints.last().unwrap(), b"").unwrap();
    assert!(matches!(saved.decide(false).unwrap(), Start::Copy(SHARD)));
}

#[test]
fn after_a_read_error_of_the_log_rebase_discards_nothing() {
    let saved = Saved::new();
    fs::remove_file(saved.leader.layout.log(SHARD)).unwrap();
    fs::create_dir(saved.leader.layout.log(SHARD)).unwrap();
    assert!(saved.decide(true).is_err_and(|e| !e.is::<CannotContinue>()));
    let still = saved.recover(&[SHARD]);
    assert_eq!(still.state.applied_seqno(SHARD), Some(1 << 32 | u64::from(saved.at.frame)));
    let mut checkpointer = still.checkpointer;
    checkpointer.checkpoint(|_| Ok(())).unwrap();
}
