//! An attempt that is not the newest of its checkpointer writes nothing.

use repl_checkpoint::{CheckpointError, Saved, Status};
use repl_core::NewShard;

use super::{ONE, TWO};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, save};

#[test]
fn a_superseded_attempt_cannot_bring_a_removed_shard_back() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    follower.state.advance(TWO, 7);
    let old = begun(&mut follower.checkpointer);
    follower.state.remove_shard(TWO);
    follower.state.advance(ONE, 5);
    let new = begun(&mut follower.checkpointer);
    follower.checkpointer.save(new).unwrap();
    let error = follower.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::Superseded), "{error}");
    assert!(!error.is_poisoning());
    assert_eq!(store.take_events(), ["save 1 confirmed 0"]);
    assert_eq!((store.mark(1), store.mark(2)), (Some(5), None));
    assert_eq!(save(&mut follower.checkpointer), 2);
}

#[test]
fn a_superseded_attempt_is_refused_before_the_newer_one_is_saved_too() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let old = begun(&mut follower.checkpointer);
    let new = begun(&mut follower.checkpointer);
    let error = follower.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::Superseded), "{error}");
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(floors.health().status, Status::Good, "the newer one counts");
    assert!(floors.health().running_since.is_some());
    assert!(matches!(follower.checkpointer.save(new), Ok(Saved::Written(_))));
}

#[test]
fn an_attempt_is_superseded_even_if_the_newer_one_is_dropped_or_fails() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let first = begun(&mut follower.checkpointer);
    drop(begun(&mut follower.checkpointer));
    let second = begun(&mut follower.checkpointer);
    store.fail_next(&[Outcome::NotSaved]);
    let third = begun(&mut follower.checkpointer);
    follower.checkpointer.save(third).unwrap_err();
    for old in [first, second] {
        let error = follower.checkpointer.save(old).unwrap_err();
        assert!(matches!(error, CheckpointError::Superseded), "{error}");
    }
    assert_eq!(store.saves(), 0);
}

/// Both are the first attempt, of equal shards and equal marks.
#[test]
fn an_attempt_of_another_checkpointer_writes_nothing_anywhere() {
    let (ours, theirs) = (Scripted::default(), Scripted::default());
    let (mut our, mut their) = (ours.recovered(&[1]), theirs.recovered(&[1]));
    let our_own = begun(&mut our.checkpointer);
    let foreign = begun(&mut their.checkpointer);
    let error = our.checkpointer.save(foreign).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherCheckpointer), "{error}");
    assert!(!error.is_poisoning());
    assert_eq!((ours.take_events(), theirs.take_events()), (vec![], vec![]));
    // To the one that began it, it is an attempt that was dropped.
    let (our_health, their_health) =
        (our.checkpointer.floors().health(), their.checkpointer.floors().health());
    assert_eq!(our_health.status, Status::Good);
    assert!(our_health.running_since.is_some());
    assert!(matches!(their_health.status, Status::Failing { failures: 1, .. }));
    assert_eq!(their_health.running_since, None);
    our.checkpointer.save(our_own).unwrap();
    assert_eq!(save(&mut their.checkpointer), 1);
}

#[test]
fn an_attempt_of_an_earlier_process_writes_nothing() {
    let store = Scripted::default();
    let mut first = store.recovered(&[1, 2]);
    first.state.advance(TWO, 7);
    let old = begun(&mut first.checkpointer);
    drop(first);
    let mut second = store.recovered(&[1]);
    let error = second.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherCheckpointer), "{error}");
    assert_eq!(store.saves(), 0);
}

/// A flush gets the attempt by reference, and can put another in its place.
#[test]
fn a_flush_that_puts_an_attempt_of_another_checkpointer_in_place_saves_nothing() {
    let (ours, theirs) = (Scripted::default(), Scripted::default());
    let (mut our, mut their) = (ours.recovered(&[1]), theirs.recovered(&[1]));
    their.state.reset_shard(NewShard::new(ONE).with_mark(99));
    let mut foreign = begun(&mut their.checkpointer);
    let swap = |attempt: &mut repl_checkpoint::Attempt| {
        std::mem::swap(attempt, &mut foreign);
        Ok(())
    };
    let error = our.checkpointer.checkpoint(swap).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherCheckpointer), "{error}");
    assert_eq!((ours.saves(), theirs.saves()), (0, 0));
}
