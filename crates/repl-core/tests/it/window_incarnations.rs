//! Completed seqnos outlive their window, and end with the incarnation of their shard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::{Queued, StopAtEnd, above, ranges, restored, single};
use repl_core::{
    Advance, AppliedSet, ApplyWindow, Claim, ClaimError, CompleteError, Completion, NewShard,
    ReplicationState, SeqRange, Shard, ShardId, WaitError, WindowError,
};

const SHARD: ShardId = ShardId::SINGLE;

/// A window with the mark at 4, and above it completed seqnos in the ring and in overflow, and skips.
fn busy(shard: &Shard) -> (ApplyWindow, Vec<SeqRange>) {
    let window = ApplyWindow::new(shard.clone(), u64::MAX).unwrap();
    for seqno in [1, 2, 3, 4, 6, 7, 9, 16_388, 16_389, 70_000] {
        window.complete(seqno).unwrap();
    }
    window.skip(100..=200).unwrap();
    window.skip(u64::MAX - 9..=u64::MAX).unwrap();
    let completed = [(6, 7), (9, 9), (100, 200), (16_388, 16_389), (70_000, 70_000)];
    let completed = [ranges(&completed), ranges(&[(u64::MAX - 9, u64::MAX)])].concat();
    assert_eq!(above(shard), completed);
    (window, completed)
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
    window.complete(2).unwrap();
    assert_eq!(shard.advance(1), Advance::Advanced { from: 0 });
    assert_eq!(shard.applied(), 2, "the open window is still attached");
    drop(window);
    assert!(ApplyWindow::new(shard, 8).is_ok());
}

#[test]
fn no_second_window_opens_while_claims_are_held() {
    let ways: [fn(Claim); 2] = [drop, |claim| _ = claim.complete().unwrap()];
    for end in ways {
        let (_state, shard) = single();
        let window = ApplyWindow::new(shard.clone(), 8).unwrap();
        let claim = window.try_claim(1).unwrap();
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
    let (window, completed) = busy(&shard);
    let claim = window.try_claim(5).unwrap();
    drop(window);
    assert_eq!(shard.applied_set(), AppliedSet::new(4, completed.clone()));
    drop(claim);
    assert_eq!(shard.applied_set(), AppliedSet::new(4, completed.clone()), "with no window too");

    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    assert_eq!((above(&shard), shard.applied_set().highest()), (completed, u64::MAX));
    for seqno in [6, 7, 9] {
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted);
        let done = window.complete(seqno);
        assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: 4 }));
    }
    assert!(!window.shard().contains(5) && !window.shard().contains(8));
    let done = window.try_claim(5).unwrap().complete();
    assert_eq!(done, Ok(Completion::Completed { mark: 7 }));
    assert_eq!(window.complete(8), Ok(Completion::Completed { mark: 9 }));
}

#[test]
fn without_a_window_the_mark_moves_over_what_was_completed_in_it() {
    let (_state, shard) = single();
    drop(busy(&shard));
    let waiter = Queued::new(&shard, 7);
    assert_eq!(shard.advance(5), Advance::Advanced { from: 4 });
    assert_eq!((shard.applied(), waiter.wakes()), (7, 1));
    shard.advance(150);
    assert_eq!(shard.applied(), 200);
    shard.complete(SeqRange::new(201, 16_387));
    assert_eq!(shard.applied(), 16_389);
    shard.advance(u64::MAX - 10);
    assert_eq!(shard.applied_set(), AppliedSet::up_to(u64::MAX));
}

#[test]
fn ranges_above_the_mark_are_restored_exactly() {
    for capacity in [1, 3, 70, 20_000, u64::MAX] {
        let (_state, shard) = single();
        let (window, completed) = busy(&shard);
        let mark = shard.applied();

        let state = ReplicationState::new(&[]);
        let other = state.add_shard(NewShard::new(SHARD).with_mark(mark)).unwrap();
        let restored = restored(other.clone(), capacity, &above(&shard)).unwrap();
        assert_eq!(above(&other), completed, "whatever the capacity is");
        assert_eq!((other.applied(), other.applied_set().highest()), (mark, u64::MAX));
        assert_eq!(other.applied_set(), shard.applied_set());
        for seqno in (0..300).chain(16_380..16_400).chain([70_000, u64::MAX]) {
            assert_eq!(restored.shard().contains(seqno), window.shard().contains(seqno), "{seqno}");
        }
        for offered in (mark + 1..=mark + capacity.min(100)).filter(|s| window.shard().contains(*s))
        {
            let refused = restored.try_claim(offered).unwrap_err();
            assert_eq!(refused, ClaimError::AlreadyCompleted, "completed before");
        }
        let done = restored.complete(5);
        assert_eq!(done, Ok(Completion::Completed { mark: 7 }));
    }
}

#[test]
fn ranges_completed_before_a_window_opens_are_in_it() {
    let (_state, shard) = single();
    let (window, completed) = busy(&shard);
    let applied = shard.applied_set();
    assert_eq!(applied, AppliedSet::new(4, completed.clone()));
    drop(window);

    let state = ReplicationState::new(&[]);
    let other = state.add_shard(NewShard::new(SHARD).with_mark(applied.mark())).unwrap();
    applied.above().for_each(|range| other.complete(range));
    assert_eq!(other.applied_set(), applied);
    let window = ApplyWindow::new(other, 8).unwrap();
    assert_eq!(above(window.shard()), completed);
    assert_eq!(window.try_claim(6).unwrap_err(), ClaimError::AlreadyCompleted);
}

#[test]
fn overlapping_touching_and_passed_ranges_are_restored_as_one_set() {
    let (_state, shard) = single();
    shard.advance(10);
    let given = ranges(&[(0, 3), (20, 25), (8, 12), (24, 30), (31, 31), (40, 39), (14, 14)]);
    let window = restored(shard.clone(), 4, &given).unwrap();
    assert_eq!(shard.applied(), 12, "a range next to the mark moves it");
    assert_eq!(above(window.shard()), ranges(&[(14, 14), (20, 31)]));
    assert_eq!(window.complete(13), Ok(Completion::Completed { mark: 14 }));
}

#[test]
fn a_clone_of_the_state_has_the_ranges_and_no_window() {
    let (state, shard) = single();
    let (_window, completed) = busy(&shard);
    let copy = state.clone().shard(SHARD).unwrap();
    assert_eq!(copy.applied_set(), AppliedSet::new(4, completed));
    assert!(ApplyWindow::new(copy, 8).is_ok());
}

#[test]
fn a_window_of_an_ended_incarnation_changes_nothing_of_the_next() {
    let (state, shard) = single();
    let (window, completed) = busy(&shard);
    let claim = window.try_claim(5).unwrap();
    let new = state.reset_shard(NewShard::new(SHARD).with_mark(2)).unwrap();
    assert_eq!(claim.complete(), Err(CompleteError::Removed));
    assert_eq!(window.try_claim(5).unwrap_err(), ClaimError::Removed);
    for seqno in [0, 4, 5, 6, 8, 90_000] {
        assert_eq!(window.complete(seqno), Err(CompleteError::Removed));
        assert_eq!(window.room_for(seqno).wait(), Err(WaitError::Removed));
    }
    assert_eq!(window.skip(5..=5_000), Err(CompleteError::Removed));
    shard.complete(SeqRange::from(5));
    assert_eq!((shard.applied(), shard.advance(9)), (4, Advance::Removed));
    assert_eq!(new.applied_set(), AppliedSet::up_to(2), "and none of {completed:?}");

    let second = ApplyWindow::new(new.clone(), 8).unwrap();
    assert_eq!(second.complete(3), Ok(Completion::Completed { mark: 3 }));
    drop(window);
    assert_eq!(second.complete(4), Ok(Completion::Completed { mark: 4 }));
    assert_eq!(new.applied_set(), AppliedSet::up_to(4));
}

#[test]
fn no_window_opens_on_an_ended_incarnation() {
    let (state, shard) = single();
    state.remove_shard(SHARD).unwrap();
    let error = ApplyWindow::new(shard, 8).unwrap_err();
    assert_eq!(error, WindowError::Removed);
    assert!(error.to_string().contains("look it up again"));
}

#[test]
fn marks_move_in_a_window_after_the_state_is_closed() {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 8).unwrap();
    let claim = window.try_claim(2).unwrap();
    state.close();
    claim.complete().unwrap();
    let done = window.try_claim(1).unwrap().complete();
    assert_eq!(done, Ok(Completion::Completed { mark: 2 }));
    window.skip(3..=5).unwrap();
    assert_eq!(shard.applied(), 5);
}

#[test]
fn concurrent_snapshots_and_advances_hold_no_window_open() {
    let (_state, shard) = single();
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let completed = shard.applied_set();
                let mark = completed.mark();
                assert!(completed.above().all(|range| range.first() > mark + 1));
                shard.advance(mark + 1);
            }
        });
        for _ in 0..500 {
            let window = ApplyWindow::new(shard.clone(), 64).unwrap();
            let seqno = shard.applied() + 50;
            window.complete(seqno).unwrap();
            drop(window);
            assert!(shard.applied_set().contains(seqno));
        }
    });
}

#[test]
fn completions_stay_visible_while_windows_come_and_go() {
    let (_state, shard) = single();
    let last = AtomicU64::new(2);
    let stop = AtomicBool::new(false);
    shard.complete(SeqRange::from(2));
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        let teller = s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let last = last.load(Ordering::Acquire);
                assert!(shard.applied_set().contains(last), "{last}");
            }
        });
        for seqno in (4..4_000).step_by(2).take_while(|_| !teller.is_finished()) {
            let window = ApplyWindow::new(shard.clone(), 4_096).unwrap();
            window.complete(seqno).unwrap();
            last.store(seqno, Ordering::Release);
        }
    });
}
