//! A seqno is in the hands of one applier, and free again where that one fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::{ends, single};
use repl_core::{
    AppliedSet, ApplyWindow, Claim, ClaimError, Completion, NewShard, SeqRange, ShardId, WaitError,
};

/// One that is in the ring and one that is not.
const NEAR_AND_FAR: [u64; 2] = [3, 1_000_000];

fn window() -> ApplyWindow {
    ApplyWindow::new(single().1, u64::MAX).unwrap()
}

#[test]
fn a_claim_is_given_to_one_applier() {
    let window = window();
    for seqno in NEAR_AND_FAR {
        let claim = window.claim(seqno).unwrap();
        assert_eq!(claim.seqno(), seqno);
        assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::Claimed);
        assert!(!window.contains(seqno), "claimed is not completed");
        assert_eq!(claim.complete(), Completion::Completed { mark: 0 });
        assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
    }
}

#[test]
fn of_many_threads_one_gets_each_claim() {
    const LAST: u64 = 2_000;
    let window = window();
    let won = AtomicU64::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for seqno in (1..=LAST).rev().chain((1..=LAST).map(|s| s + 100_000)) {
                    if let Ok(claim) = window.claim(seqno) {
                        won.fetch_add(1, Ordering::Relaxed);
                        assert!(matches!(claim.complete(), Completion::Completed { .. }));
                    }
                }
            });
        }
    });
    assert_eq!(won.into_inner(), 2 * LAST);
    assert_eq!(window.shard().applied(), LAST);
}

#[test]
fn a_dropped_claim_is_free_again() {
    let window = window();
    for seqno in NEAR_AND_FAR {
        for _ in 0..3 {
            drop(window.claim(seqno).unwrap());
        }
        let claim = window.claim(seqno).unwrap();
        assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::Claimed);
        claim.complete();
    }
    assert_eq!(window.pending(), NEAR_AND_FAR.map(|seqno| SeqRange::new(seqno, seqno)));
}

#[test]
fn an_applier_that_panics_gives_its_claim_back() {
    let window = window();
    for seqno in NEAR_AND_FAR {
        let applier = thread::scope(|s| {
            let fails = || {
                let _claim = window.claim(seqno).unwrap();
                panic!("an applier's own panic");
            };
            s.spawn(fails).join()
        });
        assert!(applier.is_err());
        assert!(window.claim(seqno).is_ok());
    }
}

#[test]
fn seqno_0_and_those_that_the_mark_has_passed_cannot_be_claimed() {
    let window = window();
    window.shard().advance(4);
    for seqno in 0..=4 {
        assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
        assert_eq!(window.claim_blocking(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
    }
    assert!(window.claim(5).is_ok());
}

type Overtakes = fn(&ApplyWindow, u64);

/// What may overtake a claim of 3, or of 1,000,000.
const OVERTAKEN: [(&str, Overtakes); 5] = [
    ("skip", |window, seqno| _ = window.skip(seqno..=seqno)),
    ("long skip", |window, _| _ = window.skip(2..=u64::MAX - 5)),
    ("complete", |window, seqno| _ = window.complete(seqno)),
    ("advance", |window, seqno| _ = window.shard().advance(seqno)),
    ("restored", |window, seqno| window.shard().complete(SeqRange::new(seqno, seqno + 1))),
];

#[test]
fn a_claim_that_was_overtaken_completes_nothing() {
    for (how, overtake) in OVERTAKEN {
        for seqno in NEAR_AND_FAR {
            let window = window();
            let claim = window.claim(seqno).unwrap();
            overtake(&window, seqno);
            assert!(window.contains(seqno), "{how} {seqno}");
            let before = (window.shard().applied(), window.pending());
            let refused = window.claim(seqno).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "{how} {seqno}");
            let done = claim.complete();
            assert_eq!(done, Completion::AlreadyCompleted { mark: before.0 }, "{how} {seqno}");
            assert_eq!((window.shard().applied(), window.pending()), before);
        }
    }
}

#[test]
fn a_claim_that_was_overtaken_and_then_dropped_frees_nothing() {
    for (how, overtake) in OVERTAKEN {
        for seqno in NEAR_AND_FAR {
            let window = window();
            let claim = window.claim(seqno).unwrap();
            overtake(&window, seqno);
            drop(claim);
            assert!(window.contains(seqno), "{how} {seqno}");
            let refused = window.claim(seqno).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "{how} {seqno}");
        }
    }
}

#[test]
fn a_far_claim_stays_with_its_holder_as_the_mark_comes_near() {
    for completes in [true, false] {
        let window = window();
        let seqno = 50_000;
        let claim = window.claim(seqno).unwrap();
        for mark in [seqno - 16_385, seqno - 16_384, seqno - 2, seqno - 1] {
            window.shard().advance(mark);
            assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::Claimed, "at {mark}");
        }
        if completes {
            assert_eq!(claim.complete(), Completion::Completed { mark: seqno });
        } else {
            drop(claim);
            assert_eq!(window.shard().applied(), seqno - 1);
            let done = window.claim(seqno).unwrap().complete();
            assert_eq!(done, Completion::Completed { mark: seqno });
        }
    }
}

#[test]
fn a_far_claim_that_was_overtaken_near_the_mark_is_completed_to_everybody() {
    let window = window();
    let claim = window.claim(50_000).unwrap();
    window.shard().advance(49_990);
    assert_eq!(window.complete(50_000), Ok(Completion::Completed { mark: 49_990 }));
    assert_eq!(window.claim(50_000).unwrap_err(), ClaimError::AlreadyCompleted);
    assert_eq!(claim.complete(), Completion::AlreadyCompleted { mark: 49_990 });
}

/// Both have the same place in the ring.
#[test]
fn an_old_claim_does_not_touch_a_later_seqno_in_its_place() {
    let ways: [fn(Claim); 2] = [drop, |claim| _ = claim.complete()];
    for end in ways {
        let (_state, shard) = single();
        let window = ApplyWindow::new(shard.clone(), 4).unwrap();
        let old = window.claim(2).unwrap();
        shard.advance(3);
        let later = window.claim(6).unwrap();
        end(old);
        assert_eq!(window.claim(6).unwrap_err(), ClaimError::Claimed);
        assert!(!window.contains(6));
        assert_eq!(later.complete(), Completion::Completed { mark: 3 });
        assert!(window.contains(6));
    }
}

#[test]
fn claims_outlive_their_window() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), u64::MAX).unwrap();
    let claims = [1, 2, 40_000, 3].map(|seqno| window.claim(seqno).unwrap());
    drop(window);
    let [one, two, far, three] = claims;
    assert_eq!(two.complete(), Completion::Completed { mark: 0 });
    assert_eq!(one.complete(), Completion::Completed { mark: 2 });
    assert_eq!(far.complete(), Completion::Completed { mark: 2 });
    assert_eq!(shard.completed(), AppliedSet::new(2, [SeqRange::new(40_000, 40_000)]));
    drop(three);
    assert_eq!(shard.completed().mark(), 2);
    let window = ApplyWindow::new(shard, u64::MAX).unwrap();
    assert!(window.contains(40_000) && window.claim(3).is_ok());
}

#[test]
fn a_claim_of_a_life_that_has_ended_completes_nothing() {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard, u64::MAX).unwrap();
    let claims = [1, 2, 40_000].map(|seqno| window.claim(seqno).unwrap());
    let new = state.reset_shard(NewShard::new(ShardId::SINGLE)).unwrap();
    for claim in claims {
        assert_eq!(claim.complete(), Completion::Removed);
    }
    assert_eq!(new.completed(), AppliedSet::new(0, []));
    assert_eq!(window.claim(1).unwrap_err(), ClaimError::Ended(WaitError::Removed));
    assert!(ApplyWindow::new(new, 4).unwrap().claim(1).is_ok());
}

#[test]
fn claims_go_to_other_threads() {
    fn free<T: Send + Sync + Unpin + 'static>() {}
    free::<Claim>();
    free::<ApplyWindow>();
    let window = window();
    let claim = window.claim(1).unwrap();
    assert_eq!(format!("{claim:?}"), "Claim(1)");
    assert_eq!(ends(move || claim.complete()), Completion::Completed { mark: 1 });
}

#[test]
fn an_error_says_what_to_do() {
    let window = ApplyWindow::new(single().1, 4).unwrap();
    let _claim = window.claim(1).unwrap();
    window.complete(2).unwrap();
    for (seqno, words) in [(1, "claimed"), (2, "pass over it"), (9, "mark to reach 5")] {
        let error: Box<dyn std::error::Error> = window.claim(seqno).unwrap_err().into();
        assert!(error.to_string().contains(words), "{error}");
    }
    let ended = ClaimError::Ended(WaitError::Removed).to_string();
    assert_eq!(ended, WaitError::Removed.to_string());
}
