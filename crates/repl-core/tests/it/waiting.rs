//! An advance wakes the waiters whose seqno it reaches, each once, and no others.

use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use crate::{Queued, counting, ends, poll, single};
use repl_core::{Advance, Changes, NewShard, Reached, ReplicationState, ShardId, WaitError};

#[test]
fn a_seqno_that_is_reached_already_returns_at_once() {
    let (state, shard) = single();
    shard.advance(7);
    let (counter, waker) = counting();
    for seqno in [0, 1, 6, 7] {
        assert_eq!(shard.reached(seqno).wait(), Ok(7));
        assert_eq!(shard.reached(seqno).wait_timeout(Duration::ZERO), Ok(7));
        assert_eq!(state.reached(ShardId::SINGLE, seqno).wait(), Ok(7));
        assert_eq!(state.reached(ShardId::SINGLE, seqno).wait_timeout(Duration::ZERO), Ok(7));
        assert_eq!(poll(&mut shard.reached(seqno), &waker), Poll::Ready(Ok(7)));
    }
    shard.advance(8);
    assert_eq!(counter.count(), 0, "a wait that was ready at once is not woken");
}

#[test]
fn seqno_0_is_reached_from_the_start() {
    let (_state, shard) = single();
    let (_, waker) = counting();
    assert_eq!(shard.reached(0).wait(), Ok(0));
    assert_eq!(poll(&mut shard.reached(0), &waker), Poll::Ready(Ok(0)));
}

#[test]
fn an_advance_wakes_each_waiter_that_it_reaches_once_and_no_other() {
    let (_state, shard) = single();
    let targets = [5, 1, 9, 4, 6, 5];
    let mut waiting = targets.map(|seqno| Queued::new(&shard, seqno));
    for (to, woken) in [(3, 1), (4, 2), (5, 4), (8, 5), (9, 6)] {
        shard.advance(to);
        for waiter in &waiting {
            assert_eq!(waiter.wakes(), usize::from(waiter.seqno <= to));
        }
        assert_eq!(waiting.iter().map(Queued::wakes).sum::<usize>(), woken);
    }
    shard.advance(20);
    for waiter in &mut waiting {
        assert_eq!(waiter.poll(), Poll::Ready(Ok(20)), "the mark at the time of the poll");
        assert_eq!(waiter.wakes(), 1);
    }
}

#[test]
fn blocked_threads_return_once_their_seqno_is_reached() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let waiters = [1, 2, 2, 5, 9].map(|seqno| {
                let shard = &shard;
                s.spawn(move || (seqno, shard.reached(seqno).wait()))
            });
            for to in 1..=9 {
                thread::sleep(Duration::from_millis(1));
                shard.advance(to);
            }
            for waiter in waiters {
                let (seqno, result) = waiter.join().unwrap();
                assert!(result.unwrap() >= seqno);
            }
        });
    });
}

#[test]
fn no_wake_up_is_lost_between_looking_and_sleeping() {
    const ROUNDS: u64 = 3_000;
    let (_state, shard) = single();
    ends(move || {
        let turn = Barrier::new(2);
        thread::scope(|s| {
            s.spawn(|| {
                for seqno in 1..=ROUNDS {
                    turn.wait();
                    shard.advance(seqno);
                }
            });
            for seqno in 1..=ROUNDS {
                turn.wait();
                assert_eq!(shard.reached(seqno).wait(), Ok(seqno));
            }
        });
    });
}

/// The target keeps its highest bit for a flag.
#[test]
fn seqnos_up_to_the_last_can_be_awaited() {
    const HIGH: u64 = 1 << 63;
    let targets = [HIGH - 2, HIGH - 1, HIGH, HIGH + 1, HIGH + 5, u64::MAX - 1, u64::MAX];
    let (_state, shard) = single();
    let mut waiting = targets.map(|seqno| Queued::new(&shard, seqno));
    for to in [3, HIGH - 3].into_iter().chain(targets) {
        assert!(matches!(shard.advance(to), Advance::Advanced { .. }));
        for waiter in &waiting {
            assert_eq!(waiter.wakes(), usize::from(waiter.seqno <= to), "at {to}");
        }
    }
    for waiter in &mut waiting {
        assert_eq!(waiter.poll(), Poll::Ready(Ok(u64::MAX)));
    }
    assert_eq!(shard.reached(u64::MAX).wait(), Ok(u64::MAX));
}

#[test]
fn one_advance_wakes_any_number_of_waiters() {
    for count in [1, 31, 32, 33, 64, 65, 200] {
        let (_state, shard) = single();
        let (counter, waker) = counting();
        let same = (0..count).map(|_| 5);
        let spread = 1..=count;
        let mut waiting: Vec<_> = same.chain(spread).map(|seqno| shard.reached(seqno)).collect();
        for reached in &mut waiting {
            assert_eq!(poll(reached, &waker), Poll::Pending);
        }
        shard.advance(5);
        let above = count.saturating_sub(5);
        assert_eq!(counter.count() as u64, 2 * count - above);
        shard.advance(1_000);
        assert_eq!(counter.count() as u64, 2 * count);
        for reached in &mut waiting {
            assert_eq!(poll(reached, &waker), Poll::Ready(Ok(1_000)));
        }
    }
}

#[test]
fn a_waiter_is_not_woken_by_another_shard() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    let (counter, waker) = counting();
    let mut reached = state.reached(ShardId(1), 3);
    assert_eq!(poll(&mut reached, &waker), Poll::Pending);
    state.advance(ShardId(2), 9);
    assert_eq!((counter.count(), poll(&mut reached, &waker)), (0, Poll::Pending));
    state.advance(ShardId(1), 3);
    assert_eq!((counter.count(), poll(&mut reached, &waker)), (1, Poll::Ready(Ok(3))));
}

#[test]
fn every_way_to_move_the_mark_wakes() {
    let (state, shard) = single();
    let ahead = state.clone();
    ahead.advance(ShardId::SINGLE, 4);
    let window = repl_core::ApplyWindow::new(shard.clone(), 8).unwrap();
    let ways: [(&str, &dyn Fn()); 5] = [
        ("advance by handle", &|| _ = shard.advance(1)),
        ("advance by id", &|| _ = state.advance(ShardId::SINGLE, 2)),
        ("advance_from", &|| assert_eq!(shard.advance_from(2, 3), Advance::Advanced { from: 2 })),
        ("merge", &|| drop(state.merge(&ahead.snapshot()))),
        ("complete", &|| _ = window.complete(5)),
    ];
    for (seqno, (way, go)) in (1..).zip(ways) {
        let (counter, waker) = counting();
        let mut reached = shard.reached(seqno);
        assert_eq!(poll(&mut reached, &waker), Poll::Pending, "{way}");
        go();
        assert_eq!(counter.count(), 1, "{way}");
        assert_eq!(poll(&mut reached, &waker), Poll::Ready(Ok(seqno)), "{way}");
    }
}

#[test]
fn every_wait_on_an_unknown_shard_fails() {
    let (state, _) = single();
    let unknown = ShardId(9);
    let (_, waker) = counting();
    let expected = Err(WaitError::UnknownShard);
    assert_eq!(state.reached(unknown, 0).wait(), expected);
    assert_eq!(state.reached(unknown, 0).wait_timeout(Duration::MAX), expected);
    let mut reached = state.reached(unknown, 0);
    assert_eq!(poll(&mut reached, &waker), Poll::Ready(expected));
    state.add_shard(NewShard::new(unknown)).unwrap();
    assert_eq!(poll(&mut reached, &waker), Poll::Ready(expected), "the result is kept");
    assert_eq!(state.reached(unknown, 0).wait(), Ok(0));
}

#[test]
fn futures_and_changes_are_send_sync_and_unpin() {
    fn free<T: Send + Sync + Unpin + 'static>() {}
    fn send<T: Send>(_: T) {}
    free::<Reached>();
    free::<Changes>();
    free::<WaitError>();
    let (_state, shard) = single();
    send(shard.changes().next());
}

#[test]
fn debug_and_display_show_what_is_awaited_and_why_it_failed() {
    let (state, shard) = single();
    shard.advance(2);
    let (_, waker) = counting();
    let mut reached = shard.reached(5);
    assert!(poll(&mut reached, &waker).is_pending());
    let text = format!("{reached:?}");
    assert!(text.contains("applied: 2") && text.contains("seqno: 5"), "{text}");
    assert!(text.contains("queued: true"), "{text}");
    assert!(format!("{:?}", shard.reached(5)).contains("queued: false"));
    assert_eq!(format!("{:?}", state.reached(ShardId(4), 5)), "Reached(Err(UnknownShard))");
    assert_eq!(format!("{:?}", shard.reached(1)), "Reached(Ok(2))");
    let mut changes = shard.changes();
    assert_eq!(changes.next().wait(), Ok(2));
    assert!(format!("{changes:?}").contains("seen: Some(2)"));
    for (error, word) in [
        (WaitError::Timeout, "timed out"),
        (WaitError::Closed, "closed"),
        (WaitError::Removed, "removed"),
        (WaitError::UnknownShard, "not track"),
    ] {
        let error: &dyn std::error::Error = &error;
        assert!(error.to_string().contains(word) && error.source().is_none(), "{error}");
    }
}
