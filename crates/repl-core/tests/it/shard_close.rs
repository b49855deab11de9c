//! Closing one shard ends the waiting on it, and on nothing else.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use crate::{Queued, ends, single};
use repl_core::{
    Advance, ApplyWindow, ClaimError, Completion, NewShard, ReplicationState, Shard, ShardId,
    WaitError,
};

const SHARD: ShardId = ShardId(1);
const OTHER: ShardId = ShardId(2);

fn two() -> (ReplicationState, Shard, Shard) {
    let state = ReplicationState::new(&[SHARD, OTHER]);
    let [shard, other] = [SHARD, OTHER].map(|shard| state.shard(shard).unwrap());
    (state, shard, other)
}

fn looks(shard: &Shard, seqno: u64) -> Result<u64, WaitError> {
    shard.reached(seqno).wait_timeout(Duration::ZERO)
}

#[test]
fn closing_a_shard_fails_the_waits_on_it_and_on_no_other() {
    let (state, shard, other) = two();
    shard.advance(3);
    let mut closed: Vec<_> = (4..=50).map(|seqno| Queued::new(&shard, seqno)).collect();
    let mut open = Queued::new(&other, 4);
    state.shard(SHARD).unwrap().close();
    for waiter in &mut closed {
        assert_eq!((waiter.wakes(), waiter.poll()), (1, Poll::Ready(Err(WaitError::Closed))));
    }
    assert_eq!((open.wakes(), open.poll()), (0, Poll::Pending));
    assert_eq!((looks(&shard, 3), looks(&shard, 4)), (Ok(3), Err(WaitError::Closed)));
    let by_id = state.reached(SHARD, 4).wait();
    assert_eq!(by_id, Err(WaitError::Closed));
    other.advance(4);
    assert_eq!((open.wakes(), open.poll()), (1, Poll::Ready(Ok(4))));
    assert_eq!(looks(&other, 5), Err(WaitError::Timeout));
}

#[test]
fn blocked_threads_return_when_their_shard_is_closed() {
    let (_state, shard, other) = two();
    ends(move || {
        thread::scope(|s| {
            let reached = s.spawn(|| shard.reached(5).wait());
            let changes = s.spawn(|| {
                let mut changes = shard.changes();
                (changes.next().wait(), changes.next().wait())
            });
            let others = s.spawn(|| other.reached(5).wait());
            thread::sleep(Duration::from_millis(10));
            shard.close();
            assert_eq!(reached.join().unwrap(), Err(WaitError::Closed));
            assert_eq!(changes.join().unwrap(), (Ok(0), Err(WaitError::Closed)));
            assert!(!others.is_finished());
            other.advance(5);
            assert_eq!(others.join().unwrap(), Ok(5));
        });
    });
}

#[test]
fn the_mark_of_a_closed_shard_moves_on() {
    let (state, shard, _) = two();
    let mut queued = Queued::new(&shard, 2);
    shard.close();
    shard.close();
    assert_eq!(queued.wakes(), 1);
    assert_eq!(shard.advance(1), Advance::Advanced { from: 0 });
    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    window.complete(3).unwrap();
    assert_eq!(window.complete(2), Ok(Completion::Completed { mark: 3 }));
    assert_eq!(state.applied_seqno(SHARD), Some(3));
    assert_eq!(looks(&shard, 3), Ok(3), "it is reached");
    assert_eq!(queued.poll(), Poll::Ready(Ok(3)), "reached before it was polled again");
    assert_eq!(looks(&shard, 4), Err(WaitError::Closed));
    assert_eq!(window.claim(40).wait().unwrap_err(), ClaimError::Closed);
    assert!(!shard.is_removed());
    assert_eq!(queued.wakes(), 1);
}

#[test]
fn the_next_incarnation_of_a_closed_shard_is_open() {
    let starts: [fn(&ReplicationState) -> Shard; 3] = [
        |state| state.reset_shard(NewShard::new(SHARD)).unwrap(),
        |state| state.rewind_shard(SHARD, 0).unwrap(),
        |state| {
            state.remove_shard(SHARD).unwrap();
            state.add_shard(NewShard::new(SHARD)).unwrap()
        },
    ];
    for start in starts {
        let (state, old, _) = two();
        old.close();
        let new = start(&state);
        assert_eq!(looks(&new, 1), Err(WaitError::Timeout));
        let mut queued = Queued::new(&new, 1);
        new.advance(1);
        assert_eq!((queued.wakes(), queued.poll()), (1, Poll::Ready(Ok(1))));
        old.close();
        assert_eq!(looks(&old, 1), Err(WaitError::Removed));
        assert_eq!(looks(&new, 2), Err(WaitError::Timeout), "the old handle closes the old one");
    }
}

#[test]
fn the_next_incarnation_is_closed_if_the_state_is() {
    let (state, shard, other) = two();
    shard.close();
    state.close();
    let reset = state.reset_shard(NewShard::new(SHARD)).unwrap();
    let rewound = state.rewind_shard(OTHER, 5).unwrap();
    assert_eq!(looks(&reset, 1), Err(WaitError::Closed));
    assert_eq!((looks(&rewound, 5), looks(&rewound, 6)), (Ok(5), Err(WaitError::Closed)));
    other.close();
    assert_eq!(looks(&other, 0), Err(WaitError::Removed));
}

#[test]
fn a_clone_of_a_state_with_a_closed_shard_is_open() {
    let (state, shard, _) = two();
    shard.close();
    let copy = state.clone().shard(SHARD).unwrap();
    assert_eq!(
        (looks(&copy, 1), looks(&shard, 1)),
        (Err(WaitError::Timeout), Err(WaitError::Closed))
    );
}

#[test]
fn a_wait_that_races_the_close_of_its_shard_returns() {
    for _ in 0..300 {
        let (_state, shard) = single();
        ends(move || {
            thread::scope(|s| {
                let waiter = s.spawn(|| shard.reached(1).wait());
                shard.close();
                assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
            });
        });
    }
}
