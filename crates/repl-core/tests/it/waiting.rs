//! An advance wakes those whose seqno it reaches, each once, and nobody else.

use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use crate::{counting, ends, poll, single};
use repl_core::{Advance, Changes, NewShard, Reached, ReplicationState, ShardId, WaitError};

#[test]
fn a_seqno_that_is_reached_already_returns_at_once() {
    let (state, shard) = single();
    shard.advance(7);
    let (counter, waker) = counting();
    for seqno in [0, 1, 6, 7] {
        assert_eq!(shard.wait_for(seqno), Ok(7));
        assert_eq!(shard.wait_for_timeout(seqno, Duration::ZERO), Ok(7));
        assert_eq!(state.wait_for(ShardId::SINGLE, seqno), Ok(7));
        assert_eq!(state.wait_for_timeout(ShardId::SINGLE, seqno, Duration::ZERO), Ok(7));
        assert_eq!(poll(&mut shard.reached(seqno), &waker), Poll::Ready(Ok(7)));
    }
    shard.advance(8);
    assert_eq!(counter.count(), 0, "who did not wait is not woken");
}

#[test]
fn seqno_0_is_reached_from_the_start() {
    let (_state, shard) = single();
    let (_, waker) = counting();
    assert_eq!(shard.wait_for(0), Ok(0));
    assert_eq!(poll(&mut shard.reached(0), &waker), Poll::Ready(Ok(0)));
}

#[test]
fn only_targets_at_or_below_the_mark_wake_each_exactly_once() {
    let (_state, shard) = single();
    let targets = [5, 1, 9, 4, 6, 5];
    let mut waiting: Vec<_> = targets
        .iter()
        .map(|seqno| {
            let (counter, waker) = counting();
            let mut reached = shard.reached(*seqno);
            assert_eq!(poll(&mut reached, &waker), Poll::Pending);
            (reached, counter, waker)
        })
        .collect();
    for (to, woken) in [(3, 1), (4, 2), (5, 4), (8, 5), (9, 6)] {
        shard.advance(to);
        for (reached, counter, _) in &waiting {
            assert_eq!(counter.count(), usize::from(reached.seqno() <= to));
        }
        assert_eq!(waiting.iter().map(|(_, counter, _)| counter.count()).sum::<usize>(), woken);
    }
    shard.advance(20);
    for (reached, counter, waker) in &mut waiting {
        assert_eq!(poll(reached, waker), Poll::Ready(Ok(20)), "the mark as it is when polled");
        assert_eq!(counter.count(), 1);
    }
}

#[test]
fn threads_that_wait_return_when_the_mark_comes_to_their_seqno() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let waiters = [1, 2, 2, 5, 9].map(|seqno| {
                let shard = &shard;
                s.spawn(move || (seqno, shard.wait_for(seqno)))
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
                assert_eq!(shard.wait_for(seqno), Ok(seqno));
            }
        });
    });
}

/// The word beside the mark keeps its highest bit for itself.
#[test]
fn seqnos_up_to_the_last_can_be_awaited() {
    const HIGH: u64 = 1 << 63;
    let targets = [HIGH - 2, HIGH - 1, HIGH, HIGH + 1, HIGH + 5, u64::MAX - 1, u64::MAX];
    let (_state, shard) = single();
    let mut waiting: Vec<_> = targets
        .iter()
        .map(|seqno| {
            let (counter, waker) = counting();
            let mut reached = shard.reached(*seqno);
            assert_eq!(poll(&mut reached, &waker), Poll::Pending);
            (reached, counter, waker)
        })
        .collect();
    for to in [3, HIGH - 3].into_iter().chain(targets) {
        assert!(matches!(shard.advance(to), Advance::Advanced { .. }));
        for (reached, counter, _) in &waiting {
            assert_eq!(counter.count(), usize::from(reached.seqno() <= to), "at {to}");
        }
    }
    for (reached, _, waker) in &mut waiting {
        assert_eq!(poll(reached, waker), Poll::Ready(Ok(u64::MAX)));
    }
    assert_eq!(shard.wait_for(u64::MAX), Ok(u64::MAX));
}

#[test]
fn one_advance_wakes_any_number_at_once() {
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
fn who_waits_on_one_shard_is_not_woken_by_another() {
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
fn an_unknown_shard_is_told_by_every_way_to_wait() {
    let (state, _) = single();
    let unknown = ShardId(9);
    let (_, waker) = counting();
    let expected = Err(WaitError::UnknownShard);
    assert_eq!(state.wait_for(unknown, 0), expected);
    assert_eq!(state.wait_for_timeout(unknown, 0, Duration::MAX), expected);
    let mut reached = state.reached(unknown, 0);
    assert_eq!(poll(&mut reached, &waker), Poll::Ready(expected));
    state.add_shard(NewShard::new(unknown)).unwrap();
    assert_eq!(poll(&mut reached, &waker), Poll::Ready(expected), "it asked before");
    assert_eq!(state.wait_for(unknown, 0), Ok(0));
}

#[test]
fn futures_and_changes_go_between_threads_and_need_no_pinning() {
    fn free<T: Send + Sync + Unpin + 'static>() {}
    fn send<T: Send>(_: T) {}
    free::<Reached>();
    free::<Changes>();
    free::<WaitError>();
    let (_state, shard) = single();
    send(shard.changes().next());
}

#[test]
fn debug_and_display_tell_what_is_awaited_and_why_it_ended() {
    let (state, shard) = single();
    shard.advance(2);
    let (_, waker) = counting();
    let mut reached = shard.reached(5);
    assert!(poll(&mut reached, &waker).is_pending());
    let text = format!("{reached:?}");
    assert!(text.contains("applied: 2") && text.contains("seqno: 5"), "{text}");
    assert!(text.contains("waiting: true"), "{text}");
    assert!(format!("{:?}", state.reached(ShardId(4), 5)).contains("shard: None"));
    let mut changes = shard.changes();
    assert_eq!(changes.wait_next(), Ok(2));
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
