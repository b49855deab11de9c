//! Once a save has begun it succeeds, fails, or is in doubt and poisons.

use std::panic::{AssertUnwindSafe, catch_unwind};

use repl_checkpoint::{CheckpointError, Checkpointer, SaveError, Saved, Status};

use super::{ONE, TWO};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, save};

#[test]
fn begin_after_a_save_in_doubt_is_an_error_that_names_the_doubt() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubt]);
    let attempt = begun(&mut follower.checkpointer);
    let error = follower.checkpointer.save(attempt).unwrap_err();
    assert!(matches!(error, CheckpointError::Save(SaveError::InDoubt { .. })), "{error}");
    assert!(error.is_poisoning());
    store.take_events();
    for _ in 0..2 {
        let error = follower.checkpointer.begin().unwrap_err();
        let CheckpointError::Poisoned { doubt } = &error else { panic!("{error}") };
        assert!(doubt.contains("in doubt: failed to test"), "{doubt}");
        assert!(doubt.contains("as scripted"), "{doubt}");
        assert!(error.is_poisoning());
    }
    assert_eq!(store.take_events(), [""; 0]);
}

/// A poisoned store is not "nothing to save", even if the last two saves hold these very marks.
#[test]
fn begin_without_a_store_is_an_error_though_no_mark_has_moved() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert!(follower.checkpointer.begin().unwrap().is_none());
    follower.checkpointer.reopen(|| Err::<Scripted, _>("no disk")).unwrap_err();
    let error = follower.checkpointer.begin().unwrap_err();
    assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
}

#[test]
fn the_text_of_the_doubt_is_kept_when_the_store_cannot_be_opened_again() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    let doubt = |checkpointer: &mut Checkpointer| match checkpointer.begin().unwrap_err() {
        CheckpointError::Poisoned { doubt } => doubt,
        other => panic!("{other}"),
    };
    let before = doubt(&mut follower.checkpointer);
    for _ in 0..2 {
        follower.checkpointer.reopen(|| Err::<Scripted, _>("no disk")).unwrap_err();
        assert_eq!(doubt(&mut follower.checkpointer), before);
        let status = follower.checkpointer.floors().health().status;
        assert_eq!(status, Status::Poisoned { error: before.clone() });
    }
    follower.checkpointer.reopen(|| store.open()).unwrap();
    follower.checkpointer.reopen(|| Err::<Scripted, _>("no disk")).unwrap_err();
    assert!(!doubt(&mut follower.checkpointer).contains("in doubt"), "that one is settled");
}

#[test]
fn an_older_attempt_is_refused_as_poisoned_after_a_save_in_doubt() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let old = begun(&mut follower.checkpointer);
    let new = begun(&mut follower.checkpointer);
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.save(new).unwrap_err();
    store.take_events();
    let error = follower.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
    assert_eq!(store.take_events(), [""; 0]);
    let status = follower.checkpointer.floors().health().status;
    assert!(matches!(status, Status::Poisoned { .. }), "{status:?}");
}

#[test]
fn dropping_an_older_attempt_does_not_hide_a_save_in_doubt() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let old = begun(&mut follower.checkpointer);
    let new = begun(&mut follower.checkpointer);
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.save(new).unwrap_err();
    drop(old);
    let status = follower.checkpointer.floors().health().status;
    assert!(matches!(status, Status::Poisoned { .. }), "{status:?}");
    follower.checkpointer.begin().unwrap_err();
}

#[test]
fn a_store_that_panics_in_a_save_is_in_doubt_and_poisons() {
    for (outcome, saved) in [(Outcome::Panic, 1), (Outcome::PanicButThere, 2)] {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        follower.state.advance(ONE, 5);
        save(&mut follower.checkpointer);
        follower.state.advance(ONE, 9);
        let attempt = begun(&mut follower.checkpointer);
        store.fail_next(&[outcome]);
        let checkpointer = &mut follower.checkpointer;
        catch_unwind(AssertUnwindSafe(|| checkpointer.save(attempt))).unwrap_err();
        assert_eq!(store.saves(), saved);
        let health = floors.health();
        let Status::Poisoned { error } = &health.status else { panic!("{health:?}") };
        assert!(error.contains("panicked"), "{error}");
        assert_eq!(health.running_since, None);
        assert_eq!(floors.checkpointed(ONE), Some(5));
        assert!(!floors.is_unreferenced(TWO));
        let error = follower.checkpointer.begin().unwrap_err();
        assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
        // It is settled as any other doubt.
        follower.checkpointer.reopen(|| store.open()).unwrap();
        assert_eq!(save(&mut follower.checkpointer), 3);
        assert_eq!(store.mark(1), Some(9));
    }
}

#[test]
fn a_save_that_fails_without_doubt_poisons_nothing_and_moves_no_floor() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    let attempt = begun(&mut follower.checkpointer);
    store.fail_next(&[Outcome::NotSaved]);
    let error = follower.checkpointer.save(attempt).unwrap_err();
    assert!(matches!(error, CheckpointError::Save(SaveError::NotSaved { .. })), "{error}");
    assert_eq!(floors.checkpointed(ONE), None);
    assert_eq!(floors.health().running_since, None);
    let attempt = begun(&mut follower.checkpointer);
    assert!(matches!(follower.checkpointer.save(attempt), Ok(Saved::Written(_))));
}

#[test]
fn a_store_that_refuses_as_poisoned_poisons_the_checkpointer() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubt]);
    // Another checkpointer of the same store ran into the doubt.
    let mut other = store.recovered(&[1]);
    other.checkpointer.checkpoint(durable).unwrap_err();
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(error, CheckpointError::Save(SaveError::Poisoned { .. })), "{error}");
    assert!(error.is_poisoning());
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
    follower.checkpointer.reopen(|| store.open()).unwrap();
}
