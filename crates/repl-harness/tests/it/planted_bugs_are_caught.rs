//! Each planted bug makes the suite fail, and for the right reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use repl_core::SeqRange;
use repl_harness::stress::{self, Config, Due, HungWait, Invariant, StressError};

use crate::planted::{Bug, Planted};

/// Runs the suite until it fails, with each of a few seeds: in less than half a second each, and
/// on a machine with much else to do at most ten.
fn caught<B: Bug>(invariant: Invariant) {
    caught_as::<B>(&[invariant]);
}

/// The same where either of these may be what is seen first.
fn caught_as<B: Bug>(invariants: &[Invariant]) {
    for seed in [1, 2, 0xfeed] {
        let config = Config { duration: Duration::from_secs(10), seed, ..Config::default() };
        let result = stress::run_on::<Planted<B>>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let right = |v: &stress::Violation| invariants.contains(&v.invariant) && v.seed == seed;
        assert!(violation.is_some_and(right), "{result:?}");
    }
}

/// The same for bugs that leave a wait hanging, for one of these reasons. The run ends all the
/// same.
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
    assert!(report.operations.checkpoints > 0);
}

#[test]
fn a_plain_store_in_place_of_a_maximum() {
    struct PlainStore;
    impl Bug for PlainStore {
        fn raise(mark: &AtomicU64, to: u64) -> u64 {
            let at = mark.load(Ordering::Acquire);
            if at < to {
                // Any thread may be stopped here. On a busy machine two are rarely here at once
                // unless they are asked to be.
                std::thread::yield_now();
                mark.store(to, Ordering::Release);
            }
            at
        }
    }
    caught::<PlainStore>(Invariant::NeverFalls);
}

#[test]
fn a_save_before_the_flush() {
    struct SaveFirst;
    impl Bug for SaveFirst {
        const SAVES_BEFORE_FLUSH: bool = true;
    }
    caught::<SaveFirst>(Invariant::CheckpointedWithinFlushed);
}

#[test]
fn a_floor_from_the_newest_generation() {
    struct FloorOfNewest;
    impl Bug for FloorOfNewest {
        const FLOOR_OF_NEWEST_GENERATION: bool = true;
    }
    caught::<FloorOfNewest>(Invariant::FloorWithinPreviousGeneration);
}

#[test]
fn a_shard_added_again_that_inherits_its_old_mark() {
    struct Inherits;
    impl Bug for Inherits {
        const INHERITS_OLD_MARK: bool = true;
    }
    caught::<Inherits>(Invariant::OwnLifeOnly);
}

#[test]
fn a_mark_that_is_taken_for_reaching_a_seqno_too_early() {
    struct Early;
    impl Bug for Early {
        const REACHED_EARLY_BY: u64 = 1;
    }
    caught::<Early>(Invariant::ReachedIsReached);
}

#[test]
fn a_seqno_claimed_twice_at_once() {
    struct Twice;
    impl Bug for Twice {
        const CLAIMS_TWICE: bool = true;
    }
    caught::<Twice>(Invariant::ClaimedOnce);
}

#[test]
fn a_seqno_claimed_after_it_was_completed() {
    struct Again;
    impl Bug for Again {
        const CLAIMS_COMPLETED: bool = true;
    }
    caught::<Again>(Invariant::NoClaimAfterCompletion);
}

#[test]
fn a_completion_that_is_lost() {
    struct Loses;
    impl Bug for Loses {
        const LOSES_COMPLETIONS: bool = true;
    }
    // The mark stays behind, or the seqno is given out again, or the window says that it is open.
    caught_as::<Loses>(&[
        Invariant::NoCompletionLost,
        Invariant::NoClaimAfterCompletion,
        Invariant::WindowIsTrue,
    ]);
}

#[test]
fn a_mark_that_passes_a_gap() {
    struct Passes;
    impl Bug for Passes {
        const PASSES_GAPS: bool = true;
    }
    // Or it is missed first what the applier of the gap would have written, or the window answers
    // as if the gap were completed.
    caught_as::<Passes>(&[
        Invariant::NoGapPassed,
        Invariant::WrittenIsSeen,
        Invariant::WindowIsTrue,
    ]);
}

#[test]
fn a_claim_that_is_dropped_and_not_free_again() {
    struct Keeps;
    impl Bug for Keeps {
        const KEEPS_DROPPED_CLAIMS: bool = true;
    }
    caught::<Keeps>(Invariant::FreedIsFree);
}

#[test]
fn a_recovery_that_forgets_what_is_completed() {
    struct Forgets;
    impl Bug for Forgets {
        fn recover(completed: &mut Vec<SeqRange>) {
            completed.pop();
        }
    }
    // Or the mark stays below what was completed before.
    caught_as::<Forgets>(&[Invariant::RecordedWithinCompleted, Invariant::NoCompletionLost]);
}

#[test]
fn a_recovery_that_takes_more_for_completed() {
    struct Adds;
    impl Bug for Adds {
        fn recover(completed: &mut Vec<SeqRange>) {
            if let Some(last) = completed.last_mut() {
                last.last += 1;
            }
        }
    }
    caught::<Adds>(Invariant::CompletedWithinRecorded);
}

#[test]
fn a_save_that_leaves_out_what_is_completed() {
    struct LeavesOut;
    impl Bug for LeavesOut {
        const SAVE_LEAVES_OUT_COMPLETED: bool = true;
    }
    caught::<LeavesOut>(Invariant::RecordedWithinCompleted);
}

#[test]
fn a_wait_that_looks_only_before_it_queues() {
    struct OneLook;
    impl Bug for OneLook {
        const NO_SECOND_LOOK: bool = true;
    }
    // What goes by unseen may be any of them.
    hung::<OneLook>(&[Due::Reached, Due::Removed, Due::Closed]);
}

#[test]
fn an_advance_that_forgets_to_wake() {
    struct Forgets;
    impl Bug for Forgets {
        const FORGETS_TO_WAKE: bool = true;
    }
    hung::<Forgets>(&[Due::Reached]);
}

#[test]
fn a_close_that_forgets_one_who_waits() {
    struct Forgets;
    impl Bug for Forgets {
        const CLOSE_FORGETS_ONE: bool = true;
    }
    hung::<Forgets>(&[Due::Closed]);
}

#[test]
fn a_removal_that_forgets_one_who_waits() {
    struct Forgets;
    impl Bug for Forgets {
        const REMOVE_FORGETS_ONE: bool = true;
    }
    hung::<Forgets>(&[Due::Removed]);
}

#[test]
fn a_violation_says_what_where_and_with_which_seed() {
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
        doing: "wait_for",
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
         reached 10.0 s ago in wait_for, one of 7 waits; seed 42"
    );
}
