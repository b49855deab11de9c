//! A wait with a timeout or a deadline ends, with one result.

use std::sync::Barrier;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::{ends, poll, single};
use repl_core::{ApplyWindow, ClaimError, ShardId, Snapshot, WaitError};

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let (state, shard) = single();
    let timeout = Duration::from_millis(15);
    let start = Instant::now();
    assert_eq!(shard.reached(1).wait_timeout(timeout), Err(WaitError::Timeout));
    assert!(start.elapsed() >= timeout);
    let start = Instant::now();
    let by_id = state.reached(ShardId::SINGLE, 1).wait_timeout(timeout);
    assert_eq!(by_id, Err(WaitError::Timeout));
    assert!(start.elapsed() >= timeout);
}

#[test]
fn a_timeout_of_zero_returns_at_once() {
    let (_state, shard) = single();
    assert_eq!(shard.reached(1).wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
    shard.advance(1);
    assert_eq!(shard.reached(1).wait_timeout(Duration::ZERO), Ok(1));
    assert_eq!(shard.reached(2).wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

#[test]
fn the_longest_timeout_waits_for_ever() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let waiter = s.spawn(|| shard.reached(3).wait_timeout(Duration::MAX));
            thread::sleep(Duration::from_millis(10));
            shard.advance(2);
            thread::sleep(Duration::from_millis(10));
            assert!(!waiter.is_finished());
            shard.advance(3);
            assert_eq!(waiter.join().unwrap(), Ok(3));
        });
    });
}

#[test]
fn an_advance_below_its_seqno_does_not_extend_a_wait() {
    let (_state, shard) = single();
    let result = thread::scope(|s| {
        let waiter = s.spawn(|| shard.reached(1_000_000).wait_timeout(Duration::from_millis(20)));
        let mut seqno = 0;
        while !waiter.is_finished() {
            seqno += 1;
            shard.advance(seqno.min(999_999));
        }
        waiter.join().unwrap()
    });
    assert_eq!(result, Err(WaitError::Timeout));
}

#[test]
fn a_timeout_that_races_an_advance_gives_one_result_and_leaves_nothing() {
    const ROUNDS: u64 = 2_000;
    let (_state, shard) = single();
    let (mut reached, mut timed_out) = (0, 0);
    let turn = Barrier::new(2);
    thread::scope(|s| {
        s.spawn(|| {
            for seqno in 1..=ROUNDS {
                turn.wait();
                if seqno % 3 == 0 {
                    thread::sleep(Duration::from_micros(seqno % 200));
                }
                shard.advance(seqno);
                turn.wait();
            }
        });
        for seqno in 1..=ROUNDS {
            turn.wait();
            let result = shard.reached(seqno).wait_timeout(Duration::from_micros(seqno % 150));
            let at = shard.applied();
            turn.wait();
            match result {
                Ok(mark) => {
                    assert_eq!((mark, at), (seqno, seqno));
                    reached += 1;
                }
                Err(error) => {
                    assert_eq!(error, WaitError::Timeout);
                    timed_out += 1;
                }
            }
            assert_eq!(shard.reached(seqno).wait_timeout(Duration::ZERO), Ok(seqno));
        }
    });
    assert_eq!(reached + timed_out, ROUNDS);
}

/// A deadline that has passed.
fn past() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_millis(50)).unwrap_or(now)
}

#[test]
fn a_deadline_in_the_past_returns_at_once_with_the_right_result() {
    let (state, shard) = single();
    shard.advance(3);
    let window = ApplyWindow::new(shard.clone(), 2).unwrap();
    let written = |mark| Snapshot::from_iter([(ShardId::SINGLE, mark)]);
    let (mut changes, mut awaited) = (shard.changes(), shard.awaited_changes());
    let start = Instant::now();

    assert_eq!(shard.reached(3).wait_deadline(past()), Ok(3));
    assert_eq!(shard.reached(4).wait_deadline(past()), Err(WaitError::Timeout));
    assert_eq!(state.reached(ShardId::SINGLE, 3).wait_deadline(past()), Ok(3));
    let unknown = state.reached(ShardId(9), 0).wait_deadline(past());
    assert_eq!(unknown, Err(WaitError::UnknownShard));
    assert_eq!(state.reached_all(&written(3)).wait_deadline(past()), Ok(()));
    let all = state.reached_all(&written(4)).wait_deadline(past()).unwrap_err();
    assert_eq!((all.shard, all.reason), (ShardId::SINGLE, WaitError::Timeout));
    assert_eq!(changes.next().wait_deadline(past()), Ok(3));
    assert_eq!(changes.next().wait_deadline(past()), Err(WaitError::Timeout));
    assert_eq!(awaited.next().wait_deadline(past()), Ok(None));
    assert_eq!(awaited.next().wait_deadline(past()), Err(WaitError::Timeout));
    assert_eq!(window.claim(5).wait_deadline(past()).unwrap().seqno(), 5);
    assert_eq!(window.claim(6).wait_deadline(past()).unwrap_err(), ClaimError::Timeout);
    assert_eq!(window.room_for(5).wait_deadline(past()), Ok(3));
    assert_eq!(window.room_for(6).wait_deadline(past()), Err(WaitError::Timeout));

    let mut reached = shard.reached(4);
    assert!(poll(&mut reached, Waker::noop()).is_pending());
    shard.advance(4);
    assert_eq!(reached.wait_deadline(past()), Ok(4), "it was reached meanwhile");
    state.close();
    assert_eq!(shard.reached(9).wait_deadline(past()), Err(WaitError::Closed));
    state.remove_shard(ShardId::SINGLE).unwrap();
    assert_eq!(shard.reached(3).wait_deadline(past()), Err(WaitError::Removed));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 2).unwrap();
    let deadline = || Instant::now() + Duration::from_millis(15);
    let (mut changes, mut awaited) = (shard.changes(), shard.awaited_changes());
    assert_eq!((changes.next().wait(), awaited.next().wait()), (Ok(0), Ok(None)));
    let at = deadline();
    assert_eq!(shard.reached(1).wait_deadline(at), Err(WaitError::Timeout));
    assert!(Instant::now() >= at);
    let at = deadline();
    assert_eq!(changes.next().wait_deadline(at), Err(WaitError::Timeout));
    assert!(Instant::now() >= at);
    let at = deadline();
    assert_eq!(awaited.next().wait_deadline(at), Err(WaitError::Timeout));
    assert!(Instant::now() >= at);
    let at = deadline();
    assert_eq!(window.claim(3).wait_deadline(at).unwrap_err(), ClaimError::Timeout);
    assert!(Instant::now() >= at);
}

#[test]
fn a_wait_with_a_deadline_returns_once_its_seqno_is_reached() {
    let (_state, shard) = single();
    ends(move || {
        let deadline = Instant::now() + Duration::from_secs(60);
        thread::scope(|s| {
            let waiter = s.spawn(|| shard.reached(3).wait_deadline(deadline));
            thread::sleep(Duration::from_millis(5));
            shard.advance(2);
            thread::sleep(Duration::from_millis(5));
            assert!(!waiter.is_finished());
            shard.advance(3);
            assert_eq!(waiter.join().unwrap(), Ok(3));
        });
    });
}
