//! A reader of what is awaited gets every change of it, coalesced, and misses none.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::{Queued, counting, ends, poll, single};
use repl_core::{AwaitedChanges, NewShard, ReplicationState, ShardId, WaitError};

const SHARD: ShardId = ShardId::SINGLE;
const TIMEOUT: Result<Option<u64>, WaitError> = Err(WaitError::Timeout);

/// The next change, if there is one by now.
fn now(changes: &mut AwaitedChanges) -> Result<Option<u64>, WaitError> {
    changes.next().wait_timeout(Duration::ZERO)
}

#[test]
fn the_first_change_is_what_is_awaited_now() {
    let (_state, shard) = single();
    assert_eq!(now(&mut shard.awaited_changes()), Ok(None));
    let _waiting = Queued::new(&shard, 5);
    assert_eq!(now(&mut shard.awaited_changes()), Ok(Some(5)));
    assert_eq!(shard.awaited_changes().next().wait(), Ok(Some(5)));
}

#[test]
fn entering_leaving_and_reaching_change_what_is_awaited() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    assert_eq!(now(&mut changes), TIMEOUT);
    let five = Queued::new(&shard, 5);
    assert_eq!(now(&mut changes), Ok(Some(5)));
    let _six = Queued::new(&shard, 6);
    let also_five = Queued::new(&shard, 5);
    assert_eq!(now(&mut changes), TIMEOUT, "5 is the lowest still");
    let two = Queued::new(&shard, 2);
    assert_eq!(now(&mut changes), Ok(Some(2)));
    drop(two);
    assert_eq!(now(&mut changes), Ok(Some(5)));
    drop(five);
    assert_eq!(now(&mut changes), TIMEOUT);
    drop(also_five);
    assert_eq!(now(&mut changes), Ok(Some(6)));
    shard.advance(5);
    assert_eq!(now(&mut changes), TIMEOUT);
    shard.advance(6);
    assert_eq!(now(&mut changes), Ok(None));
}

#[test]
fn a_watcher_is_woken_once_by_each_change_and_by_nothing_else() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    let seven = Queued::new(&shard, 7);
    assert_eq!(now(&mut changes), Ok(Some(7)));
    let (counter, waker) = counting();
    let mut next = changes.next();
    assert!(poll(&mut next, &waker).is_pending());
    let mut eight = Queued::new(&shard, 8);
    shard.advance(6);
    assert!(eight.poll().is_pending());
    drop(eight);
    assert_eq!((counter.count(), poll(&mut next, &waker)), (0, Poll::Pending));
    drop(seven);
    assert_eq!(counter.count(), 1);
    let nine = Queued::new(&shard, 9);
    assert_eq!(counter.count(), 1, "woken once until it is polled again");
    assert_eq!(poll(&mut next, &waker), Poll::Ready(Ok(Some(9))));
    drop((next, nine));
    assert_eq!(counter.count(), 1);
}

#[test]
fn changes_are_coalesced_to_the_newest() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    let kept: Vec<_> = [9, 8, 7, 3].map(|seqno| Queued::new(&shard, seqno)).into();
    assert_eq!(now(&mut changes), Ok(Some(3)));
    assert_eq!(now(&mut changes), TIMEOUT);
    drop(kept);
    drop(Queued::new(&shard, 3));
    assert_eq!(now(&mut changes), Ok(None));
}

#[test]
fn a_change_that_is_taken_back_is_no_change_and_loses_no_later_one() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    let (counter, waker) = counting();
    let mut next = changes.next();
    assert!(poll(&mut next, &waker).is_pending());
    drop(Queued::new(&shard, 4));
    assert_eq!((counter.count(), poll(&mut next, &waker)), (1, Poll::Pending));
    let _five = Queued::new(&shard, 5);
    assert_eq!((counter.count(), poll(&mut next, &waker)), (2, Poll::Ready(Ok(Some(5)))));
}

#[test]
fn close_is_returned_after_the_last_change() {
    let ways: [fn(&ReplicationState); 2] =
        [ReplicationState::close, |state| state.shard(SHARD).unwrap().close()];
    for close in ways {
        let (state, shard) = single();
        let _waiting = Queued::new(&shard, 4);
        let (mut idle, mut waiting) = (shard.awaited_changes(), shard.awaited_changes());
        assert_eq!(now(&mut waiting), Ok(Some(4)));
        let (counter, waker) = counting();
        let mut next = waiting.next();
        assert!(poll(&mut next, &waker).is_pending());
        close(&state);
        assert_eq!((counter.count(), poll(&mut next, &waker)), (1, Poll::Ready(Ok(None))));
        drop(next);
        assert_eq!(now(&mut idle), Ok(None));
        for changes in [&mut idle, &mut waiting] {
            assert_eq!(changes.next().wait(), Err(WaitError::Closed));
            assert_eq!(now(changes), Err(WaitError::Closed));
        }
        assert_eq!(Arc::strong_count(&counter), 2, "no waker is left");
    }
}

#[test]
fn removal_is_returned_at_once() {
    let (state, shard) = single();
    let _waiting = Queued::new(&shard, 4);
    let (mut idle, mut waiting) = (shard.awaited_changes(), shard.awaited_changes());
    assert_eq!(now(&mut waiting), Ok(Some(4)));
    let (counter, waker) = counting();
    let mut next = waiting.next();
    assert!(poll(&mut next, &waker).is_pending());
    let new = state.reset_shard(NewShard::new(SHARD)).unwrap();
    let removed = Err(WaitError::Removed);
    assert_eq!((counter.count(), poll(&mut next, &waker)), (1, Poll::Ready(removed)));
    drop(next);
    assert_eq!((now(&mut idle), now(&mut waiting)), (removed, removed));
    assert_eq!(now(&mut new.awaited_changes()), Ok(None), "the next incarnation starts anew");
}

#[test]
fn a_dropped_future_leaves_no_waker_and_loses_no_change() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    let (counter, waker) = counting();
    for seqno in [5, 4, 3] {
        let mut next = changes.next();
        assert!(poll(&mut next, &waker).is_pending());
        assert!(poll(&mut next, &waker).is_pending());
        assert_eq!(Arc::strong_count(&counter), 3, "polled twice, kept once");
        drop(next);
        assert_eq!(Arc::strong_count(&counter), 2);
        let waiting = Queued::new(&shard, seqno);
        assert_eq!(counter.count(), 0);
        assert_eq!(now(&mut changes), Ok(Some(seqno)));
        drop(waiting);
        assert_eq!(now(&mut changes), Ok(None));
    }
}

#[test]
fn only_the_newest_waker_of_a_watcher_is_woken_and_kept() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    let ((old, old_waker), (new, new_waker)) = (counting(), counting());
    let mut next = changes.next();
    assert!(poll(&mut next, &old_waker).is_pending());
    assert!(poll(&mut next, &new_waker).is_pending());
    assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (2, 3));
    let _waiting = Queued::new(&shard, 1);
    assert_eq!((old.count(), new.count()), (0, 1));
    assert_eq!(Arc::strong_count(&new), 2);
}

#[test]
fn many_watchers_are_each_woken_by_each_change() {
    let (_state, shard) = single();
    let mut all: Vec<_> = (0..100).map(|_| (shard.awaited_changes(), counting())).collect();
    for (changes, _) in &mut all {
        assert_eq!(now(changes), Ok(None));
    }
    for (round, seqno) in (1..).zip([9, 7, 3]) {
        let mut waiting = Vec::new();
        let mut pending: Vec<_> = all
            .iter_mut()
            .map(|(changes, (_, waker))| {
                let mut next = changes.next();
                assert!(poll(&mut next, waker).is_pending());
                next
            })
            .collect();
        waiting.push(Queued::new(&shard, seqno));
        for next in &mut pending {
            assert_eq!(poll(next, Waker::noop()), Poll::Ready(Ok(Some(seqno))));
        }
        drop(pending);
        assert!(all.iter().all(|(_, (counter, _))| counter.count() == round));
        drop(waiting);
        for (changes, _) in &mut all {
            assert_eq!(now(changes), Ok(None));
        }
    }
}

#[test]
fn a_clone_of_the_changes_continues_from_the_same_place() {
    let (_state, shard) = single();
    let mut changes = shard.awaited_changes();
    assert_eq!(now(&mut changes), Ok(None));
    let mut copy = changes.clone();
    assert_eq!(now(&mut copy), TIMEOUT);
    let _waiting = Queued::new(&shard, 2);
    assert_eq!((now(&mut changes), now(&mut copy)), (Ok(Some(2)), Ok(Some(2))));
}

/// The waiters wait for what the fetcher applies, and the fetcher for what they wait for.
#[test]
fn no_wake_up_is_lost_between_waiters_and_a_fetcher() {
    const ROUNDS: u64 = 2_000;
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            for first in 1..=2 {
                let shard = &shard;
                s.spawn(move || {
                    for seqno in (first..=ROUNDS).step_by(2) {
                        assert!(shard.reached(seqno).wait().unwrap() >= seqno);
                    }
                });
            }
            let mut awaited = shard.awaited_changes();
            while shard.applied() < ROUNDS {
                if let Some(seqno) = awaited.next().wait().unwrap() {
                    shard.advance(seqno);
                }
            }
        });
        assert_eq!(shard.awaited(), None);
    });
}

#[test]
fn no_wake_up_is_lost_as_waits_time_out() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let waiter = s.spawn(|| {
                for seqno in 1..=1_000 {
                    let timeout = Duration::from_micros(seqno % 60);
                    let _ = shard.reached(seqno).wait_timeout(timeout);
                }
                shard.close();
            });
            let mut awaited = shard.awaited_changes();
            let mut last = None;
            let error = loop {
                match awaited.next().wait() {
                    Ok(now) => assert_ne!(last.replace(now), Some(now), "not a change"),
                    Err(error) => break error,
                }
            };
            assert_eq!((error, last), (WaitError::Closed, Some(None)));
            waiter.join().unwrap();
        });
    });
}
