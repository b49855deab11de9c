//! The apply window within its chunks: completions in any order.

use std::sync::Arc;

use loom_models::{AppliedSet, ApplyWindow, ClaimError, Completion};

use crate::{AtomicU64, Ordering, apply, check, check_within, data, one_shard, step, thread};

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

/// A window at `mark`, 3 or 4. Something was completed above the mark before, and the chunk of the
/// seqnos from 4 to 7 is there: so a completion comes to its bit in few steps.
fn used_window(mark: u64) -> Arc<ApplyWindow> {
    let window = window(4);
    window.complete(2).unwrap();
    window.shard().advance(mark);
    drop(window.try_claim(6).unwrap());
    window
}

/// The mark is read first: an applied set moves on a mark that was left behind.
pub(crate) fn assert_applied_up_to(seqno: u64, window: &ApplyWindow) {
    assert_eq!(window.shard().applied(), seqno, "left behind");
    assert_eq!(window.shard().applied_set(), AppliedSet::up_to(seqno));
}

pub(crate) fn is_completed(completion: Completion) -> bool {
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
        assert_applied_up_to(2, &window);
    });
}

#[test]
fn three_completions_in_any_order_move_the_mark_over_all() {
    check(|| {
        let window = used_window(3);
        let written = [data(), data()];
        let completers = [(5, &written[0]), (6, &written[1])]
            .map(|(seqno, data)| complete(data, &window, seqno));
        window.complete(4).unwrap();
        let mark = window.shard().applied();
        let seen = written.each_ref().map(|data| data.load(Ordering::Relaxed));
        assert!(mark < 5 || seen[0] == 5, "a mark of {mark} without the data of 5");
        assert!(mark < 6 || seen[1] == 6, "a mark of 6 without its data");
        for completer in completers {
            assert!(is_completed(completer.join().unwrap()));
        }
        assert_applied_up_to(6, &window);
    });
}

#[test]
fn a_waiter_for_a_later_seqno_is_woken_when_the_gap_is_closed() {
    check(|| {
        let window = used_window(3);
        let written = data();
        let completers = [complete(&data(), &window, 4), complete(&written, &window, 5)];
        assert_eq!(window.shard().reached(5).wait(), Ok(5));
        assert_eq!(written.load(Ordering::Relaxed), 5);
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
        window.shard().advance(3);
        drop(window.try_claim(5).unwrap()); // the chunk of 5 and 6
        let completers = [5, 6].map(|seqno| complete(&data(), &window, seqno));
        window.shard().advance(4);
        for completer in completers {
            completer.join().unwrap();
        }
        assert_applied_up_to(6, &window);
    });
}

/// 2 was completed above the mark; a snapshot looks after the mark has passed it.
///
/// Two preemptions find a flag that is cleared without comparing `highest`, or without a look at
/// the mark.
#[test]
fn a_snapshot_that_finds_nothing_above_keeps_no_advance_from_what_is_completed_then() {
    check_within(2, || {
        let window = used_window(4);
        let completer = complete(&data(), &window, 6);
        let snapshot = thread::spawn({
            let shard = window.shard().clone();
            move || shard.applied_set()
        });
        window.shard().advance(5);
        completer.join().unwrap();
        assert!(snapshot.join().unwrap().mark() >= 4);
        assert_applied_up_to(6, &window);
    });
}

/// Two preemptions find a chunk that is dropped one seqno too early, and a plain load after
/// completing.
#[test]
fn a_seqno_is_completed_though_its_chunk_goes() {
    check_within(2, || {
        let window = window(4);
        window.complete(2).unwrap();
        let completers = [1, 3].map(|seqno| complete(&data(), &window, seqno));
        let claimed = window.try_claim(3).ok().map(|claim| is_completed(claim.complete().unwrap()));
        let [first, third] = completers.map(|completer| is_completed(completer.join().unwrap()));
        assert!(first);
        assert!(third || claimed == Some(true), "nobody has completed 3");
        assert_applied_up_to(3, &window);
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
        assert_applied_up_to(3, &window);
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
        assert_applied_up_to(2, &window);
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
        assert_applied_up_to(3, &window);
    });
}

#[test]
fn a_restored_range_closes_a_gap_of_the_window() {
    check(|| {
        let window = window(4);
        let completer = complete(&data(), &window, 2);
        window.shard().complete(1);
        completer.join().unwrap();
        assert_applied_up_to(2, &window);
    });
}
