//! A store that takes deltas gets what has changed, and holds what a whole checkpoint holds.

mod histories;
mod members;
mod reports;
mod whole;

use repl_checkpoint::{
    Attempt, Checkpoint, CheckpointError, Recovered, SaveReport, Saved, ShardCheckpoint,
};
use repl_core::ShardId;

use crate::support::chained::{Chained, Wrote};
use crate::support::scripted::Outcome;
use crate::support::{Flushed, begun, durable, save};

/// Enough that a delta of a few is less than half of all.
const SHARDS: u64 = 40;

fn all() -> Vec<ShardId> {
    (0..SHARDS).map(ShardId).collect()
}

/// A follower whose next save builds on its first.
fn follower() -> (Chained, Recovered) {
    let store = Chained::default();
    let mut follower = store.recovered(&all()[..]);
    move_by_one(&follower, 0..SHARDS);
    assert_eq!([save(&mut follower.checkpointer), save(&mut follower.checkpointer)], [1, 2]);
    (store, follower)
}

fn move_by_one(follower: &Recovered, shards: impl IntoIterator<Item = u64>) {
    for shard in shards.into_iter().map(ShardId) {
        follower.state.advance(shard, follower.state.applied_seqno(shard).unwrap() + 1);
    }
}

/// Saves, and returns what was written. The store then holds exactly the marks and the orphans.
fn written(store: &Chained, follower: &mut Recovered) -> Wrote {
    save(&mut follower.checkpointer);
    holds(store, follower);
    store.wrote()
}

fn holds(store: &Chained, follower: &Recovered) {
    let mut expected = Checkpoint::of(&follower.state.snapshot());
    let tracked = |s: &&ShardCheckpoint| expected.shard(s.shard).is_none();
    let orphaned = follower.checkpointer.orphaned_shards();
    let orphaned: Vec<_> = orphaned.iter().filter(tracked).cloned().collect();
    expected.shards.extend(orphaned);
    expected.shards.sort_by_key(|s| s.shard);
    assert_eq!(store.newest(), expected);
}

#[test]
fn a_delta_holds_what_changed_since_the_save_before_the_last() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    move_by_one(&follower, [9, 3]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[3, 7, 9], &[]));
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[3, 7, 9], &[]));
    move_by_one(&follower, [1]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[1, 7], &[]));
}

#[test]
fn marks_that_the_last_two_saves_hold_are_neither_flushed_nor_saved() {
    let (store, mut follower) = follower();
    let never = |_: &mut Attempt| -> Flushed { panic!("flushed for nothing") };
    assert_eq!(follower.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    // The last save holds them, and the one before does not.
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[7], &[]));
    for _ in 0..2 {
        assert_eq!(follower.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    }
    assert_eq!(store.saves(), 4);
}

#[test]
fn a_report_names_the_generation_that_a_delta_builds_on() {
    let store = Chained::default();
    let mut follower = store.recovered(&all()[..]);
    let (send, reports) = std::sync::mpsc::channel();
    follower.checkpointer.on_save(move |report: &SaveReport| send.send(*report).unwrap());
    for _ in 0..4 {
        move_by_one(&follower, [7]);
        let saved = follower.checkpointer.checkpoint(durable).unwrap();
        let report = reports.try_recv().unwrap();
        assert_eq!(saved, Saved::Written(report));
        let is_delta = report.generation > 2;
        assert_eq!(report.is_delta(), is_delta);
        assert_eq!(report.base, is_delta.then(|| report.generation - 2));
        assert_eq!(report.bytes < 512, is_delta, "{} bytes", report.bytes);
    }
}

#[test]
fn a_mark_below_the_last_save_is_refused_and_the_next_delta_is_right() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7, 8]);
    let lowered = |attempt: &mut Attempt| {
        attempt.lower(ShardId(8), 0);
        Ok(())
    };
    let error = follower.checkpointer.checkpoint(lowered).unwrap_err();
    let CheckpointError::BelowLastSave { shard: ShardId(8), saved: 1, lowered: 0 } = error else {
        panic!("{error}");
    };
    assert_eq!(store.saves(), 2);
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7, 8], &[]));
}

#[test]
fn a_lowered_attempt_is_compared_again() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7, 7, 8]);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ShardId(7), 2);
    attempt.lower(ShardId(8), 1); // as saved before
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(store.wrote(), Wrote::delta(1, &[7], &[]));
    assert_eq!(store.newest().shard(ShardId(7)).unwrap().mark, 2);
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[7, 8], &[]));
    assert_eq!(store.newest().shard(ShardId(7)).unwrap().mark, 3);
}

#[test]
fn an_attempt_that_is_lowered_to_the_last_saves_is_not_saved() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7]);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ShardId(7), 1);
    assert_eq!(follower.checkpointer.save(attempt).unwrap(), Saved::Unchanged);
    assert_eq!(store.saves(), 2);
}

#[test]
fn ranges_above_a_mark_come_and_go() {
    let (store, mut follower) = follower();
    let seven = follower.state.shard(ShardId(7)).unwrap();
    seven.complete(5);
    assert_eq!(written(&store, &mut follower), Wrote::delta(1, &[7], &[]));
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[7], &[]));
    seven.complete(9);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.drop_above(ShardId(7));
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(store.wrote(), Wrote::delta(3, &[7], &[]));
    assert_eq!(store.newest().shard(ShardId(7)).unwrap().completed[..], []);
    assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[7], &[]));
}

#[test]
fn a_superseded_attempt_leaves_the_next_delta_right() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7]);
    let older = begun(&mut follower.checkpointer);
    move_by_one(&follower, [8]);
    let newer = begun(&mut follower.checkpointer);
    let error = follower.checkpointer.save(older).unwrap_err();
    assert!(matches!(error, CheckpointError::Superseded), "{error}");
    follower.checkpointer.save(newer).unwrap();
    assert_eq!(store.wrote(), Wrote::delta(1, &[7, 8], &[]));
    holds(&store, &follower);
}

#[test]
fn a_delta_in_doubt_is_found_or_not_when_the_store_is_opened_again() {
    for (outcome, newest) in [(Outcome::InDoubt, 2), (Outcome::InDoubtButThere, 3)] {
        let (store, mut follower) = follower();
        move_by_one(&follower, [7]);
        store.fail_next(outcome);
        follower.checkpointer.checkpoint(durable).unwrap_err();
        follower.checkpointer.reopen(|| store.open()).unwrap();
        assert_eq!(store.saves(), newest);
        move_by_one(&follower, [8]);
        assert_eq!(written(&store, &mut follower), Wrote::Whole);
        assert_eq!(written(&store, &mut follower), Wrote::Whole);
        move_by_one(&follower, [9]);
        assert_eq!(written(&store, &mut follower), Wrote::delta(4, &[9], &[]));
    }
}

#[test]
fn no_delta_builds_on_a_save_from_before_the_store_was_opened_again() {
    let (store, mut follower) = follower();
    move_by_one(&follower, 0..30);
    store.fail_next(Outcome::InDoubtButThere);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.checkpointer.reopen(|| store.open()).unwrap();
    store.offer(1);
    move_by_one(&follower, [8]);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
}
