//! Closing the state, and removing or resetting the shard, end every wait.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use crate::{counting, ends, poll, single};
use repl_core::{Advance, NewShard, ReplicationState, ShardId, WaitError};

const SHARD: ShardId = ShardId::SINGLE;

#[test]
fn close_fails_every_wait_with_closed() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    let (counter, waker) = counting();
    let mut waiting = Vec::new();
    for shard in [1, 2].map(ShardId) {
        waiting.extend((1..=50).map(|seqno| state.reached(shard, seqno)));
    }
    assert!(waiting.iter_mut().all(|reached| poll(reached, &waker).is_pending()));
    state.close();
    assert_eq!(counter.count(), 100);
    for reached in &mut waiting {
        assert_eq!(poll(reached, &waker), Poll::Ready(Err(WaitError::Closed)));
    }
    state.close();
    state.advance(ShardId(1), 50);
    assert_eq!(counter.count(), 100, "each is woken once");
}

#[test]
fn blocked_threads_return_when_the_state_is_closed() {
    let (state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let for_ever = s.spawn(|| shard.reached(5).wait());
            let for_long = s.spawn(|| shard.reached(5).wait_timeout(Duration::MAX));
            let changes = s.spawn(|| {
                let mut changes = shard.changes();
                (changes.next().wait(), changes.next().wait())
            });
            thread::sleep(Duration::from_millis(10));
            state.close();
            assert_eq!(for_ever.join().unwrap(), Err(WaitError::Closed));
            assert_eq!(for_long.join().unwrap(), Err(WaitError::Closed));
            assert_eq!(changes.join().unwrap(), (Ok(0), Err(WaitError::Closed)));
        });
    });
}

#[test]
fn a_wait_after_close_fails_unless_its_seqno_is_reached() {
    let (state, shard) = single();
    shard.advance(3);
    state.close();
    let (counter, waker) = counting();
    let closed = Err(WaitError::Closed);
    assert_eq!(shard.reached(4).wait(), closed);
    assert_eq!(shard.reached(4).wait_timeout(Duration::ZERO), closed);
    assert_eq!(state.reached(SHARD, 4).wait(), closed);
    assert_eq!(poll(&mut shard.reached(4), &waker), Poll::Ready(closed));
    assert_eq!(shard.reached(3).wait(), Ok(3));
    assert_eq!(poll(&mut shard.reached(3), &waker), Poll::Ready(Ok(3)));
    shard.advance(9);
    assert_eq!(counter.count(), 0);
}

#[test]
fn marks_move_on_after_close() {
    let (state, shard) = single();
    let (_, waker) = counting();
    let mut reached = shard.reached(2);
    assert!(poll(&mut reached, &waker).is_pending());
    state.close();
    assert_eq!(shard.advance(2), Advance::Advanced { from: 0 });
    assert_eq!(state.advance(SHARD, 3), Advance::Advanced { from: 2 });
    assert_eq!(state.snapshot().mark(SHARD), Some(3));
    assert_eq!(
        poll(&mut reached, &waker),
        Poll::Ready(Ok(3)),
        "reached before it was polled again"
    );
    assert_eq!(state.reached(SHARD, 3).wait(), Ok(3));
    assert_eq!(state.reached(SHARD, 4).wait(), Err(WaitError::Closed));
}

#[test]
fn shards_that_are_added_or_reset_after_close_are_closed() {
    let (state, _) = single();
    state.close();
    let added = state.add_shard(NewShard::new(ShardId(1)).with_mark(5)).unwrap();
    state.add_shards(&[NewShard::new(ShardId(2)), NewShard::new(ShardId(3))]).unwrap();
    let reset = state.reset_shard(NewShard::new(SHARD).with_mark(7)).unwrap();
    for shard in [added.id(), ShardId(2), ShardId(3), reset.id()] {
        let at = state.applied_seqno(shard).unwrap();
        let look = |seqno| state.reached(shard, seqno).wait_timeout(Duration::ZERO);
        assert_eq!(look(at), Ok(at));
        assert_eq!(look(at + 1), Err(WaitError::Closed));
        assert_eq!(state.advance(shard, at + 1), Advance::Advanced { from: at });
        assert_eq!(look(at + 1), Ok(at + 1));
    }
}

#[test]
fn a_clone_of_a_closed_state_is_open() {
    let (state, _) = single();
    state.close();
    let copy = state.clone();
    let (counter, waker) = counting();
    let mut reached = copy.reached(SHARD, 1);
    assert!(poll(&mut reached, &waker).is_pending());
    copy.advance(SHARD, 1);
    assert_eq!((counter.count(), poll(&mut reached, &waker)), (1, Poll::Ready(Ok(1))));
    copy.add_shard(NewShard::new(ShardId(1))).unwrap();
    let later = copy.reached(ShardId(1), 1).wait_timeout(Duration::ZERO);
    assert_eq!(later, Err(WaitError::Timeout));
}

#[test]
fn dropping_the_state_ends_no_wait() {
    let (state, shard) = single();
    let (counter, waker) = counting();
    let mut reached = state.reached(SHARD, 1);
    assert!(poll(&mut reached, &waker).is_pending());
    drop(state);
    assert_eq!((counter.count(), poll(&mut reached, &waker)), (0, Poll::Pending));
    shard.advance(1);
    assert_eq!((counter.count(), poll(&mut reached, &waker)), (1, Poll::Ready(Ok(1))));
}

#[test]
fn removing_or_resetting_a_shard_fails_every_wait_with_removed() {
    let ways: [fn(&ReplicationState); 2] = [
        |state| drop(state.remove_shard(SHARD)),
        |state| drop(state.reset_shard(NewShard::new(SHARD).with_mark(90))),
    ];
    for end in ways {
        let (state, shard) = single();
        let (counter, waker) = counting();
        let mut waiting: Vec<_> = (1..=50).map(|seqno| shard.reached(seqno)).collect();
        assert!(waiting.iter_mut().all(|reached| poll(reached, &waker).is_pending()));
        end(&state);
        assert_eq!(counter.count(), 50);
        for reached in &mut waiting {
            assert_eq!(poll(reached, &waker), Poll::Ready(Err(WaitError::Removed)));
        }
        assert_eq!(shard.advance(50), Advance::Removed);
        state.close();
        assert_eq!(counter.count(), 50);
    }
}

#[test]
fn blocked_threads_return_when_the_shard_is_removed() {
    let (state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let by_handle = s.spawn(|| shard.reached(5).wait());
            let by_id = s.spawn(|| state.reached(SHARD, 5).wait_timeout(Duration::MAX));
            let mut by_change = shard.changes();
            assert_eq!(by_change.next().wait(), Ok(0));
            let by_change = s.spawn(move || by_change.next().wait());
            thread::sleep(Duration::from_millis(10));
            state.remove_shard(SHARD).unwrap();
            assert_eq!(by_handle.join().unwrap(), Err(WaitError::Removed));
            // It may have looked the shard up after the removal.
            let by_id = by_id.join().unwrap().unwrap_err();
            assert!(matches!(by_id, WaitError::Removed | WaitError::UnknownShard));
            assert_eq!(by_change.join().unwrap(), Err(WaitError::Removed));
        });
    });
}

#[test]
fn an_ended_incarnation_reaches_nothing_not_even_its_last_mark() {
    let (state, old) = single();
    old.advance(10);
    let new = state.reset_shard(NewShard::new(SHARD).with_mark(4)).unwrap();
    let (_, waker) = counting();
    let removed = Err(WaitError::Removed);
    for seqno in [0, 4, 10, 11, u64::MAX] {
        assert_eq!(old.reached(seqno).wait(), removed);
        assert_eq!(old.reached(seqno).wait_timeout(Duration::MAX), removed);
        assert_eq!(poll(&mut old.reached(seqno), &waker), Poll::Ready(removed));
    }
    assert_eq!(old.changes().next().wait(), removed);
    assert_eq!(new.reached(4).wait(), Ok(4));
    assert_eq!(state.reached(SHARD, 5).wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

#[test]
fn a_future_by_id_stays_with_its_incarnation() {
    let (state, _) = single();
    let (counter, waker) = counting();
    let mut waiting = state.reached(SHARD, 3);
    let mut not_begun = state.reached(SHARD, 3);
    assert!(poll(&mut waiting, &waker).is_pending());
    state.reset_shard(NewShard::new(SHARD).with_mark(5)).unwrap();
    assert_eq!(counter.count(), 1);
    for reached in [&mut waiting, &mut not_begun] {
        assert_eq!(poll(reached, &waker), Poll::Ready(Err(WaitError::Removed)));
    }
    assert_eq!(state.reached(SHARD, 3).wait(), Ok(5));
}

#[test]
fn a_wait_after_close_and_removal_fails_with_removed() {
    let (state, shard) = single();
    state.close();
    assert_eq!(shard.reached(1).wait(), Err(WaitError::Closed));
    state.remove_shard(SHARD).unwrap();
    assert_eq!(shard.reached(1).wait(), Err(WaitError::Removed));
}

#[test]
fn a_wait_that_races_close_or_removal_returns() {
    for round in 0..400_u64 {
        let (state, shard) = single();
        ends(move || {
            thread::scope(|s| {
                let waiter = s.spawn(|| shard.reached(1).wait());
                if round % 2 == 0 {
                    state.close();
                    assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
                } else {
                    state.remove_shard(SHARD).unwrap();
                    assert_eq!(waiter.join().unwrap(), Err(WaitError::Removed));
                }
            });
        });
    }
}
