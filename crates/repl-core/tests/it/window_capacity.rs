//! Beyond the capacity of a window a call fails or waits for room, and nothing is dropped.

use std::thread;
use std::time::Duration;

use crate::{above, complete_each, complete_when_room, ends, single};
use repl_core::{
    ApplyWindow, ClaimError, CompleteError, Completion, NewShard, ReplicationState, Shard, ShardId,
    WaitError, WindowError, WindowFull,
};

fn window(capacity: u64) -> (ReplicationState, ApplyWindow, Shard) {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), capacity).unwrap();
    (state, window, shard)
}

#[test]
fn beyond_the_capacity_the_error_names_the_mark_to_wait_for() {
    for capacity in [1, 2, 3, 4, 5, 70, 16_383, 16_384, 16_385, 20_000] {
        let (_state, window, shard) = window(capacity);
        assert_eq!(window.capacity(), capacity);
        for mark in [0, 1, 7, 100_000] {
            shard.advance(mark);
            let seqno = mark + capacity;
            drop(window.try_claim(seqno).unwrap());
            for (over, resume_at) in [(seqno + 1, mark + 1), (seqno + 10, mark + 10)] {
                let full = WindowFull { seqno: over, resume_at };
                assert_eq!(window.try_claim(over).unwrap_err(), ClaimError::Full(full));
                assert_eq!(window.complete(over), Err(CompleteError::Full(full)));
                assert_eq!(window.skip(over..=over + 5), Err(CompleteError::Full(full)));
                assert!(!window.shard().contains(over));
            }
            assert_eq!(
                (above(window.shard()), window.shard().applied_set().highest()),
                (vec![], mark)
            );
        }
    }
}

#[test]
fn a_seqno_fits_once_the_mark_is_at_resume_at() {
    let (_state, window, shard) = window(10);
    let Err(CompleteError::Full(full)) = window.complete(25) else { panic!("it fits") };
    shard.advance(full.resume_at - 1);
    assert_eq!(window.complete(25), Err(full.into()));
    shard.advance(full.resume_at);
    let mark = full.resume_at;
    assert_eq!(window.complete(25), Ok(Completion::Completed { mark }));
}

#[test]
fn a_full_window_loses_no_completion() {
    let (_state, window, shard) = window(64);
    complete_each(&window, 2..=64);
    (65..=200).for_each(|seqno| assert!(window.complete(seqno).is_err()));
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: 64 }));
    assert!(!window.shard().contains(65));
    complete_each(&window, 66..=128);
    assert_eq!(window.complete(65), Ok(Completion::Completed { mark: 128 }));
    assert_eq!(shard.applied(), 128);
}

#[test]
fn a_skip_may_end_beyond_the_capacity() {
    let (_state, window, shard) = window(5);
    assert_eq!(window.skip(5..=500), Ok(Completion::Completed { mark: 0 }));
    let already = Completion::AlreadyCompleted { mark: 0 };
    assert_eq!(window.skip(6..=9), Ok(already), "completed, although beyond the capacity");
    assert_eq!(window.complete(6), Ok(already));
    assert_eq!(window.try_claim(6).unwrap_err(), ClaimError::AlreadyCompleted);
    assert!(window.skip(6..=501).is_err());
    complete_each(&window, 1..=4);
    assert_eq!(shard.applied(), 500);
}

#[test]
fn a_capacity_of_1_takes_the_next_seqno_only() {
    let (_state, window, shard) = window(1);
    for seqno in 1..=100 {
        assert!(window.complete(seqno + 1).is_err());
        let claim = window.try_claim(seqno).unwrap();
        assert_eq!(claim.complete(), Ok(Completion::Completed { mark: seqno }));
    }
    assert_eq!(shard.applied(), 100);
}

#[test]
fn a_capacity_of_u64_max_is_never_full() {
    let (_state, window, shard) = window(u64::MAX);
    for seqno in [u64::MAX, u64::MAX - 3, 16_385, 16_384, 2] {
        window.try_claim(seqno).unwrap().complete().unwrap();
    }
    assert_eq!(above(window.shard()).len(), 4);
    shard.advance(u64::MAX - 2);
    assert_eq!(shard.applied(), u64::MAX - 2);
    assert_eq!(window.complete(u64::MAX - 1), Ok(Completion::Completed { mark: u64::MAX }));
}

#[test]
fn no_window_has_a_capacity_of_0() {
    let (_state, shard) = single();
    let error = ApplyWindow::new(shard, 0).unwrap_err();
    assert_eq!(error, WindowError::NoCapacity);
    assert!(error.to_string().contains("at least 1"));
}

#[test]
fn blocked_callers_go_on_once_there_is_room() {
    let (_state, window, shard) = window(2);
    ends(move || {
        thread::scope(|s| {
            let completes = s.spawn(|| complete_when_room(&window, 6));
            let claims = s.spawn(|| window.claim(5).wait().map(|claim| claim.seqno()));
            thread::sleep(Duration::from_millis(5));
            shard.advance(2);
            thread::sleep(Duration::from_millis(5));
            assert!(!completes.is_finished() && !claims.is_finished());
            assert_eq!(window.complete(3), Ok(Completion::Completed { mark: 3 }));
            assert_eq!(claims.join().unwrap().unwrap(), 5);
            assert!(!completes.is_finished());
            assert_eq!(window.complete(4), Ok(Completion::Completed { mark: 4 }));
            assert_eq!(completes.join().unwrap(), Completion::Completed { mark: 4 });
            assert_eq!(window.complete(5), Ok(Completion::Completed { mark: 6 }));
        });
    });
}

#[test]
fn nothing_blocks_while_there_is_room() {
    let (state, window, _) = window(2);
    state.close();
    assert_eq!(window.room_for(2).wait(), Ok(0));
    assert_eq!(window.complete(2), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(window.claim(2).wait().unwrap_err(), ClaimError::AlreadyCompleted);
    let claim = window.claim(1).wait().unwrap();
    assert_eq!(window.claim(1).wait().unwrap_err(), ClaimError::Claimed);
    assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 2 }));
}

#[test]
fn close_and_removal_end_waits_for_room() {
    type End = fn(&ReplicationState);
    let removed = (WaitError::Removed, ClaimError::Removed);
    let ends_with: [(End, (WaitError, ClaimError)); 3] = [
        (ReplicationState::close, (WaitError::Closed, ClaimError::Closed)),
        (|state| drop(state.remove_shard(ShardId::SINGLE)), removed),
        (|state| drop(state.reset_shard(NewShard::new(ShardId::SINGLE))), removed),
    ];
    for (end, (wait_error, claim_error)) in ends_with {
        let (state, window, _) = window(2);
        ends(move || {
            thread::scope(|s| {
                let blocked = s.spawn(|| window.room_for(9).wait());
                let claiming = s.spawn(|| window.claim(9).wait().map(drop));
                thread::sleep(Duration::from_millis(5));
                end(&state);
                assert_eq!(blocked.join().unwrap(), Err(wait_error));
                assert_eq!(claiming.join().unwrap(), Err(claim_error));
            });
            assert!(!window.shard().contains(9));
            assert_eq!(window.room_for(9).wait(), Err(wait_error), "afterwards too");
            assert_eq!(window.claim(9).wait().unwrap_err(), claim_error);
        });
    }
}

#[test]
fn debug_output_shows_the_mark_and_the_capacity() {
    let (_state, window, _) = window(8);
    window.complete(3).unwrap();
    let text = format!("{window:?}");
    assert!(text.contains("applied: 0") && text.contains("capacity: 8"), "{text}");
    assert_eq!(repl_core::SeqRange::new(3, 9).to_string(), "3..=9");
    let full: Box<dyn std::error::Error> = window.complete(99).unwrap_err().into();
    assert!(full.to_string().contains("reach 91"), "{full}");
}
