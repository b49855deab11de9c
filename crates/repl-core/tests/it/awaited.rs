//! The lowest seqno that anything waits for on a shard.

use std::task::{Poll, Waker};
use std::time::Duration;

use crate::{Queued, poll, single};
use repl_core::{ApplyWindow, NewShard, ReplicationState, ShardId, WaitError};

const SHARD: ShardId = ShardId::SINGLE;

#[test]
fn the_lowest_seqno_of_all_waits_is_awaited() {
    let (state, shard) = single();
    assert_eq!(shard.awaited(), None);
    let seven = Queued::new(&shard, 7);
    assert_eq!(shard.awaited(), Some(7));
    let three = Queued::new(&shard, 3);
    assert_eq!(shard.awaited(), Some(3));
    let _nine = Queued::new(&shard, 9);
    let _last = Queued::new(&shard, u64::MAX);
    assert_eq!(shard.awaited(), Some(3));
    drop(three);
    assert_eq!(shard.awaited(), Some(7));
    shard.advance(6);
    assert_eq!(shard.awaited(), Some(7));
    shard.advance(7);
    assert_eq!(shard.awaited(), Some(9), "a seqno that is reached is not awaited");
    drop(seven);
    shard.advance(9);
    assert_eq!(shard.awaited(), Some(u64::MAX));
    assert_eq!(state.shard(SHARD).unwrap().awaited(), Some(u64::MAX));
    shard.advance(u64::MAX);
    assert_eq!(shard.awaited(), None);
}

#[test]
fn a_wait_is_awaited_from_its_first_poll_until_it_is_dropped() {
    let (_state, shard) = single();
    let mut reached = shard.reached(4);
    assert_eq!(shard.awaited(), None, "not polled");
    for _ in 0..2 {
        assert!(poll(&mut reached, Waker::noop()).is_pending());
        assert_eq!(shard.awaited(), Some(4));
    }
    assert_eq!(poll(&mut shard.reached(0), Waker::noop()), Poll::Ready(Ok(0)));
    assert_eq!(shard.awaited(), Some(4));
    drop(reached);
    assert_eq!(shard.awaited(), None);
    assert_eq!(shard.reached(5).wait_timeout(Duration::from_millis(1)), Err(WaitError::Timeout));
    assert_eq!(shard.awaited(), None, "a wait that timed out is over");
}

#[test]
fn close_and_removal_leave_nothing_awaited() {
    let ends_with: [fn(&ReplicationState); 4] = [
        ReplicationState::close,
        |state| state.shard(SHARD).unwrap().close(),
        |state| drop(state.remove_shard(SHARD)),
        |state| drop(state.reset_shard(NewShard::new(SHARD))),
    ];
    for end in ends_with {
        let (state, shard) = single();
        let _waiting = Queued::new(&shard, 4);
        end(&state);
        assert_eq!(shard.awaited(), None);
        let _ = poll(&mut shard.reached(5), Waker::noop());
        assert_eq!(shard.awaited(), None, "nothing can be awaited any more");
        assert!(state.shard(SHARD).is_none_or(|shard| shard.awaited().is_none()));
    }
}

#[test]
fn every_kind_of_wait_is_awaited() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    let shard = state.shard(ShardId(1)).unwrap();
    let window = ApplyWindow::new(shard.clone(), 10).unwrap();
    let mut claiming = window.claim(19);
    assert!(poll(&mut claiming, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(9), "the mark at which there is room");
    let mut room = window.room_for(18);
    assert!(poll(&mut room, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(8));
    let written = [(ShardId(1), 7)].into_iter().collect();
    let mut all = state.reached_all(&written);
    assert!(poll(&mut all, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(7));
    let mut by_id = state.reached(ShardId(1), 6);
    assert!(poll(&mut by_id, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(6));
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(0));
    let mut next = changes.next();
    assert!(poll(&mut next, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(1));
    drop((next, by_id, all, room));
    assert_eq!(shard.awaited(), Some(9));
    drop(claiming);
    assert_eq!(shard.awaited(), None);
    assert_eq!(state.shard(ShardId(2)).unwrap().awaited(), None);
}
