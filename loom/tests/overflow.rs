//! The apply window beyond its chunks. Under loom they reach four seqnos above the mark.

use std::sync::Arc;

use loom_models::{AppliedSet, ApplyWindow, ClaimError, Completion, SeqRange};

use crate::window::{complete, window};
use crate::{Ordering, SHARD, apply, check, data, one_shard, step, thread};

/// The capacity of the window; its chunks reach less far.
const CAPACITY: u64 = 100;

#[test]
fn one_of_two_claimers_gets_a_seqno_that_comes_within_reach() {
    check(|| {
        let window = window(CAPACITY);
        let claimers = [(); 2].map(|()| {
            let window = Arc::clone(&window);
            thread::spawn(move || window.try_claim(5))
        });
        window.shard().advance(1);
        let claims = claimers.map(|claimer| claimer.join().unwrap());
        let refused: Vec<_> = claims.iter().filter_map(|claim| claim.as_ref().err()).collect();
        assert_eq!(refused, [&ClaimError::Claimed]);
        assert_eq!(window.try_claim(5).unwrap_err(), ClaimError::Claimed);
        drop(claims);
        assert_eq!(window.try_claim(5).map(|claim| claim.seqno()), Ok(5));
    });
}

#[test]
fn an_overflow_claim_completed_as_it_comes_within_reach_is_given_once() {
    check(|| {
        let window = window(CAPACITY);
        let claim = window.try_claim(5).unwrap();
        let applier = apply(&data(), window.shard(), 1);
        let other = thread::spawn({
            let window = Arc::clone(&window);
            move || {
                let why = window.try_claim(5).unwrap_err();
                assert!([ClaimError::Claimed, ClaimError::AlreadyCompleted].contains(&why));
            }
        });
        assert!(matches!(claim.complete(), Ok(Completion::Completed { .. })));
        other.join().unwrap();
        applier.join().unwrap();
        window.shard().advance(4);
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(5));
    });
}

#[test]
fn an_overflow_claim_completed_next_to_the_mark_is_given_once() {
    check(|| {
        let window = window(CAPACITY);
        let claim = window.try_claim(5).unwrap();
        window.shard().advance(4);
        let completer = thread::spawn(move || claim.complete());
        let why = window.try_claim(5).unwrap_err();
        assert!([ClaimError::Claimed, ClaimError::AlreadyCompleted].contains(&why));
        assert_eq!(completer.join().unwrap(), Ok(Completion::Completed { mark: 5 }));
    });
}

#[test]
fn an_overflow_completion_is_passed_by_the_raise_that_reaches_it() {
    check(|| {
        let window = window(CAPACITY);
        let (below, above) = (data(), data());
        let applier = apply(&below, window.shard(), 5);
        let completer = complete(&above, &window, 6);
        if step(|| window.shard().applied()) == 6 {
            assert_eq!((below.load(Ordering::Relaxed), above.load(Ordering::Relaxed)), (5, 6));
        }
        applier.join().unwrap();
        completer.join().unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(6));
    });
}

#[test]
fn the_mark_goes_from_a_chunk_over_a_range_into_a_chunk() {
    check(|| {
        let window = window(CAPACITY);
        window.skip(2..=3).unwrap();
        let completers = [1, 4].map(|seqno| complete(&data(), &window, seqno));
        for completer in completers {
            completer.join().unwrap();
        }
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(4));
    });
}

#[test]
fn a_skip_is_joined_by_completions_on_both_sides() {
    check(|| {
        let window = window(CAPACITY);
        window.complete(4).unwrap();
        let completer = complete(&data(), &window, 1);
        window.skip(2..=3).unwrap();
        completer.join().unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(4));
    });
}

#[test]
fn contains_finds_what_is_completed_wherever_it_is_kept() {
    for seqno in [2, 6] {
        check(move || {
            let window = window(CAPACITY);
            window.complete(seqno).unwrap();
            let applier = apply(&data(), window.shard(), seqno - 1);
            assert!(step(|| window.shard().contains(seqno)));
            applier.join().unwrap();
            assert_eq!(window.shard().applied(), seqno);
        });
    }
}

#[test]
fn the_applied_set_holds_what_is_completed_wherever_it_is_kept() {
    for seqno in [2, 6] {
        check(move || {
            let window = window(CAPACITY);
            window.complete(seqno).unwrap();
            let applier = apply(&data(), window.shard(), seqno - 1);
            let completed = step(|| window.shard().applied_set());
            let both = [AppliedSet::up_to(seqno), AppliedSet::new(0, [seqno])];
            assert!(both.contains(&completed), "{completed:?}");
            applier.join().unwrap();
        });
    }
}

#[test]
fn contains_finds_a_restored_range_while_the_mark_moves_over_it() {
    check(|| {
        let (_state, shard) = one_shard();
        shard.complete(2);
        let applier = apply(&data(), &shard, 1);
        assert!(step(|| shard.contains(2)));
        applier.join().unwrap();
        assert_eq!(shard.applied(), 2);
    });
}

/// A removal drops the ranges, and with them what says that the seqno is completed.
#[test]
fn a_seqno_in_a_range_is_not_claimed_while_its_shard_is_removed() {
    check(|| {
        let (state, shard) = one_shard();
        let window = ApplyWindow::new(shard, CAPACITY).unwrap();
        window.skip(SeqRange::from(3)).unwrap();
        let remover = thread::spawn(move || step(|| state.remove_shard(SHARD)).unwrap());
        let why = step(|| window.try_claim(3)).unwrap_err();
        assert!([ClaimError::AlreadyCompleted, ClaimError::Removed].contains(&why), "{why:?}");
        remover.join().unwrap();
    });
}
