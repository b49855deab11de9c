//! A wait with a timeout ends, with one result.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::{ends, single};
use repl_core::{ShardId, WaitError};

#[test]
fn a_wait_that_is_not_fulfilled_ends_when_its_time_is_up() {
    let (state, shard) = single();
    let timeout = Duration::from_millis(15);
    let start = Instant::now();
    assert_eq!(shard.wait_for_timeout(1, timeout), Err(WaitError::Timeout));
    assert!(start.elapsed() >= timeout);
    let start = Instant::now();
    let by_id = state.wait_for_timeout(ShardId::SINGLE, 1, timeout);
    assert_eq!(by_id, Err(WaitError::Timeout));
    assert!(start.elapsed() >= timeout);
}

#[test]
fn a_timeout_of_zero_only_looks() {
    let (_state, shard) = single();
    assert_eq!(shard.wait_for_timeout(1, Duration::ZERO), Err(WaitError::Timeout));
    shard.advance(1);
    assert_eq!(shard.wait_for_timeout(1, Duration::ZERO), Ok(1));
    assert_eq!(shard.wait_for_timeout(2, Duration::ZERO), Err(WaitError::Timeout));
}

#[test]
fn the_longest_timeout_waits_for_ever() {
    let (_state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            let waiter = s.spawn(|| shard.wait_for_timeout(3, Duration::MAX));
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
fn an_advance_that_does_not_reach_it_does_not_prolong_a_wait() {
    let (_state, shard) = single();
    let result = thread::scope(|s| {
        let waiter = s.spawn(|| shard.wait_for_timeout(1_000_000, Duration::from_millis(20)));
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
            let result = shard.wait_for_timeout(seqno, Duration::from_micros(seqno % 150));
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
            assert_eq!(shard.wait_for_timeout(seqno, Duration::ZERO), Ok(seqno));
        }
    });
    assert_eq!(reached + timed_out, ROUNDS);
}
