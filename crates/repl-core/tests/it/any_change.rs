//! A wait for any change of a state ends with every kind of change, and costs nothing afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{
    ApplyWindow, EpochStart, NewShard, ReplicationState, SeqRange, ShardId, WaitError,
};

use crate::{StopAtEnd, counting, poll};

/// Time enough for a thread that runs.
const SOON: Duration = Duration::from_secs(10);

const A: ShardId = ShardId(1);
const B: ShardId = ShardId(2);

/// Whether a wait that begins before `change` is woken by it, and was not ready before.
fn wakes<R>(state: &ReplicationState, change: impl FnOnce() -> R) -> bool {
    let (counter, waker) = counting();
    let mut any = state.any_change();
    assert!(poll(&mut any, &waker).is_pending() && !any.has_changed());
    let _ = change();
    let woken = counter.count() == 1;
    assert_eq!(any.has_changed(), woken);
    assert_eq!(poll(&mut any, &waker).is_ready(), woken);
    woken
}

#[test]
fn every_kind_of_change_ends_the_wait() {
    let state = ReplicationState::new(&[A, B]);
    let shard = state.shard(B).unwrap();
    assert!(wakes(&state, || state.advance(A, 1)));
    assert!(wakes(&state, || shard.advance(5)));
    assert!(wakes(&state, || shard.advance_from(5, 6)));
    assert!(wakes(&state, || shard.complete(SeqRange::new(9, 12))));
    assert!(wakes(&state, || shard.advance(8))); // and over the range
    assert_eq!(shard.applied(), 12);
    let new = NewShard::new(ShardId(3));
    assert!(wakes(&state, || state.add_shard(new.clone())));
    assert!(wakes(&state, || state.reset_shard(new.clone().with_mark(7))));
    assert!(wakes(&state, || state.rewind_shard(ShardId(3), 2)));
    let start = EpochStart { epoch: 0, first: 1 };
    assert!(wakes(&state, || state.begin_epoch(ShardId(3), start)));
    assert!(wakes(&state, || state.remove_shard(ShardId(3))));
    assert!(wakes(&state, || state.add_shards(&[new])));
    assert!(wakes(&state, || state.remove_shards(&[ShardId(3)])));
}

#[test]
fn completions_in_a_window_end_the_wait_in_order_and_out_of_order() {
    let state = ReplicationState::new(&[A]);
    let window = ApplyWindow::new(state.shard(A).unwrap(), 1 << 20).unwrap();
    assert!(wakes(&state, || window.complete(1)));
    assert!(wakes(&state, || window.complete(3)));
    assert!(wakes(&state, || window.complete(2)));
    assert!(wakes(&state, || window.skip(SeqRange::new(8, 9))));
    assert!(wakes(&state, || window.complete(1 << 19))); // in overflow
    assert!(wakes(&state, || window.try_claim(4).unwrap().complete()));
    assert!(wakes(&state, || state.advance(A, 7)));
    assert_eq!(state.applied_seqno(A), Some(9));
}

#[test]
fn what_changes_nothing_does_not_end_the_wait() {
    let state = ReplicationState::new(&[A, B]);
    let shard = state.shard(A).unwrap();
    let window = ApplyWindow::new(shard.clone(), 64).unwrap();
    window.complete(1).unwrap();
    window.complete(3).unwrap();
    assert!(!wakes(&state, || state.advance(A, 1)));
    assert!(!wakes(&state, || state.snapshot()));
    assert!(!wakes(&state, || shard.applied_set()));
    assert!(!wakes(&state, || shard.complete(SeqRange::EMPTY)));
    assert!(!wakes(&state, || window.try_claim(5)));
    assert!(!wakes(&state, || shard.reached(9).wait_timeout(Duration::ZERO)));
    assert!(!wakes(&state, || state.any_change()));
    assert!(!wakes(&state, || state.add_shard(NewShard::new(B))));
    assert!(!wakes(&state, || state.shard(ShardId(9)).is_none()));
}

#[test]
fn a_change_between_the_call_and_the_first_poll_is_not_missed() {
    let state = ReplicationState::new(&[A]);
    let any = state.any_change();
    state.advance(A, 1);
    assert_eq!(any.wait_timeout(SOON), Ok(()));
}

#[test]
fn every_way_to_block_ends_with_the_change() {
    let state = ReplicationState::new(&[A]);
    let any = state.any_change();
    assert_eq!(any.clone().wait_deadline(Instant::now()), Err(WaitError::Timeout));
    state.advance(A, 1);
    assert_eq!(any.clone().wait_deadline(Instant::now() + SOON), Ok(()));
    assert_eq!(any.wait(), Ok(()));
    state.close();
    let any = state.any_change();
    assert_eq!(any.clone().wait_deadline(Instant::now() + SOON), Err(WaitError::Closed));
    assert_eq!(any.wait(), Err(WaitError::Closed));
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    let state = ReplicationState::new(&[A]);
    let (counter, waker) = counting();
    let mut any = state.any_change();
    assert!(poll(&mut any, &waker).is_pending());
    assert_eq!(Arc::strong_count(&counter), 3);
    drop(any);
    assert_eq!(Arc::strong_count(&counter), 2);
    state.advance(A, 1);
    assert_eq!(counter.count(), 0);
}

#[test]
fn every_future_that_was_polled_is_woken() {
    let state = ReplicationState::new(&[A]);
    let wakers: Vec<_> = (0..3).map(|_| counting()).collect();
    let mut waits: Vec<_> = wakers.iter().map(|_| state.any_change()).collect();
    for (any, (_, waker)) in waits.iter_mut().zip(&wakers) {
        assert!(poll(any, waker).is_pending());
    }
    state.advance(A, 1);
    assert!(wakers.iter().all(|(counter, _)| counter.count() == 1));
}

#[test]
fn several_waits_end_with_one_change_and_clones_too() {
    let state = ReplicationState::new(&[A]);
    let first = state.any_change();
    let second = state.any_change();
    let third = first.clone();
    state.advance(A, 1);
    let later = state.any_change();
    assert_eq!([first, second, third].map(|any| any.wait_timeout(SOON)), [Ok(()); 3]);
    assert_eq!(later.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

#[test]
fn waiters_of_a_shard_are_woken_beside_a_wait_for_any_change() {
    let state = ReplicationState::new(&[A]);
    let shard = state.shard(A).unwrap();
    let (counter, waker) = counting();
    let mut before = shard.reached(1);
    assert!(poll(&mut before, &waker).is_pending());
    let any = state.any_change();
    let mut after = shard.reached(2);
    assert!(poll(&mut after, &waker).is_pending());
    shard.advance(1);
    assert_eq!((any.wait_timeout(SOON), counter.count()), (Ok(()), 1));
    shard.advance(2);
    assert_eq!(counter.count(), 2);
    assert_eq!(shard.awaited(), None);
}

#[test]
fn closing_ends_the_wait_and_later_ones_at_once() {
    let state = ReplicationState::new(&[A]);
    let before = state.any_change();
    state.close();
    assert_eq!(before.wait_timeout(SOON), Err(WaitError::Closed));
    let after = state.any_change();
    assert_eq!(after.clone().wait_timeout(SOON), Err(WaitError::Closed));
    state.advance(A, 1); // marks still move, and are seen to
    assert!(after.has_changed());
}

#[test]
fn no_change_is_missed_between_looks_while_two_threads_advance() {
    const LAST: u64 = 20_000;
    let state = &ReplicationState::new(&[A, B]);
    let (seen, over) = (&AtomicU64::new(0), &AtomicBool::new(false));
    thread::scope(|s| {
        s.spawn(|| {
            let _over = StopAtEnd(over);
            loop {
                let any = state.any_change();
                let sum: u64 = state.marks().marks().iter().sum();
                seen.store(sum, Ordering::Release);
                if sum == 2 * LAST {
                    return;
                }
                assert_eq!(any.wait_timeout(SOON), Ok(()));
            }
        });
        for shard in [A, B] {
            s.spawn(move || {
                for seqno in 1..=LAST {
                    state.advance(shard, seqno);
                    // Lets the follower see it now and then, and come to rest.
                    let unseen =
                        || seen.load(Ordering::Acquire) < seqno && !over.load(Ordering::Relaxed);
                    while seqno % 16 == 0 && unseen() {
                        thread::yield_now();
                    }
                }
            });
        }
    });
}
