//! `ReplicationState::reached_all` waits for the mark of every shard of a snapshot.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::{counting, ends, poll};
use repl_core::{
    AppliedSet, NewShard, ReachedAll, ReplicationState, ShardId, Snapshot, SnapshotEntry,
    WaitAllError, WaitError,
};

const SHARDS: [ShardId; 3] = [ShardId(1), ShardId(2), ShardId(3)];

fn state() -> ReplicationState {
    ReplicationState::new(&SHARDS)
}

fn marks(marks: &[(u64, u64)]) -> Snapshot {
    marks.iter().map(|(shard, mark)| (ShardId(*shard), *mark)).collect()
}

/// The result of a wait, if it is known by now.
fn now(all: &mut ReachedAll) -> Poll<Result<(), WaitAllError>> {
    poll(all, Waker::noop())
}

fn failed(shard: u64, reason: WaitError) -> Result<(), WaitAllError> {
    Err(WaitAllError { shard: ShardId(shard), reason })
}

#[test]
fn marks_that_are_reached_already_are_answered_at_once() {
    let state = state();
    state.advance(ShardId(1), 5);
    state.advance(ShardId(2), 7);
    for written in [marks(&[]), marks(&[(1, 5), (2, 6)]), marks(&[(3, 0)]), state.snapshot()] {
        assert_eq!(now(&mut state.reached_all(&written)), Poll::Ready(Ok(())));
        assert_eq!(state.reached_all(&written).wait(), Ok(()));
        assert_eq!(state.reached_all(&written).wait_timeout(Duration::ZERO), Ok(()));
        assert_eq!(state.reached_all(&written).wait_deadline(Instant::now()), Ok(()));
    }
}

#[test]
fn what_was_reached_at_the_call_counts_although_the_shard_is_removed_then() {
    let state = state();
    state.advance(ShardId(1), 5);
    let mut all = state.reached_all(&marks(&[(1, 5), (2, 1)]));
    state.remove_shard(ShardId(1)).unwrap();
    state.advance(ShardId(2), 1);
    assert_eq!(now(&mut all), Poll::Ready(Ok(())));
}

#[test]
fn the_wait_ends_with_the_last_shard_in_whatever_order_they_advance() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let state = state();
        let (counter, waker) = counting();
        let mut all = state.reached_all(&marks(&[(1, 5), (2, 5), (3, 5)]));
        assert!(poll(&mut all, &waker).is_pending());
        for shard in &order[..2] {
            state.advance(ShardId(*shard), 4);
            assert!(poll(&mut all, &waker).is_pending());
            state.advance(ShardId(*shard), 5);
            assert!(poll(&mut all, &waker).is_pending());
        }
        let before = counter.count();
        state.advance(ShardId(order[2]), 6);
        assert_eq!(counter.count(), before + 1, "{order:?}");
        for _ in 0..2 {
            assert_eq!(poll(&mut all, &waker), Poll::Ready(Ok(())), "{order:?}");
        }
    }
}

#[test]
fn a_blocked_thread_returns_once_every_mark_is_reached() {
    let state = state();
    ends(move || {
        let written = marks(&[(1, 50), (2, 50), (3, 50)]);
        thread::scope(|s| {
            let waiting = [
                s.spawn(|| state.reached_all(&written).wait()),
                s.spawn(|| state.reached_all(&written).wait_timeout(Duration::MAX)),
                s.spawn(|| state.reached_all(&written).wait_timeout(Duration::from_secs(60))),
            ];
            thread::scope(|s| {
                for shard in SHARDS {
                    let state = &state;
                    s.spawn(move || (1..=50).for_each(|seqno| _ = state.advance(shard, seqno)));
                }
            });
            for waiter in waiting {
                assert_eq!(waiter.join().unwrap(), Ok(()));
            }
        });
    });
}

#[test]
fn ranges_above_the_marks_do_not_count() {
    let state = state();
    state.advance(ShardId(1), 5);
    let entry = SnapshotEntry::new(ShardId(1), AppliedSet::new(5, [9]));
    assert_eq!(now(&mut state.reached_all(&Snapshot::from_iter([entry]))), Poll::Ready(Ok(())));
    state.shard(ShardId(1)).unwrap().complete(8);
    assert!(now(&mut state.reached_all(&marks(&[(1, 8)]))).is_pending());
}

#[test]
fn an_unknown_shard_fails_the_wait_whatever_its_mark() {
    let state = state();
    for mark in [0, 7] {
        let written = marks(&[(1, 0), (9, mark)]);
        let unknown = failed(9, WaitError::UnknownShard);
        assert_eq!(now(&mut state.reached_all(&written)), Poll::Ready(unknown));
        assert_eq!(state.reached_all(&written).wait(), unknown);
        assert_eq!(state.reached_all(&written).wait_timeout(Duration::MAX), unknown);
    }
    let mut all = state.reached_all(&marks(&[(1, 1), (9, 0)]));
    state.add_shard(NewShard::new(9)).unwrap();
    state.advance(ShardId(1), 1);
    assert_eq!(now(&mut all), Poll::Ready(failed(9, WaitError::UnknownShard)), "as of the call");
}

#[test]
fn the_error_names_the_shard_that_was_removed_or_reset() {
    let ways: [fn(&ReplicationState); 2] = [
        |state| drop(state.remove_shard(ShardId(2))),
        |state| drop(state.reset_shard(NewShard::new(2).with_mark(90))),
    ];
    for end in ways {
        let state = state();
        let (counter, waker) = counting();
        let mut all = state.reached_all(&marks(&[(2, 5)]));
        let mut not_polled = state.reached_all(&marks(&[(1, 0), (2, 5), (3, 0)]));
        assert!(poll(&mut all, &waker).is_pending());
        end(&state);
        assert_eq!(counter.count(), 1);
        for all in [&mut all, &mut not_polled] {
            for _ in 0..2 {
                assert_eq!(now(all), Poll::Ready(failed(2, WaitError::Removed)));
            }
        }
    }
}

#[test]
fn a_removal_ends_the_wait_though_other_shards_are_not_reached() {
    for removed in SHARDS {
        let state = state();
        let (counter, waker) = counting();
        let mut all = state.reached_all(&marks(&[(1, 5), (2, 5), (3, 5)]));
        assert!(poll(&mut all, &waker).is_pending());
        state.remove_shard(removed).unwrap();
        assert_eq!(counter.count(), 1);
        for _ in 0..2 {
            assert_eq!(now(&mut all), Poll::Ready(failed(removed.0, WaitError::Removed)));
        }
    }
}

#[test]
fn every_shard_is_awaited_from_the_first_poll() {
    let state = state();
    let mut all = state.reached_all(&marks(&[(1, 5), (2, 6), (3, 7)]));
    assert!(now(&mut all).is_pending());
    let awaited = SHARDS.map(|shard| state.shard(shard).unwrap().awaited());
    assert_eq!(awaited, [Some(5), Some(6), Some(7)]);
}

#[test]
fn the_error_names_the_shard_whose_waiting_was_closed() {
    let state = state();
    let (counter, waker) = counting();
    let mut all = state.reached_all(&marks(&[(1, 5), (2, 5)]));
    assert!(poll(&mut all, &waker).is_pending());
    state.shard(ShardId(1)).unwrap().close();
    state.advance(ShardId(2), 5);
    assert_eq!(poll(&mut all, &waker), Poll::Ready(failed(1, WaitError::Closed)));

    let mut all = state.reached_all(&marks(&[(2, 6)]));
    assert!(poll(&mut all, &waker).is_pending());
    let before = counter.count();
    state.close();
    assert_eq!(counter.count(), before + 1);
    assert_eq!(poll(&mut all, &waker), Poll::Ready(failed(2, WaitError::Closed)));
    assert_eq!(state.reached_all(&marks(&[(2, 6)])).wait(), failed(2, WaitError::Closed));
    assert_eq!(state.reached_all(&marks(&[(2, 5)])).wait(), Ok(()), "reached already");
}

#[test]
fn a_timeout_names_a_shard_that_is_not_reached() {
    let state = state();
    state.advance(ShardId(1), 5);
    state.advance(ShardId(3), 5);
    let written = marks(&[(1, 5), (2, 5), (3, 5)]);
    let timeout = failed(2, WaitError::Timeout);
    let short = Duration::from_millis(5);
    let start = Instant::now();
    assert_eq!(state.reached_all(&written).wait_timeout(short), timeout);
    assert!(start.elapsed() >= short);
    assert_eq!(state.reached_all(&written).wait_deadline(Instant::now() + short), timeout);
    assert_eq!(state.reached_all(&written).wait_timeout(Duration::ZERO), timeout);
    // The others are reached after the call.
    let all = state.reached_all(&marks(&[(1, 6), (2, 6), (3, 6)]));
    state.advance(ShardId(1), 6);
    state.advance(ShardId(3), 6);
    assert_eq!(all.wait_timeout(short), timeout);
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let state = state();
    let (counter, waker) = counting();
    let shards = SHARDS.map(|shard| state.shard(shard).unwrap());
    let mut all = state.reached_all(&marks(&[(1, 5), (2, 5), (3, 5)]));
    assert!(shards.iter().all(|shard| shard.awaited().is_none()), "not polled");
    assert!(poll(&mut all, &waker).is_pending());
    state.advance(ShardId(3), 5);
    assert!(poll(&mut all, &waker).is_pending());
    drop(all);
    assert_eq!(Arc::strong_count(&counter), 2);
    assert!(shards.iter().all(|shard| shard.awaited().is_none()));
    let before = counter.count();
    for shard in SHARDS {
        state.advance(shard, 9);
    }
    assert_eq!(counter.count(), before);
}

#[test]
fn a_wait_for_all_runs_under_tokio_and_smol() {
    let state = Arc::new(state());
    let advance = |to: u64| {
        let state = Arc::clone(&state);
        move || {
            for shard in SHARDS {
                thread::sleep(Duration::from_millis(1));
                state.advance(shard, to);
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let written = marks(&[(1, 5), (2, 5), (3, 5)]);
        let short = Duration::from_millis(2);
        assert!(tokio::time::timeout(short, state.reached_all(&written)).await.is_err());
        let mut kept = state.reached_all(&written);
        assert!(tokio::time::timeout(short, &mut kept).await.is_err());
        thread::spawn(advance(5));
        assert_eq!(tokio::spawn(kept).await.unwrap(), Ok(()));
    });
    smol::block_on(async {
        let all = state.reached_all(&marks(&[(1, 6), (2, 6), (3, 6)]));
        let task = smol::spawn(all);
        thread::spawn(advance(6));
        assert_eq!(task.await, Ok(()));
    });
}
