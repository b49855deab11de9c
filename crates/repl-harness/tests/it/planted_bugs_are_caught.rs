//! The suite catches every planted bug, by the promise that it breaks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use repl_core::SeqRange;
use repl_harness::stress::{self, Config, Due, HungWait, Invariant, StressError};

use crate::planted::{Bug, Planted};

/// Asserts that the suite catches a bug with each of a few seeds. A run takes less than half a
/// second, on a busy machine at most ten.
pub(crate) fn caught<B: Bug>(invariant: Invariant) {
    caught_as::<B>(&[invariant]);
}

/// Asserts that the suite catches a bug, by any of these promises.
pub(crate) fn caught_as<B: Bug>(invariants: &[Invariant]) {
    for seed in [1, 2, 0xfeed] {
        let config = Config { duration: Duration::from_secs(10), seed, ..Config::default() };
        let result = stress::run_on::<Planted<B>>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let right = |v: &stress::Violation| invariants.contains(&v.invariant) && v.seed == seed;
        assert!(violation.is_some_and(right), "{result:?}");
    }
}

/// Asserts that the suite catches a bug that makes a wait hang, and that the run ends. The wait
/// should have ended for any of these reasons.
fn hung<B: Bug>(due: &[Due]) {
    for seed in [1, 2, 0xfeed] {
        let config = Config {
            duration: Duration::from_secs(10),
            hung_after: Duration::from_secs(1),
            seed,
            ..Config::default()
        };
        let result = stress::run_on::<Planted<B>>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let found = violation.map(|violation| (violation.invariant, violation.seed));
        assert_eq!(found, Some((Invariant::WaitEnds, seed)), "{result:?}");
        let hung = violation.and_then(|violation| violation.hung);
        assert!(hung.is_some_and(|hung| due.contains(&hung.due)), "{result:?}");
    }
}

#[test]
fn the_same_subject_without_a_bug_passes() {
    struct NoBug;
    impl Bug for NoBug {}
    let config = Config { duration: Duration::from_secs(2), ..Config::default() };
    let report = stress::run_on::<Planted<NoBug>>(&config, |_| ()).unwrap();
    assert!(report.operations.attempts > 0);
}

#[test]
fn a_plain_store_instead_of_a_maximum_is_caught() {
    struct PlainStore;
    impl Bug for PlainStore {
        fn raise(mark: &AtomicU64, to: u64) -> u64 {
            let at = mark.load(Ordering::Acquire);
            if at < to {
                // Any thread may be interrupted here. On a busy machine two threads rarely are at
                // the same time, unless they yield.
                std::thread::yield_now();
                mark.store(to, Ordering::Release);
            }
            at
        }
    }
    caught::<PlainStore>(Invariant::NeverFalls);
}

#[test]
fn a_save_before_the_flush_is_caught() {
    struct SaveFirst;
    impl Bug for SaveFirst {
        const SAVES_BEFORE_FLUSH: bool = true;
    }
    caught::<SaveFirst>(Invariant::CheckpointedWithinFlushed);
}

#[test]
fn a_floor_from_the_newest_generation_is_caught() {
    struct FloorOfNewest;
    impl Bug for FloorOfNewest {
        const FLOOR_OF_NEWEST_GENERATION: bool = true;
    }
    caught::<FloorOfNewest>(Invariant::FloorWithinPreviousGeneration);
}

#[test]
fn a_shard_added_again_with_its_old_mark_is_caught() {
    struct Inherits;
    impl Bug for Inherits {
        const INHERITS_OLD_MARK: bool = true;
    }
    caught::<Inherits>(Invariant::OwnIncarnationOnly);
}

#[test]
fn a_seqno_reported_as_reached_too_early_is_caught() {
    struct Early;
    impl Bug for Early {
        const REACHED_EARLY_BY: u64 = 1;
    }
    caught::<Early>(Invariant::ReachedMarkIsHighEnough);
}

#[test]
fn a_seqno_claimed_twice_at_once_is_caught() {
    struct Twice;
    impl Bug for Twice {
        const CLAIMS_TWICE: bool = true;
    }
    caught::<Twice>(Invariant::ClaimedOnce);
}

#[test]
fn a_claim_of_a_completed_seqno_is_caught() {
    struct Again;
    impl Bug for Again {
        const CLAIMS_COMPLETED: bool = true;
    }
    caught::<Again>(Invariant::NoClaimAfterCompletion);
}

#[test]
fn a_lost_completion_is_caught() {
    struct Loses;
    impl Bug for Loses {
        const LOSES_COMPLETIONS: bool = true;
    }
    // The mark stays behind, the seqno is claimed again, or the window reports it as open.
    caught_as::<Loses>(&[
        Invariant::NoCompletionLost,
        Invariant::NoClaimAfterCompletion,
        Invariant::WindowMatchesCalls,
    ]);
}

#[test]
fn a_mark_that_moves_over_a_gap_is_caught() {
    struct Passes;
    impl Bug for Passes {
        const PASSES_GAPS: bool = true;
    }
    // The mark itself, a write that the applier of the gap would have made, or the window shows it.
    caught_as::<Passes>(&[
        Invariant::NoGapPassed,
        Invariant::WritesAreVisible,
        Invariant::WindowMatchesCalls,
    ]);
}

#[test]
fn a_dropped_claim_that_is_not_free_again_is_caught() {
    struct Keeps;
    impl Bug for Keeps {
        const KEEPS_DROPPED_CLAIMS: bool = true;
    }
    caught::<Keeps>(Invariant::DroppedClaimIsFree);
}

#[test]
fn a_recovery_that_forgets_completed_ranges_is_caught() {
    struct Forgets;
    impl Bug for Forgets {
        fn recover(completed: &mut Vec<SeqRange>) {
            completed.pop();
        }
    }
    // A range is missing, or the mark stays below a seqno that was completed before.
    caught_as::<Forgets>(&[Invariant::RecordedWithinCompleted, Invariant::NoCompletionLost]);
}

#[test]
fn a_recovery_that_adds_completed_seqnos_is_caught() {
    struct Adds;
    impl Bug for Adds {
        fn recover(completed: &mut Vec<SeqRange>) {
            if let Some(last) = completed.last_mut() {
                *last = SeqRange::new(last.first(), last.last() + 1);
            }
        }
    }
    caught::<Adds>(Invariant::CompletedWithinRecorded);
}

#[test]
fn a_wait_that_checks_the_mark_only_before_it_queues_is_caught() {
    struct OneLook;
    impl Bug for OneLook {
        const NO_SECOND_LOOK: bool = true;
    }
    // The wait may miss any of these events.
    hung::<OneLook>(&[Due::Reached, Due::Removed, Due::Closed]);
}

#[test]
fn an_advance_that_does_not_wake_is_caught() {
    struct Forgets;
    impl Bug for Forgets {
        const FORGETS_TO_WAKE: bool = true;
    }
    hung::<Forgets>(&[Due::Reached]);
}

#[test]
fn a_close_that_forgets_a_waiter_is_caught() {
    struct Forgets;
    impl Bug for Forgets {
        const CLOSE_FORGETS_ONE: bool = true;
    }
    hung::<Forgets>(&[Due::Closed]);
}

#[test]
fn a_removal_that_forgets_a_waiter_is_caught() {
    struct Forgets;
    impl Bug for Forgets {
        const REMOVE_FORGETS_ONE: bool = true;
    }
    hung::<Forgets>(&[Due::Removed]);
}

#[test]
fn a_violation_shows_the_values_the_shard_and_the_seed() {
    let violation = stress::Violation {
        invariant: Invariant::CheckpointedWithinFlushed,
        shard: repl_core::ShardId(3),
        incarnation: Some(repl_core::Incarnation(17)),
        lesser: Some(32),
        greater: None,
        seed: 42,
        hung: None,
    };
    assert_eq!(
        violation.to_string(),
        "CheckpointedWithinFlushed is broken: shard 3 (incarnation 17), checkpointed: 0x20, \
         flushed: none; seed 42"
    );

    let hung = HungWait {
        doing: "Reached::wait",
        due: Due::Reached,
        due_for: Duration::from_millis(10_040),
        waiting: 7,
    };
    let violation = stress::Violation {
        invariant: Invariant::WaitEnds,
        greater: Some(33),
        hung: Some(hung),
        ..violation
    };
    assert_eq!(
        violation.to_string(),
        "WaitEnds is broken: shard 3 (incarnation 17), awaited: 0x20, the mark: 0x21, \
         reached 10.0 s ago in Reached::wait, one of 7 waits; seed 42"
    );
}
