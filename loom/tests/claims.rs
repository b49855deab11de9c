//! Claims of an apply window, within its chunks.

use std::sync::Arc;

use loom_models::{Claim, ClaimError};

use crate::window::{assert_applied_up_to, complete, is_completed, window};
use crate::{Ordering, check, data, step, thread};

#[test]
fn a_seqno_is_claimed_by_one_of_two_appliers() {
    check(|| {
        let window = window(4);
        let other = thread::spawn({
            let window = Arc::clone(&window);
            move || window.try_claim(2)
        });
        let claims = [window.try_claim(2), other.join().unwrap()];
        let refused: Vec<_> = claims.iter().filter_map(|claim| claim.as_ref().err()).collect();
        assert_eq!(refused, [&ClaimError::Claimed]);
        drop(claims);
        assert_eq!(window.try_claim(2).map(|claim| claim.seqno()), Ok(2));
    });
}

/// Each thread adds 1 in two steps. A count is lost if both hold the claim at once, or if the second
/// does not observe what the first wrote.
#[test]
fn claims_of_one_seqno_exclude_each_other() {
    check(|| {
        let (window, count) = (window(4), data());
        let add = {
            let (window, count) = (Arc::clone(&window), Arc::clone(&count));
            move || match step(|| window.try_claim(1)) {
                Ok(claim) => {
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    drop::<Claim>(claim);
                    1
                }
                Err(why) => {
                    assert_eq!(why, ClaimError::Claimed);
                    0
                }
            }
        };
        let other = thread::spawn(add.clone());
        let claimed = add() + other.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), claimed);
        assert!(window.try_claim(1).is_ok());
    });
}

#[test]
fn a_released_claim_undoes_no_completion() {
    for seqno in [1, 2] {
        check(move || {
            let window = window(4);
            let claim = window.try_claim(seqno).unwrap();
            let completer = complete(&data(), &window, seqno);
            drop(claim);
            assert!(is_completed(completer.join().unwrap()));
            assert!(window.shard().contains(seqno));
            assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
        });
    }
}

#[test]
fn a_skip_and_a_claim_of_one_seqno_end_with_it_completed() {
    for seqno in [1, 2] {
        check(move || {
            let window = window(4);
            let skipper = thread::spawn({
                let window = Arc::clone(&window);
                move || {
                    window.skip(seqno..=seqno).unwrap();
                    assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
                }
            });
            match window.try_claim(seqno) {
                Ok(claim) => drop(claim.complete()),
                Err(why) => assert_eq!(why, ClaimError::AlreadyCompleted),
            }
            skipper.join().unwrap();
            window.complete(1).unwrap();
            assert_applied_up_to(seqno, &window);
        });
    }
}

#[test]
fn a_claim_that_waits_for_room_gets_it() {
    check(|| {
        let window = window(1);
        let completer = complete(&data(), &window, 1);
        assert_eq!(window.claim(2).wait().map(|claim| claim.seqno()), Ok(2));
        completer.join().unwrap();
    });
}
