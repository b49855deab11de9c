//! The apply window within its chunks: completions in any order, and claims.

use std::sync::Arc;

use loom_models::{AppliedSet, ApplyWindow, Claim, ClaimError, Completion};

use crate::{AtomicU64, Ordering, apply, check, data, one_shard, step, thread};

pub(crate) fn window(capacity: u64) -> Arc<ApplyWindow> {
    let (_state, shard) = one_shard();
    Arc::new(ApplyWindow::new(shard, capacity).unwrap())
}

/// Writes `data`, then completes `seqno`.
pub(crate) fn complete(
    data: &Arc<AtomicU64>,
    window: &Arc<ApplyWindow>,
    seqno: u64,
) -> thread::JoinHandle<Completion> {
    let (data, window) = (Arc::clone(data), Arc::clone(window));
    thread::spawn(move || {
        data.store(seqno, Ordering::Relaxed);
        window.complete(seqno).unwrap()
    })
}

fn is_completed(completion: Completion) -> bool {
    matches!(completion, Completion::Completed { .. })
}

#[test]
fn two_completions_that_close_one_gap_move_the_mark_over_it() {
    check(|| {
        let window = window(4);
        let (first, second) = (data(), data());
        let completers = [complete(&first, &window, 1), complete(&second, &window, 2)];
        let mark = step(|| window.shard().applied());
        let seen = [&first, &second].map(|data| data.load(Ordering::Relaxed));
        assert!(mark < 1 || seen[0] == 1, "a mark of {mark} without the data of 1");
        assert!(mark < 2 || seen[1] == 2, "a mark of 2 without its data");
        for completer in completers {
            assert!(is_completed(completer.join().unwrap()));
        }
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(2));
    });
}

#[test]
fn three_completions_in_any_order_move_the_mark_over_all() {
    check(|| {
        let window = window(4);
        let written = [data(), data()];
        let completers = [(2, &written[0]), (3, &written[1])]
            .map(|(seqno, data)| complete(data, &window, seqno));
        window.complete(1).unwrap();
        let mark = window.shard().applied();
        let seen = written.each_ref().map(|data| data.load(Ordering::Relaxed));
        assert!(mark < 2 || seen[0] == 2, "a mark of {mark} without the data of 2");
        assert!(mark < 3 || seen[1] == 3, "a mark of 3 without its data");
        for completer in completers {
            assert!(is_completed(completer.join().unwrap()));
        }
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
    });
}

#[test]
fn a_waiter_for_a_later_seqno_is_woken_when_the_gap_is_closed() {
    check(|| {
        let window = window(4);
        let written = data();
        let completers = [complete(&data(), &window, 1), complete(&written, &window, 2)];
        assert_eq!(window.shard().reached(2).wait(), Ok(2));
        assert_eq!(written.load(Ordering::Relaxed), 2);
        for completer in completers {
            completer.join().unwrap();
        }
    });
}

#[test]
fn one_of_two_completions_of_a_seqno_completes_it() {
    for seqno in [1, 2] {
        check(move || {
            let window = window(4);
            let completers = [(); 2].map(|()| complete(&data(), &window, seqno));
            let done = completers.map(|completer| is_completed(completer.join().unwrap()));
            assert!(done[0] ^ done[1]);
            assert_eq!(window.shard().applied_set().range_count(), usize::from(seqno == 2));
        });
    }
}

#[test]
fn an_advance_from_outside_moves_the_mark_over_what_is_completed() {
    check(|| {
        let window = window(4);
        let completers = [2, 3].map(|seqno| complete(&data(), &window, seqno));
        window.shard().advance(1);
        for completer in completers {
            completer.join().unwrap();
        }
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
    });
}

/// 2 was completed above the mark; a snapshot looks after the mark has passed it.
#[test]
fn a_snapshot_that_finds_nothing_above_keeps_no_advance_from_what_is_completed_then() {
    check(|| {
        let window = window(4);
        window.complete(2).unwrap();
        window.complete(1).unwrap();
        let completer = complete(&data(), &window, 4);
        let snapshot = thread::spawn({
            let shard = window.shard().clone();
            move || shard.applied_set()
        });
        window.shard().advance(3);
        completer.join().unwrap();
        assert!(snapshot.join().unwrap().mark() >= 2);
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(4));
    });
}

#[test]
fn a_seqno_is_completed_though_its_chunk_goes() {
    check(|| {
        let window = window(4);
        window.complete(2).unwrap();
        let completers = [1, 3].map(|seqno| complete(&data(), &window, seqno));
        let claimed = window.try_claim(3).ok().map(|claim| is_completed(claim.complete().unwrap()));
        let [first, third] = completers.map(|completer| is_completed(completer.join().unwrap()));
        assert!(first);
        assert!(third || claimed == Some(true), "nobody has completed 3");
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
        assert_eq!(window.try_claim(3).unwrap_err(), ClaimError::AlreadyCompleted);
    });
}

#[test]
fn a_completion_and_an_advance_to_the_same_seqno_lose_nothing_above_it() {
    check(|| {
        let window = window(4);
        window.complete(3).unwrap();
        let applier = apply(&data(), window.shard(), 2);
        for seqno in [1, 2] {
            window.complete(seqno).unwrap();
        }
        applier.join().unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
    });
}

#[test]
fn what_a_window_completed_outlives_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let window = ApplyWindow::new(shard.clone(), 4).unwrap();
        window.complete(2).unwrap();
        let applier = apply(&data(), &shard, 1);
        drop(window);
        applier.join().unwrap();
        assert_eq!(shard.applied_set(), AppliedSet::up_to(2));
    });
}

#[test]
fn a_window_opened_during_an_advance_goes_on_from_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let applier = apply(&data(), &shard, 1);
        let window = ApplyWindow::new(shard, 4).unwrap();
        window.complete(2).unwrap();
        applier.join().unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(2));
    });
}

#[test]
fn a_window_opened_while_a_range_is_restored_knows_the_range() {
    check(|| {
        let (_state, shard) = one_shard();
        let restorer = thread::spawn({
            let shard = shard.clone();
            move || shard.complete(2)
        });
        let window = ApplyWindow::new(shard, 4).unwrap();
        window.complete(3).unwrap();
        restorer.join().unwrap();
        assert_eq!(window.try_claim(2).unwrap_err(), ClaimError::AlreadyCompleted);
        window.complete(1).unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
    });
}

#[test]
fn a_restored_range_closes_a_gap_of_the_window() {
    check(|| {
        let window = window(4);
        let completer = complete(&data(), &window, 2);
        window.shard().complete(1);
        completer.join().unwrap();
        assert_eq!(window.shard().applied_set(), AppliedSet::up_to(2));
    });
}

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
            assert_eq!(window.shard().applied_set(), AppliedSet::up_to(seqno));
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
