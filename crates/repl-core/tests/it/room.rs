//! Claiming waits for room in the window, and `room_for` waits for room alone.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::{complete_each, counting, ends, poll, single};
use repl_core::{
    ApplyWindow, Claim, ClaimError, Claiming, CompleteError, Completion, Shard, WaitError,
    WindowError,
};

const SHORT: Duration = Duration::from_millis(2);

fn window(capacity: u64) -> (ApplyWindow, Shard) {
    let (_state, shard) = single();
    (ApplyWindow::new(shard.clone(), capacity).unwrap(), shard)
}

/// The seqno of a claim, or its error.
fn seqno(claimed: &Result<Claim, ClaimError>) -> Result<u64, ClaimError> {
    claimed.as_ref().map(Claim::seqno).map_err(|error| *error)
}

#[test]
fn a_claim_does_nothing_until_it_is_polled() {
    let (window, shard) = window(2);
    let claiming = window.claim(1);
    let beyond = window.claim(9);
    assert_eq!(shard.awaited(), None);
    let claim = window.try_claim(1).unwrap();
    assert_eq!(claiming.wait().unwrap_err(), ClaimError::Claimed);
    drop((claim, beyond));
    assert!(window.try_claim(1).is_ok());
}

#[test]
fn a_claim_within_the_capacity_is_ready_at_the_first_poll() {
    let (window, _) = window(2);
    let Poll::Ready(claim) = poll(&mut window.claim(2), Waker::noop()) else { panic!("pending") };
    assert_eq!(claim.unwrap().complete(), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(window.claim(1).wait_timeout(Duration::ZERO).unwrap().seqno(), 1);
    assert_eq!(window.claim(1).wait_deadline(Instant::now()).unwrap().seqno(), 1);
}

#[test]
fn a_claim_is_woken_once_there_is_room_and_not_before() {
    let (window, shard) = window(2);
    let (counter, waker) = counting();
    let mut claiming = window.claim(5);
    assert!(poll(&mut claiming, &waker).is_pending());
    complete_each(&window, 1..=2);
    assert_eq!((counter.count(), shard.awaited()), (0, Some(3)));
    window.complete(3).unwrap();
    assert_eq!(counter.count(), 1);
    let Poll::Ready(Ok(claim)) = poll(&mut claiming, &waker) else { panic!("there is room") };
    assert_eq!(window.try_claim(5).unwrap_err(), ClaimError::Claimed);
    window.complete(4).unwrap();
    assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 5 }));
}

#[test]
fn a_claim_that_another_applier_overtakes_fails() {
    let (window, shard) = window(2);
    let mut waiting = [5, 4].map(|seqno| window.claim(seqno));
    assert!(waiting.iter_mut().all(|claiming| poll(claiming, Waker::noop()).is_pending()));
    shard.advance(3);
    let _claim = window.try_claim(5).unwrap();
    window.complete(4).unwrap();
    let [claimed, completed] = waiting;
    assert_eq!(claimed.wait().unwrap_err(), ClaimError::Claimed);
    assert_eq!(completed.wait().unwrap_err(), ClaimError::AlreadyCompleted);
}

#[test]
fn a_dropped_or_timed_out_claim_leaves_nothing_behind() {
    let (window, shard) = window(2);
    let (counter, waker) = counting();
    let mut claiming = window.claim(9);
    assert!(poll(&mut claiming, &waker).is_pending());
    assert_eq!((Arc::strong_count(&counter), shard.awaited()), (3, Some(7)));
    drop(claiming);
    assert_eq!((Arc::strong_count(&counter), shard.awaited()), (2, None));
    assert_eq!(window.claim(9).wait_timeout(SHORT).unwrap_err(), ClaimError::Timeout);
    let past = Instant::now();
    assert_eq!(window.claim(9).wait_deadline(past).unwrap_err(), ClaimError::Timeout);
    assert_eq!(shard.awaited(), None);
    shard.advance(7);
    assert_eq!(window.try_claim(9).unwrap().seqno(), 9);
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_claim_that_waits_keeps_its_window_open() {
    let (window, shard) = window(2);
    let mut claiming = window.claim(5);
    assert!(poll(&mut claiming, Waker::noop()).is_pending());
    drop(window);
    let error = ApplyWindow::new(shard.clone(), 2).unwrap_err();
    assert_eq!(error, WindowError::AlreadyOpen);
    shard.advance(4);
    let claim = claiming.wait().unwrap();
    assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 5 }));
    assert!(ApplyWindow::new(shard, 2).is_ok());
}

#[test]
fn closing_the_shard_ends_the_wait_for_room_but_no_claim_within_the_capacity() {
    let (window, shard) = window(2);
    let (counter, waker) = counting();
    let mut claiming = window.claim(9);
    assert!(poll(&mut claiming, &waker).is_pending());
    shard.close();
    assert_eq!(counter.count(), 1);
    let Poll::Ready(claimed) = poll(&mut claiming, &waker) else { panic!("closed") };
    assert_eq!(seqno(&claimed), Err(ClaimError::Closed));
    assert_eq!(window.room_for(9).wait(), Err(WaitError::Closed));
    assert_eq!(window.claim(2).wait().unwrap().seqno(), 2);
    assert_eq!(window.claim(9).wait().unwrap_err(), ClaimError::Closed);
}

#[test]
fn room_for_a_seqno_is_there_once_it_can_be_completed() {
    for capacity in [1, 3, 70] {
        let (window, shard) = window(capacity);
        for seqno in 0..=capacity {
            assert_eq!(window.room_for(seqno).wait_timeout(Duration::ZERO), Ok(0));
        }
        let seqno = capacity + 4;
        let mut room = window.room_for(seqno);
        for mark in 0..4 {
            shard.advance(mark);
            assert!(poll(&mut room, Waker::noop()).is_pending(), "at {mark}");
            assert!(matches!(window.complete(seqno), Err(CompleteError::Full(_))));
        }
        shard.advance(4);
        assert_eq!(poll(&mut room, Waker::noop()), Poll::Ready(Ok(4)));
        assert!(window.complete(seqno).is_ok());
    }
    let (window, _) = window(u64::MAX);
    assert_eq!(window.room_for(u64::MAX).wait(), Ok(0));
}

#[test]
fn a_full_error_names_the_mark_that_room_for_waits_for() {
    let (window, shard) = window(10);
    let Err(CompleteError::Full(full)) = window.complete(25) else { panic!("it fits") };
    let mut room = window.room_for(full.seqno);
    assert!(poll(&mut room, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(full.resume_at));
}

#[test]
fn claims_run_under_tokio_with_a_timeout() {
    let (window, shard) = window(2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert!(tokio::time::timeout(SHORT, window.claim(3)).await.is_err());
        assert_eq!(shard.awaited(), None, "the wait that timed out left nothing");
        let mut kept = window.claim(3);
        assert!(tokio::time::timeout(SHORT, &mut kept).await.is_err());
        let task = tokio::spawn(kept);
        tokio::time::sleep(SHORT).await;
        assert!(!task.is_finished());
        window.claim(1).await.unwrap().complete().unwrap();
        let claim = task.await.unwrap().unwrap();
        assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 1 }));
        assert_eq!(window.room_for(3).await, Ok(1));
    });
}

#[test]
fn claims_run_under_smol() {
    const LAST: u64 = 500;
    let (window, shard) = window(3);
    let window = Arc::new(window);
    ends(move || {
        let appliers: Vec<_> = (1..=4)
            .map(|first| {
                let window = Arc::clone(&window);
                smol::spawn(async move {
                    for seqno in (first..=LAST).step_by(4) {
                        window.claim(seqno).await.unwrap().complete().unwrap();
                    }
                })
            })
            .collect();
        smol::block_on(async {
            for applier in appliers {
                applier.await;
            }
        });
        assert_eq!(shard.applied(), LAST);
    });
}

#[test]
fn claiming_threads_go_through_a_narrow_window_in_any_order() {
    const LAST: u64 = 2_000;
    let (window, shard) = window(2);
    ends(move || {
        thread::scope(|s| {
            for first in 1..=3 {
                let window = &window;
                s.spawn(move || {
                    for seqno in (first..=LAST).step_by(3) {
                        window.claim(seqno).wait().unwrap().complete().unwrap();
                    }
                });
            }
        });
        assert_eq!(shard.applied(), LAST);
    });
}

#[test]
fn claiming_futures_are_send_sync_and_unpin() {
    fn free<T: Send + Sync + Unpin + 'static>() {}
    free::<Claiming>();
}
