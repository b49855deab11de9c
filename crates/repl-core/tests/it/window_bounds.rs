//! Over a window's capacity nothing is dropped: who comes too early is told where to go on, or
//! waits.

use std::thread;
use std::time::Duration;

use crate::{complete_each, ends, single};
use repl_core::{
    ApplyWindow, ClaimError, Completion, NewShard, ReplicationState, Shard, ShardId, WaitError,
    WindowError, WindowFull,
};

fn window(capacity: u64) -> (ReplicationState, ApplyWindow, Shard) {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), capacity).unwrap();
    (state, window, shard)
}

#[test]
fn beyond_the_capacity_the_answer_names_where_to_go_on() {
    for capacity in [1, 2, 3, 4, 5, 70, 16_383, 16_384, 16_385, 20_000] {
        let (_state, window, shard) = window(capacity);
        assert_eq!(window.capacity(), capacity);
        for mark in [0, 1, 7, 100_000] {
            shard.advance(mark);
            let seqno = mark + capacity;
            drop(window.claim(seqno).unwrap());
            for (over, resume_at) in [(seqno + 1, mark + 1), (seqno + 10, mark + 10)] {
                let full = WindowFull { seqno: over, resume_at };
                assert_eq!(window.claim(over).unwrap_err(), ClaimError::Full(full));
                assert_eq!(window.complete(over), Err(full));
                assert_eq!(window.skip(over..=over + 5), Err(full));
                assert!(!window.contains(over));
            }
            assert_eq!((window.pending(), window.highest()), (vec![], mark));
        }
    }
}

#[test]
fn where_the_mark_comes_to_resume_at_the_seqno_fits() {
    let (_state, window, shard) = window(10);
    let full = window.complete(25).unwrap_err();
    shard.advance(full.resume_at - 1);
    assert_eq!(window.complete(25), Err(full));
    shard.advance(full.resume_at);
    let mark = full.resume_at;
    assert_eq!(window.complete(25), Ok(Completion::Completed { mark }));
}

#[test]
fn what_was_completed_before_the_window_was_full_is_still_there() {
    let (_state, window, shard) = window(64);
    complete_each(&window, 2..=64);
    (65..=200).for_each(|seqno| assert!(window.complete(seqno).is_err()));
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: 64 }));
    assert!(!window.contains(65));
    complete_each(&window, 66..=128);
    assert_eq!(window.complete(65), Ok(Completion::Completed { mark: 128 }));
    assert_eq!(shard.applied(), 128);
}

#[test]
fn a_skip_may_end_beyond_the_capacity() {
    let (_state, window, shard) = window(5);
    assert_eq!(window.skip(5..=500), Ok(Completion::Completed { mark: 0 }));
    let already = Completion::AlreadyCompleted { mark: 0 };
    assert_eq!(window.skip(6..=9), Ok(already), "completed, though over capacity");
    assert_eq!(window.complete(6), Ok(already));
    assert_eq!(window.claim(6).unwrap_err(), ClaimError::AlreadyCompleted);
    assert!(window.skip(6..=501).is_err());
    complete_each(&window, 1..=4);
    assert_eq!(shard.applied(), 500);
}

#[test]
fn a_capacity_of_1_takes_the_next_seqno_only() {
    let (_state, window, shard) = window(1);
    for seqno in 1..=100 {
        assert!(window.complete(seqno + 1).is_err());
        let claim = window.claim(seqno).unwrap();
        assert_eq!(claim.complete(), Completion::Completed { mark: seqno });
    }
    assert_eq!(shard.applied(), 100);
}

#[test]
fn a_capacity_of_u64_max_is_never_full() {
    let (_state, window, shard) = window(u64::MAX);
    for seqno in [u64::MAX, u64::MAX - 3, 16_385, 16_384, 2] {
        window.claim(seqno).unwrap().complete();
    }
    assert_eq!(window.pending().len(), 4);
    shard.advance(u64::MAX - 2);
    assert_eq!(shard.applied(), u64::MAX - 2);
    assert_eq!(window.complete(u64::MAX - 1), Ok(Completion::Completed { mark: u64::MAX }));
}

#[test]
fn no_window_has_a_capacity_of_0() {
    let (_state, shard) = single();
    let error = ApplyWindow::new(shard.clone(), 0).unwrap_err();
    assert_eq!(error, WindowError::NoCapacity);
    assert_eq!(ApplyWindow::restore(shard, 0, &[]).unwrap_err(), WindowError::NoCapacity);
    assert!(error.to_string().contains("at least 1"));
}

#[test]
fn who_blocks_goes_on_when_room_comes() {
    let (_state, window, shard) = window(2);
    ends(move || {
        thread::scope(|s| {
            let completes = s.spawn(|| window.complete_blocking(6));
            let claims = s.spawn(|| window.claim_blocking(5).map(|claim| claim.seqno()));
            thread::sleep(Duration::from_millis(5));
            shard.advance(2);
            thread::sleep(Duration::from_millis(5));
            assert!(!completes.is_finished() && !claims.is_finished());
            assert_eq!(window.complete(3), Ok(Completion::Completed { mark: 3 }));
            assert_eq!(claims.join().unwrap().unwrap(), 5);
            assert!(!completes.is_finished());
            assert_eq!(window.complete(4), Ok(Completion::Completed { mark: 4 }));
            assert_eq!(completes.join().unwrap(), Ok(Completion::Completed { mark: 4 }));
            assert_eq!(window.complete(5), Ok(Completion::Completed { mark: 6 }));
        });
    });
}

#[test]
fn where_there_is_room_nobody_blocks() {
    let (state, window, _) = window(2);
    state.close();
    assert_eq!(window.complete_blocking(2), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(window.claim_blocking(2).unwrap_err(), ClaimError::AlreadyCompleted);
    let claim = window.claim_blocking(1).unwrap();
    assert_eq!(window.claim_blocking(1).unwrap_err(), ClaimError::Claimed);
    assert_eq!(claim.complete(), Completion::Completed { mark: 2 });
}

#[test]
fn who_blocks_is_told_of_close_and_removal() {
    type End = fn(&ReplicationState);
    let ends_with: [(End, WaitError); 3] = [
        (ReplicationState::close, WaitError::Closed),
        (|state| drop(state.remove_shard(ShardId::SINGLE)), WaitError::Removed),
        (|state| drop(state.reset_shard(NewShard::new(ShardId::SINGLE))), WaitError::Removed),
    ];
    for (end, why) in ends_with {
        let (state, window, _) = window(2);
        let completed = if why == WaitError::Removed { Ok(Completion::Removed) } else { Err(why) };
        ends(move || {
            thread::scope(|s| {
                let blocked = s.spawn(|| window.complete_blocking(9));
                let claiming = s.spawn(|| window.claim_blocking(9).map(drop));
                thread::sleep(Duration::from_millis(5));
                end(&state);
                assert_eq!(blocked.join().unwrap(), completed);
                assert_eq!(claiming.join().unwrap(), Err(ClaimError::Ended(why)));
            });
            assert!(!window.contains(9));
            assert_eq!(window.complete_blocking(9), completed, "afterwards too");
            assert_eq!(window.claim_blocking(9).unwrap_err(), ClaimError::Ended(why));
        });
    }
}

#[test]
fn debug_output_shows_what_is_pending() {
    let (_state, window, _) = window(8);
    window.complete(3).unwrap();
    let text = format!("{window:?}");
    assert!(text.contains("applied: 0") && text.contains("capacity: 8"), "{text}");
    assert!(text.contains("first: 3, last: 3"), "{text}");
    assert_eq!(repl_core::SeqRange::new(3, 9).to_string(), "3..=9");
    let full: Box<dyn std::error::Error> = window.complete(99).unwrap_err().into();
    assert!(full.to_string().contains("reach 91"), "{full}");
}
