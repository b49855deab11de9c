//! What is completed outlives the window it was completed in, and not the life of its shard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::{StopAtEnd, counting, poll, single};
use repl_core::{
    Advance, AppliedSet, ApplyWindow, Claim, ClaimError, Completion, NewShard, ReplicationState,
    SeqRange, Shard, ShardId, WaitError, WindowError,
};

const SHARD: ShardId = ShardId::SINGLE;

fn ranges(of: &[(u64, u64)]) -> Vec<SeqRange> {
    of.iter().map(|(first, last)| SeqRange::new(*first, *last)).collect()
}

/// A window with the mark at 4, and completed above it seqnos near and far, and skips.
fn busy(shard: &Shard) -> (ApplyWindow, Vec<SeqRange>) {
    let window = ApplyWindow::new(shard.clone(), u64::MAX).unwrap();
    for seqno in [1, 2, 3, 4, 6, 7, 9, 16_388, 16_389, 70_000] {
        window.complete(seqno).unwrap();
    }
    window.skip(100..=200).unwrap();
    window.skip(u64::MAX - 9..=u64::MAX).unwrap();
    let above = [(6, 7), (9, 9), (100, 200), (16_388, 16_389), (70_000, 70_000)];
    let above = [ranges(&above), ranges(&[(u64::MAX - 9, u64::MAX)])].concat();
    assert_eq!(window.pending(), above);
    (window, above)
}

#[test]
fn a_shard_has_one_window_at_a_time() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    for _ in 0..2 {
        let error = ApplyWindow::new(shard.clone(), 8).unwrap_err();
        assert_eq!(error, WindowError::AlreadyOpen);
        assert!(error.to_string().contains("drop them first"));
    }
    let restored = ApplyWindow::restore(shard.clone(), 8, &ranges(&[(2, 3)]));
    assert_eq!(restored.unwrap_err(), WindowError::AlreadyOpen);
    assert_eq!(window.pending(), [], "nothing was restored");
    window.complete(2).unwrap();
    assert_eq!(shard.advance(1), Advance::Advanced { from: 0 });
    assert_eq!(shard.applied(), 2, "the refused one did not take its place");
    drop(window);
    assert!(ApplyWindow::new(shard, 8).is_ok());
}

#[test]
fn while_claims_are_held_there_is_no_second_window() {
    let ways: [fn(Claim); 2] = [drop, |claim| _ = claim.complete()];
    for end in ways {
        let (_state, shard) = single();
        let window = ApplyWindow::new(shard.clone(), 8).unwrap();
        let claim = window.claim(1).unwrap();
        drop(window);
        let refused = ApplyWindow::new(shard.clone(), 8).unwrap_err();
        assert_eq!(refused, WindowError::AlreadyOpen);
        end(claim);
        assert!(ApplyWindow::new(shard, 8).is_ok());
    }
}

#[test]
fn a_new_window_has_what_was_completed_in_the_old_one() {
    let (_state, shard) = single();
    let (window, above) = busy(&shard);
    let claim = window.claim(5).unwrap();
    drop(window);
    assert_eq!(shard.completed(), AppliedSet::new(4, above.clone()));
    drop(claim);
    assert_eq!(shard.completed(), AppliedSet::new(4, above.clone()), "without any window too");

    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    assert_eq!((window.pending(), window.highest()), (above, u64::MAX));
    for seqno in [6, 7, 9] {
        assert_eq!(window.claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
        let done = window.complete(seqno);
        assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: 4 }));
    }
    assert!(!window.contains(5) && !window.contains(8));
    assert_eq!(window.claim(5).unwrap().complete(), Completion::Completed { mark: 7 });
    assert_eq!(window.complete(8), Ok(Completion::Completed { mark: 9 }));
}

#[test]
fn without_a_window_the_mark_moves_over_what_was_completed_in_it() {
    let (_state, shard) = single();
    drop(busy(&shard));
    let (counter, waker) = counting();
    let mut reached = shard.reached(7);
    assert!(poll(&mut reached, &waker).is_pending());
    assert_eq!(shard.advance(5), Advance::Advanced { from: 4 });
    assert_eq!((shard.applied(), counter.count()), (7, 1));
    shard.advance(150);
    assert_eq!(shard.applied(), 200);
    shard.complete(SeqRange::new(201, 16_387));
    assert_eq!(shard.applied(), 16_389);
    shard.advance(u64::MAX - 10);
    assert_eq!(shard.completed(), AppliedSet::new(u64::MAX, []));
}

#[test]
fn what_is_pending_survives_restoring_exactly() {
    for capacity in [1, 3, 70, 20_000, u64::MAX] {
        let (_state, shard) = single();
        let (window, above) = busy(&shard);
        let mark = shard.applied();

        let state = ReplicationState::new(&[]);
        let other = state.add_shard(NewShard::new(SHARD).with_mark(mark)).unwrap();
        let restored = ApplyWindow::restore(other.clone(), capacity, &window.pending()).unwrap();
        assert_eq!(restored.pending(), above, "whatever the capacity is");
        assert_eq!((other.applied(), restored.highest()), (mark, window.highest()));
        assert_eq!(other.completed(), shard.completed());
        for seqno in (0..300).chain(16_380..16_400).chain([70_000, u64::MAX]) {
            assert_eq!(restored.contains(seqno), window.contains(seqno), "{seqno}");
        }
        for offered in (mark + 1..=mark + capacity.min(100)).filter(|s| window.contains(*s)) {
            let refused = restored.claim(offered).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "offered twice");
        }
        let done = restored.complete(5);
        assert_eq!(done, Ok(Completion::Completed { mark: 7 }));
    }
}

#[test]
fn what_a_shard_was_told_before_is_in_its_window() {
    let (_state, shard) = single();
    let (window, above) = busy(&shard);
    let completed = shard.completed();
    assert_eq!(completed, AppliedSet::new(4, above));
    drop(window);

    let state = ReplicationState::new(&[]);
    let other = state.add_shard(NewShard::new(SHARD).with_mark(completed.mark())).unwrap();
    completed.above().iter().for_each(|range| other.complete(*range));
    assert_eq!(other.completed(), completed);
    let window = ApplyWindow::new(other, 8).unwrap();
    assert_eq!(window.pending(), completed.above());
    assert_eq!(window.claim(6).unwrap_err(), ClaimError::AlreadyCompleted);
}

#[test]
fn ranges_that_overlap_touch_or_lie_below_the_mark_are_restored_as_one_set() {
    let (_state, shard) = single();
    shard.advance(10);
    let given = ranges(&[(0, 3), (20, 25), (8, 12), (24, 30), (31, 31), (40, 39), (14, 14)]);
    let window = ApplyWindow::restore(shard.clone(), 4, &given).unwrap();
    assert_eq!(shard.applied(), 12, "what touches the mark moves it");
    assert_eq!(window.pending(), ranges(&[(14, 14), (20, 31)]));
    assert_eq!(window.complete(13), Ok(Completion::Completed { mark: 14 }));
}

#[test]
fn a_copy_of_the_state_has_what_is_completed_and_no_window() {
    let (state, shard) = single();
    let (_window, above) = busy(&shard);
    let copy = state.clone().shard(SHARD).unwrap();
    assert_eq!(copy.completed(), AppliedSet::new(4, above));
    assert!(ApplyWindow::new(copy, 8).is_ok());
}

#[test]
fn a_window_of_a_life_that_has_ended_changes_nothing_of_the_new_one() {
    let (state, shard) = single();
    let (window, above) = busy(&shard);
    let claim = window.claim(5).unwrap();
    let new = state.reset_shard(NewShard::new(SHARD).with_mark(2)).unwrap();
    assert_eq!(claim.complete(), Completion::Removed);
    assert_eq!(window.claim(5).unwrap_err(), ClaimError::Ended(WaitError::Removed));
    for seqno in [0, 4, 5, 6, 8, 90_000] {
        assert_eq!(window.complete(seqno), Ok(Completion::Removed));
        assert_eq!(window.complete_blocking(seqno), Ok(Completion::Removed));
    }
    assert_eq!(window.skip(5..=5_000), Ok(Completion::Removed));
    shard.complete(SeqRange::new(5, 5));
    assert_eq!((shard.applied(), shard.advance(9)), (4, Advance::Removed));
    assert_eq!(new.completed(), AppliedSet::new(2, []), "and none of {above:?}");

    let second = ApplyWindow::new(new.clone(), 8).unwrap();
    assert_eq!(second.complete(3), Ok(Completion::Completed { mark: 3 }));
    drop(window);
    assert_eq!(second.complete(4), Ok(Completion::Completed { mark: 4 }));
    assert_eq!(new.completed(), AppliedSet::new(4, []));
}

#[test]
fn a_life_that_has_ended_gets_no_window() {
    let (state, shard) = single();
    state.remove_shard(SHARD).unwrap();
    let error = ApplyWindow::new(shard.clone(), 8).unwrap_err();
    assert_eq!(error, WindowError::Removed);
    assert!(error.to_string().contains("look it up again"));
    let restored = ApplyWindow::restore(shard, 8, &ranges(&[(1, 3)]));
    assert_eq!(restored.unwrap_err(), WindowError::Removed);
}

#[test]
fn marks_move_in_a_window_after_the_state_is_closed() {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    let claim = window.claim(2).unwrap();
    state.close();
    claim.complete();
    assert_eq!(window.claim(1).unwrap().complete(), Completion::Completed { mark: 2 });
    window.skip(3..=5).unwrap();
    assert_eq!(shard.applied(), 5);
}

#[test]
fn a_checkpoint_or_an_advance_at_the_same_time_holds_no_window_open() {
    let (_state, shard) = single();
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let completed = shard.completed();
                let mark = completed.mark();
                assert!(completed.above().iter().all(|range| range.first > mark + 1));
                shard.advance(mark + 1);
            }
        });
        for _ in 0..500 {
            let window = ApplyWindow::new(shard.clone(), 64).unwrap();
            let seqno = shard.applied() + 50;
            window.complete(seqno).unwrap();
            drop(window);
            assert!(shard.completed().contains(seqno));
        }
    });
}

#[test]
fn what_was_completed_is_told_while_windows_come_and_go() {
    let (_state, shard) = single();
    let last = AtomicU64::new(2);
    let stop = AtomicBool::new(false);
    shard.complete(SeqRange::new(2, 2));
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        let teller = s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let last = last.load(Ordering::Acquire);
                assert!(shard.completed().contains(last), "{last}");
            }
        });
        for seqno in (4..4_000).step_by(2).take_while(|_| !teller.is_finished()) {
            let window = ApplyWindow::new(shard.clone(), 4_096).unwrap();
            window.complete(seqno).unwrap();
            last.store(seqno, Ordering::Release);
        }
    });
}
