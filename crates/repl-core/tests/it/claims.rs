//! A seqno is claimed by one applier at a time, and free again if that one fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::{above, ends, single};
use repl_core::{
    AppliedSet, ApplyWindow, Claim, ClaimError, CompleteError, Completion, NewShard, SeqRange,
    ShardId, WaitError,
};

/// A seqno in the ring and one in overflow.
const RING_AND_OVERFLOW: [u64; 2] = [3, 1_000_000];

fn window() -> ApplyWindow {
    ApplyWindow::new(single().1, u64::MAX).unwrap()
}

#[test]
fn a_claim_is_given_to_one_applier() {
    let window = window();
    for seqno in RING_AND_OVERFLOW {
        let claim = window.try_claim(seqno).unwrap();
        assert_eq!(claim.seqno(), seqno);
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::Claimed);
        assert!(!window.shard().contains(seqno), "claimed is not completed");
        assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 0 }));
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
    }
}

#[test]
fn one_of_many_threads_gets_each_claim() {
    const LAST: u64 = 2_000;
    let window = window();
    let won = AtomicU64::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for seqno in (1..=LAST).rev().chain((1..=LAST).map(|s| s + 100_000)) {
                    if let Ok(claim) = window.try_claim(seqno) {
                        won.fetch_add(1, Ordering::Relaxed);
                        assert!(matches!(claim.complete(), Ok(Completion::Completed { .. })));
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
    for seqno in RING_AND_OVERFLOW {
        for _ in 0..3 {
            drop(window.try_claim(seqno).unwrap());
        }
        let claim = window.try_claim(seqno).unwrap();
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::Claimed);
        claim.complete().unwrap();
    }
    assert_eq!(above(window.shard()), RING_AND_OVERFLOW.map(SeqRange::from));
}

#[test]
fn a_claim_is_free_again_after_its_applier_panics() {
    let window = window();
    for seqno in RING_AND_OVERFLOW {
        let applier = thread::scope(|s| {
            let fails = || {
                let _claim = window.try_claim(seqno).unwrap();
                panic!("an applier's own panic");
            };
            s.spawn(fails).join()
        });
        assert!(applier.is_err());
        assert!(window.try_claim(seqno).is_ok());
    }
}

#[test]
fn seqnos_at_or_below_the_mark_cannot_be_claimed() {
    let window = window();
    window.shard().advance(4);
    for seqno in 0..=4 {
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
        assert_eq!(window.claim(seqno).wait().unwrap_err(), ClaimError::AlreadyCompleted);
    }
    assert!(window.try_claim(5).is_ok());
}

type Overtakes = fn(&ApplyWindow, u64);

/// What may overtake a claim.
const OVERTAKEN: [(&str, Overtakes); 5] = [
    ("skip", |window, seqno| _ = window.skip(seqno..=seqno)),
    ("long skip", |window, _| _ = window.skip(2..=u64::MAX - 5)),
    ("complete", |window, seqno| _ = window.complete(seqno)),
    ("advance", |window, seqno| _ = window.shard().advance(seqno)),
    ("restored", |window, seqno| window.shard().complete(SeqRange::new(seqno, seqno + 1))),
];

#[test]
fn an_overtaken_claim_completes_nothing() {
    for (how, overtake) in OVERTAKEN {
        for seqno in RING_AND_OVERFLOW {
            let window = window();
            let claim = window.try_claim(seqno).unwrap();
            overtake(&window, seqno);
            assert!(window.shard().contains(seqno), "{how} {seqno}");
            let before = (window.shard().applied(), above(window.shard()));
            let refused = window.try_claim(seqno).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "{how} {seqno}");
            let done = claim.complete();
            assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: before.0 }), "{how} {seqno}");
            assert_eq!((window.shard().applied(), above(window.shard())), before);
        }
    }
}

#[test]
fn an_overtaken_claim_frees_nothing_when_it_is_dropped() {
    for (how, overtake) in OVERTAKEN {
        for seqno in RING_AND_OVERFLOW {
            let window = window();
            let claim = window.try_claim(seqno).unwrap();
            overtake(&window, seqno);
            drop(claim);
            assert!(window.shard().contains(seqno), "{how} {seqno}");
            let refused = window.try_claim(seqno).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "{how} {seqno}");
        }
    }
}

#[test]
fn an_overflow_claim_keeps_its_seqno_as_it_comes_within_reach() {
    for completes in [true, false] {
        let window = window();
        let seqno = 50_000;
        let claim = window.try_claim(seqno).unwrap();
        for mark in [seqno - 16_385, seqno - 16_384, seqno - 2, seqno - 1] {
            window.shard().advance(mark);
            assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::Claimed, "at {mark}");
        }
        if completes {
            assert_eq!(claim.complete(), Ok(Completion::Completed { mark: seqno }));
        } else {
            drop(claim);
            assert_eq!(window.shard().applied(), seqno - 1);
            let done = window.try_claim(seqno).unwrap().complete();
            assert_eq!(done, Ok(Completion::Completed { mark: seqno }));
        }
    }
}

#[test]
fn an_overflow_claim_overtaken_in_the_ring_is_completed() {
    let window = window();
    let claim = window.try_claim(50_000).unwrap();
    window.shard().advance(49_990);
    assert_eq!(window.complete(50_000), Ok(Completion::Completed { mark: 49_990 }));
    assert_eq!(window.try_claim(50_000).unwrap_err(), ClaimError::AlreadyCompleted);
    assert_eq!(claim.complete(), Ok(Completion::AlreadyCompleted { mark: 49_990 }));
}

/// Both have the same slot of the ring.
#[test]
fn an_old_claim_does_not_touch_a_later_seqno_in_its_slot() {
    let ways: [fn(Claim); 2] = [drop, |claim| _ = claim.complete()];
    for end in ways {
        let (_state, shard) = single();
        let window = ApplyWindow::new(shard.clone(), 4).unwrap();
        let old = window.try_claim(2).unwrap();
        shard.advance(3);
        let later = window.try_claim(6).unwrap();
        end(old);
        assert_eq!(window.try_claim(6).unwrap_err(), ClaimError::Claimed);
        assert!(!window.shard().contains(6));
        assert_eq!(later.complete(), Ok(Completion::Completed { mark: 3 }));
        assert!(window.shard().contains(6));
    }
}

#[test]
fn claims_outlive_their_window() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), u64::MAX).unwrap();
    let claims = [1, 2, 40_000, 3].map(|seqno| window.try_claim(seqno).unwrap());
    drop(window);
    let [one, two, overflow, three] = claims;
    assert_eq!(two.complete(), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(one.complete(), Ok(Completion::Completed { mark: 2 }));
    assert_eq!(overflow.complete(), Ok(Completion::Completed { mark: 2 }));
    assert_eq!(shard.applied_set(), AppliedSet::new(2, [40_000]));
    drop(three);
    assert_eq!(shard.applied_set().mark(), 2);
    let window = ApplyWindow::new(shard, u64::MAX).unwrap();
    assert!(window.shard().contains(40_000) && window.try_claim(3).is_ok());
}

#[test]
fn a_claim_of_an_ended_incarnation_completes_nothing() {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard, u64::MAX).unwrap();
    let claims = [1, 2, 40_000].map(|seqno| window.try_claim(seqno).unwrap());
    let new = state.reset_shard(NewShard::new(ShardId::SINGLE)).unwrap();
    for claim in claims {
        assert_eq!(claim.complete(), Err(CompleteError::Removed));
    }
    assert_eq!(new.applied_set(), AppliedSet::default());
    assert_eq!(window.try_claim(1).unwrap_err(), ClaimError::Removed);
    assert!(ApplyWindow::new(new, 4).unwrap().try_claim(1).is_ok());
}

#[test]
fn claims_and_windows_are_send_sync_and_unpin() {
    fn free<T: Send + Sync + Unpin + 'static>() {}
    free::<Claim>();
    free::<ApplyWindow>();
    let window = window();
    let claim = window.try_claim(1).unwrap();
    assert_eq!(format!("{claim:?}"), "Claim(1)");
    assert_eq!(ends(move || claim.complete()), Ok(Completion::Completed { mark: 1 }));
}

#[test]
fn an_error_says_what_to_do() {
    let window = ApplyWindow::new(single().1, 4).unwrap();
    let _claim = window.try_claim(1).unwrap();
    window.complete(2).unwrap();
    for (seqno, words) in [(1, "claimed"), (2, "already completed"), (9, "mark to reach 5")] {
        let error: Box<dyn std::error::Error> = window.try_claim(seqno).unwrap_err().into();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(ClaimError::Removed.to_string(), WaitError::Removed.to_string());
}
