//! Waiting: no waiter sleeps through the advance that reaches its seqno.

use std::sync::Arc;
use std::task::Poll;

use loom_models::{AppliedSet, SeqRange};

use crate::{Advance, Bell, Ordering, apply, check, data, one_shard, step, thread, wait};

#[test]
fn an_advance_wakes_the_waiter_of_its_seqno() {
    check(|| {
        let (_state, shard) = one_shard();
        let written = data();
        let waiter = wait(&written, &shard, 1);
        written.store(1, Ordering::Relaxed);
        assert_eq!(shard.advance(1), Advance::Advanced { from: 0 });
        assert_eq!(waiter.join().unwrap(), (Ok(1), 1));
    });
}

#[test]
fn an_advance_beyond_a_seqno_wakes_its_waiter() {
    check(|| {
        let (_state, shard) = one_shard();
        let waiters = [1, 2].map(|seqno| wait(&data(), &shard, seqno));
        shard.advance(3);
        assert_eq!(waiters.map(|waiter| waiter.join().unwrap().0), [Ok(3), Ok(3)]);
    });
}

#[test]
fn each_of_two_waiters_is_woken_by_what_reaches_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let written = data();
        let [first, second] = [1, 2].map(|seqno| wait(&written, &shard, seqno));
        shard.advance(1);
        assert_eq!(first.join().unwrap(), (Ok(1), 0));
        written.store(2, Ordering::Relaxed);
        shard.advance(2);
        assert_eq!(second.join().unwrap(), (Ok(2), 2));
    });
}

#[test]
fn of_two_advances_the_one_that_reaches_it_wakes() {
    check(|| {
        let (_state, shard) = one_shard();
        let written = data();
        let below = apply(&data(), &shard, 1);
        let there = apply(&written, &shard, 2);
        assert_eq!(shard.reached(2).wait(), Ok(2));
        assert_eq!(written.load(Ordering::Relaxed), 2);
        below.join().unwrap();
        there.join().unwrap();
    });
}

#[test]
fn a_future_is_ready_or_woken() {
    check(|| {
        let (_state, shard) = one_shard();
        let (written, bell) = (data(), Arc::new(Bell::default()));
        let mut reached = shard.reached(1);
        let applier = apply(&written, &shard, 1);
        let polled = bell.poll(&mut reached);
        if polled.is_ready() {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        applier.join().unwrap();
        match polled {
            Poll::Ready(result) => assert_eq!(result, Ok(1)),
            Poll::Pending => {
                assert_eq!(bell.rung(), 1);
                assert_eq!(bell.poll(&mut reached), Poll::Ready(Ok(1)));
            }
        }
        assert!(bell.is_forgotten());
    });
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    check(|| {
        let (_state, shard) = one_shard();
        let bells = [(); 2].map(|()| Arc::new(Bell::default()));
        let mut reached = shard.reached(1);
        let applier = apply(&data(), &shard, 1);
        let polls = [0, 1].map(|i| bells[i].poll(&mut reached));
        applier.join().unwrap();
        if polls[1].is_pending() {
            assert_eq!(bells[1].rung(), 1);
        }
        assert_eq!(bells[1].poll(&mut reached), Poll::Ready(Ok(1)));
        assert!(bells.iter().all(Bell::is_forgotten));
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_the_others_their_wake_up() {
    for given_up_at in [1, 3] {
        check(move || {
            let (_state, shard) = one_shard();
            let (given_up, waiting) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
            let (mut dropped, mut awaits_2) = (shard.reached(given_up_at), shard.reached(2));
            assert_eq!(waiting.poll(&mut awaits_2), Poll::Pending);
            let fickle = thread::spawn({
                let given_up = Arc::clone(&given_up);
                move || {
                    let _ = given_up.poll(&mut dropped);
                    drop(dropped);
                }
            });
            let applier = thread::spawn({
                let shard = shard.clone();
                move || {
                    shard.advance(1);
                    shard.advance(2);
                }
            });
            fickle.join().unwrap();
            applier.join().unwrap();
            assert!(given_up.is_forgotten());
            assert_eq!((waiting.rung(), waiting.poll(&mut awaits_2)), (1, Poll::Ready(Ok(2))));
        });
    }
}

#[test]
fn a_future_dropped_as_it_is_reached_leaves_nothing_behind() {
    check(|| {
        let (_state, shard) = one_shard();
        let bell = Arc::new(Bell::default());
        let mut reached = shard.reached(1);
        assert_eq!(bell.poll(&mut reached), Poll::Pending);
        let applier = apply(&data(), &shard, 1);
        drop(reached);
        applier.join().unwrap();
        assert!(bell.is_forgotten());
        assert!(bell.rung() <= 1);
    });
}

#[test]
fn changes_end_at_the_last_mark_however_they_are_coalesced() {
    check(|| {
        let (_state, shard) = one_shard();
        let mut changes = shard.changes();
        let applier = thread::spawn(move || {
            shard.advance(1);
            shard.advance(2);
        });
        let mut last = None;
        while last != Some(2) {
            let next = changes.next().wait().unwrap();
            assert!(last < Some(next), "{next} after {last:?}");
            last = Some(next);
        }
        applier.join().unwrap();
    });
}

/// Without a window: a range completed above the mark, as from a checkpoint.
#[test]
fn a_range_is_passed_by_the_advance_that_reaches_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let (below, in_range) = (data(), data());
        let applier = apply(&below, &shard, 1);
        let restorer = thread::spawn({
            let (shard, in_range) = (shard.clone(), Arc::clone(&in_range));
            move || {
                in_range.store(1, Ordering::Relaxed);
                shard.complete(SeqRange::new(2, 3));
            }
        });
        if step(|| shard.applied()) == 3 {
            assert_eq!((below.load(Ordering::Relaxed), in_range.load(Ordering::Relaxed)), (1, 1));
        }
        applier.join().unwrap();
        restorer.join().unwrap();
        assert_eq!(shard.applied_set(), AppliedSet::up_to(3));
    });
}

#[test]
fn a_waiter_for_a_seqno_in_a_range_is_woken() {
    check(|| {
        let (_state, shard) = one_shard();
        let applier = apply(&data(), &shard, 1);
        let restorer = thread::spawn({
            let shard = shard.clone();
            move || shard.complete(SeqRange::new(2, 3))
        });
        assert_eq!(shard.reached(3).wait(), Ok(3));
        applier.join().unwrap();
        restorer.join().unwrap();
    });
}

#[test]
fn what_is_completed_is_found_in_the_mark_or_above_it() {
    check(|| {
        let (_state, shard) = one_shard();
        shard.complete(SeqRange::new(2, 3));
        let applier = apply(&data(), &shard, 1);
        let completed = step(|| shard.applied_set());
        let before = AppliedSet::new(0, [SeqRange::new(2, 3)]);
        assert!([before, AppliedSet::up_to(3)].contains(&completed), "{completed:?}");
        applier.join().unwrap();
    });
}

#[test]
fn nothing_above_the_mark_means_that_the_mark_has_passed_it() {
    check(|| {
        let (state, shard) = one_shard();
        shard.complete(2);
        let applier = apply(&data(), &shard, 1);
        let snapshot = step(|| state.snapshot());
        let seen = (
            snapshot.mark(crate::SHARD),
            snapshot.applied_set(crate::SHARD).unwrap().range_count(),
        );
        assert!([(Some(0), 1), (Some(2), 0)].contains(&seen), "{snapshot:?}");
        applier.join().unwrap();
    });
}
