//! Each planted bug makes the suite fail, and for the right reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use repl_harness::stress::{self, Config, Invariant, StressError};

use crate::planted::{Bug, Planted};

/// Runs the suite until it fails, with each of a few seeds: in less than half a second each, and
/// on a machine with much else to do at most ten.
fn caught<B: Bug>(invariant: Invariant) {
    for seed in [1, 2, 0xfeed] {
        let config = Config { duration: Duration::from_secs(10), seed, ..Config::default() };
        let result = stress::run_on::<Planted<B>>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let found = violation.map(|violation| (violation.invariant, violation.seed));
        assert_eq!(found, Some((invariant, seed)), "{result:?}");
    }
}

#[test]
fn the_same_subject_without_a_bug_passes() {
    struct NoBug;
    impl Bug for NoBug {}
    let config = Config { duration: Duration::from_secs(2), ..Config::default() };
    let report = stress::run_on::<Planted<NoBug>>(&config, |_| ()).unwrap();
    assert!(report.saves > 2);
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
fn a_violation_says_what_where_and_with_which_seed() {
    let violation = stress::Violation {
        invariant: Invariant::CheckpointedWithinFlushed,
        shard: repl_core::ShardId(3),
        incarnation: Some(repl_core::Incarnation(17)),
        lesser: Some(32),
        greater: None,
        seed: 42,
    };
    assert_eq!(
        violation.to_string(),
        "CheckpointedWithinFlushed is broken: shard 3 (incarnation 17), checkpointed: 0x20, \
         flushed: none; seed 42"
    );
}
