//! What was found may be in the cache alone, so the floors begin again.

use std::time::Instant;

use repl_checkpoint::{Saved, Status};
use repl_core::{ShardId, WaitError};

use super::{ONE, TWO, after};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, save};

#[test]
fn floors_and_unreferenced_wait_for_one_and_two_saves_which_are_both_made() {
    for outcome in [Outcome::InDoubt, Outcome::InDoubtButThere, Outcome::NotSaved] {
        let (store, mut follower) = after(outcome);
        let floors = follower.checkpointer.floors();
        // Two saves of the same marks, where nothing is in doubt: the next would be skipped.
        if matches!(outcome, Outcome::NotSaved) {
            save(&mut follower.checkpointer);
            save(&mut follower.checkpointer);
            assert!(follower.checkpointer.begin().unwrap().is_none());
            assert!(floors.is_unreferenced(TWO));
        }
        assert!(floors.checkpointed(ONE).is_some() && floors.retention_floor(ONE).is_some());
        follower.checkpointer.reopen(|| store.open()).unwrap();
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (None, None));
        assert!(floors.checkpointed_marks().is_empty() && floors.retention_floors().is_empty());
        assert!(!floors.is_unreferenced(TWO));
        save(&mut follower.checkpointer);
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(9), None));
        assert!(floors.retention_floors().is_empty());
        assert!(!floors.is_unreferenced(TWO));
        save(&mut follower.checkpointer);
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(9), Some(9)));
        assert!(floors.is_unreferenced(TWO));
        assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    }
}

#[test]
fn the_floors_stay_frozen_while_in_doubt_and_while_a_reopen_fails() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let floors = follower.checkpointer.floors();
    let frozen = || (floors.checkpointed(ONE), floors.retention_floor(ONE));
    assert_eq!(frozen(), (Some(7), Some(5)));
    follower.checkpointer.reopen(|| Err::<Scripted, _>("no disk")).unwrap_err();
    assert_eq!(frozen(), (Some(7), Some(5)));
    assert!(!floors.is_unreferenced(TWO));
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(frozen(), (None, None));
}

#[test]
fn the_health_is_good_again_and_counts_failures_from_there() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let floors = follower.checkpointer.floors();
    let before = floors.health();
    assert!(matches!(before.status, Status::Poisoned { .. }));
    follower.checkpointer.reopen(|| store.open()).unwrap();
    let health = floors.health();
    assert_eq!((health.status, health.running_since), (Status::Good, None));
    assert_eq!(health.last_success, before.last_success, "reopen saves nothing");
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(floors.health().status, Status::Good);
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(floors.health().status, Status::Failing { failures: 1, .. }));
    let now = Instant::now();
    save(&mut follower.checkpointer);
    assert!(floors.health().last_success.is_some_and(|at| at >= now));
}

#[test]
fn an_attempt_is_no_longer_running_after_a_reopen_but_exists() {
    let (store, mut follower) = after(Outcome::NotSaved);
    let floors = follower.checkpointer.floors();
    let attempt = begun(&mut follower.checkpointer);
    assert!(floors.health().running_since.is_some());
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(floors.health().running_since, None);
    for _ in 0..2 {
        save(&mut follower.checkpointer);
    }
    assert!(!floors.is_unreferenced(TWO));
    drop(attempt);
    assert!(floors.is_unreferenced(TWO));
    assert_eq!(floors.health().status, Status::Good);
}

#[test]
fn waits_for_a_save_end_in_doubt_and_begin_again_after_reopen() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let floors = follower.checkpointer.floors();
    assert_eq!(floors.saved(ONE, 9).wait(), Err(WaitError::Closed));
    assert_eq!(floors.saved(ONE, 7).wait(), Ok(7), "what was acknowledged stays so");
    follower.checkpointer.reopen(|| store.open()).unwrap();
    let saved = floors.saved(ONE, 9);
    save(&mut follower.checkpointer);
    assert_eq!(saved.wait(), Ok(9));
    assert_eq!(floors.saved(ShardId(9), 1).wait(), Err(WaitError::UnknownShard));
}
