//! A reader of changes gets every change of a mark, coalesced, and misses none.

use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crate::{advance_each, counting, ends, single};
use repl_core::{Changes, Shard, ShardId, WaitError};

/// Polls `next` once, and drops it.
fn poll_next(changes: &mut Changes, waker: &std::task::Waker) -> Poll<Result<u64, WaitError>> {
    pin!(changes.next()).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_first_change_is_the_mark_as_it_is() {
    let (_state, shard) = single();
    let (_, waker) = counting();
    for mark in [0, 7] {
        shard.advance(mark);
        assert_eq!(shard.changes().seen(), None);
        assert_eq!(shard.changes().next().wait(), Ok(mark));
        assert_eq!(shard.changes().next().wait_timeout(Duration::ZERO), Ok(mark));
        assert_eq!(poll_next(&mut shard.changes(), &waker), Poll::Ready(Ok(mark)));
    }
}

#[test]
fn a_slow_reader_gets_the_newest_mark_once() {
    let (_state, shard) = single();
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    advance_each(&shard, 1..=9);
    assert_eq!(changes.next().wait(), Ok(9));
    assert_eq!(changes.seen(), Some(9));
    assert_eq!(changes.next().wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
    shard.advance(9);
    assert_eq!(changes.next().wait_timeout(Duration::ZERO), Err(WaitError::Timeout), "no change");
}

#[test]
fn a_timeout_keeps_the_place() {
    let (_state, shard) = single();
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    for seqno in 1..=3 {
        let timeout = changes.next().wait_timeout(Duration::from_millis(1));
        assert_eq!((timeout, changes.seen()), (Err(WaitError::Timeout), Some(seqno - 1)));
        shard.advance(seqno);
        assert_eq!(changes.next().wait_timeout(Duration::from_secs(9)), Ok(seqno));
    }
}

#[test]
fn a_clone_continues_from_the_same_place() {
    let (_state, shard) = single();
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    let mut copy = changes.clone();
    shard.advance(2);
    assert_eq!(changes.next().wait(), Ok(2));
    assert_eq!(copy.seen(), Some(0));
    assert_eq!(copy.next().wait(), Ok(2));
}

/// Reads changes up to `last`, asserts that they rise, and returns their number.
fn read_changes(shard: &Shard, last: u64) -> usize {
    let mut changes = shard.changes();
    let (mut count, mut seen) = (0, None);
    while seen < Some(last) {
        let mark = changes.next().wait().unwrap();
        assert!(seen < Some(mark));
        seen = Some(mark);
        count += 1;
    }
    assert_eq!(seen, Some(last));
    count
}

#[test]
fn readers_get_rising_marks_and_the_last_one_while_others_advance() {
    const LAST: u64 = 5_000;
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let readers = [(); 3].map(|()| s.spawn(|| read_changes(&shard, LAST)));
            for first in 1..=2 {
                let shard = &shard;
                s.spawn(move || {
                    advance_each(shard, (first..=LAST).step_by(2));
                });
            }
            for reader in readers {
                assert!(reader.join().unwrap() >= 1);
            }
        });
    });
}

#[test]
fn no_change_is_missed_after_subscribing() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            s.spawn(|| advance_each(&shard, 1..=2_000));
            loop {
                let mut changes = shard.changes();
                let current = changes.next().wait().unwrap();
                if current == 2_000 {
                    return;
                }
                assert!(changes.next().wait().unwrap() > current);
            }
        });
    });
}

#[test]
fn closed_is_returned_after_the_last_change() {
    let (state, shard) = single();
    let (mut changes, mut asleep) = (shard.changes(), shard.changes());
    assert_eq!(asleep.next().wait(), Ok(0));
    let (counter, waker) = counting();
    let mut next = Box::pin(asleep.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    state.close();
    assert_eq!(counter.count(), 1);
    shard.advance(4);
    assert_eq!(next.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(4)));
    drop(next);
    for changes in [&mut changes, &mut asleep] {
        if changes.seen().is_none() {
            assert_eq!(changes.next().wait(), Ok(4));
        }
        assert_eq!(changes.next().wait(), Err(WaitError::Closed));
        assert_eq!(poll_next(changes, &waker), Poll::Ready(Err(WaitError::Closed)));
    }
    shard.advance(5);
    assert_eq!(changes.next().wait(), Ok(5), "marks still move after close");
}

#[test]
fn after_the_last_seqno_no_change_can_follow() {
    let (_state, shard) = single();
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    shard.advance(u64::MAX);
    assert_eq!(changes.next().wait(), Ok(u64::MAX));
    let (_, waker) = counting();
    for _ in 0..2 {
        assert_eq!(changes.next().wait(), Err(WaitError::Closed));
        assert_eq!(changes.next().wait_timeout(Duration::MAX), Err(WaitError::Closed));
        assert_eq!(poll_next(&mut changes, &waker), Poll::Ready(Err(WaitError::Closed)));
    }
}

#[test]
fn removal_ends_changes_even_if_the_last_was_not_seen() {
    let (state, shard) = single();
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    shard.advance(3);
    state.remove_shard(ShardId::SINGLE).unwrap();
    let (_, waker) = counting();
    assert_eq!(changes.next().wait(), Err(WaitError::Removed));
    assert_eq!(changes.next().wait_timeout(Duration::MAX), Err(WaitError::Removed));
    assert_eq!(poll_next(&mut changes, &waker), Poll::Ready(Err(WaitError::Removed)));
    assert_eq!(changes.seen(), Some(0));
}

#[test]
fn a_dropped_future_loses_no_change() {
    let (_state, shard) = single();
    let mut changes = shard.changes();
    let (counter, waker) = counting();
    assert_eq!(poll_next(&mut changes, &waker), Poll::Ready(Ok(0)));
    for seqno in 1..=3 {
        assert!(poll_next(&mut changes, &waker).is_pending());
        shard.advance(seqno);
        assert_eq!(counter.count(), 0, "a dropped future is not woken");
        drop(changes.next());
        assert_eq!(poll_next(&mut changes, &waker), Poll::Ready(Ok(seqno)));
    }
    let mut next = Box::pin(changes.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    shard.advance(9);
    drop(next); // woken, but not polled again
    assert_eq!((counter.count(), changes.seen()), (1, Some(3)));
    assert_eq!(changes.next().wait(), Ok(9));
}
