//! Beginning an epoch cuts and returns what it replaces, and shuts out the handles of earlier ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use repl_core::{
    Advance, AppliedSet, ApplyWindow, BeginEpochError, CompleteError, Completion, EpochStart,
    Epochs, Incarnation, LogId, NewShard, Progress, ReplicationState, SeqRange, ShardId,
    StaleEpoch, WaitError,
};

use crate::epochs::epochs;

const SHARD: ShardId = ShardId(7);
const LOG: LogId = LogId(9);

fn start(epoch: u64, first: u64) -> EpochStart {
    EpochStart { epoch, first }
}

/// A shard at `mark` in epoch 3, from segment 1 on.
fn at(mark: u64) -> ReplicationState {
    let state = ReplicationState::default();
    let new = NewShard::new(SHARD).with_mark(mark).with_log(LOG).with_epochs(epochs([(3, 1)]));
    state.add_shard(new).unwrap();
    state
}

#[test]
fn a_new_shard_begins_with_the_epochs_that_it_is_given() {
    let state = at(40);
    assert_eq!(state.epochs(SHARD), Some(epochs([(3, 1)])));
    state.add_shard(NewShard::new(8)).unwrap();
    assert_eq!(state.epochs(ShardId(8)), Some(Epochs::default()));
    assert_eq!(state.epochs(ShardId(9)), None);
}

#[test]
fn the_progress_of_a_shard_is_that_of_its_snapshot() {
    let state = at(40);
    state.shard(SHARD).unwrap().complete(42..=45);
    let entry = state.snapshot().entry(SHARD).unwrap();
    assert_eq!(state.progress(SHARD), Some(Progress::from(entry)));
    assert_eq!(state.progress(ShardId(8)), None);
}

#[test]
fn a_reset_drops_epochs_and_a_rewind_keeps_them() {
    let state = at(40);
    state.rewind_shard(SHARD, 30).unwrap();
    assert_eq!(state.epochs(SHARD), Some(epochs([(3, 1)])));
    state.reset_shard(NewShard::new(SHARD)).unwrap();
    assert_eq!(state.epochs(SHARD), Some(Epochs::default()));
    state.reset_shard(NewShard::new(SHARD).with_epochs(epochs([(5, 9)]))).unwrap();
    assert_eq!(state.epochs(SHARD), Some(epochs([(5, 9)])));
    state.remove_shard(SHARD).unwrap();
    assert_eq!(state.epochs(SHARD), None);
}

#[test]
fn segments_at_or_above_the_first_are_cut_and_returned() {
    for (mark, first, new_mark, undo) in [
        (95, 91, 90, vec![91..=95]),
        (95, 95, 94, vec![95..=95]),
        (95, 96, 95, vec![]),
        (95, 200, 95, vec![]),
        (95, 1, 0, vec![1..=95]),
        (95, 0, 0, vec![1..=95]),
        (0, 0, 0, vec![]),
        (u64::MAX, u64::MAX, u64::MAX - 1, vec![u64::MAX..=u64::MAX]),
    ] {
        let state = at(mark);
        let begun = state.begin_epoch(SHARD, start(4, first)).unwrap();
        assert_eq!(begun.shard.applied(), new_mark, "{mark} {first}");
        assert_eq!(begun.undo, undo.into_iter().map(SeqRange::from).collect::<Vec<_>>());
        assert_eq!((begun.shard.log(), state.applied_seqno(SHARD)), (LOG, Some(new_mark)));
    }
}

#[test]
fn completed_ranges_are_cut_at_the_first_segment() {
    let state = at(10);
    let shard = state.shard(SHARD).unwrap();
    for range in [12..=14, 20..=29, 40..=49] {
        shard.complete(range);
    }
    let begun = state.begin_epoch(SHARD, start(4, 25)).unwrap();
    assert_eq!(begun.shard.applied_set(), AppliedSet::new(10, [12..=14, 20..=24]));
    assert_eq!(begun.undo, [SeqRange::from(25..=29), (40..=49).into()]);
    let begun = state.begin_epoch(SHARD, start(5, 9)).unwrap();
    assert_eq!(begun.shard.applied_set(), AppliedSet::up_to(8));
    assert_eq!(begun.undo, [SeqRange::from(9..=10), (12..=14).into(), (20..=24).into()]);
}

#[test]
fn what_a_window_completed_is_cut_too() {
    let state = at(10);
    let window = ApplyWindow::new(state.shard(SHARD).unwrap(), 100).unwrap();
    crate::complete_each(&window, [12, 13, 30]);
    let begun = state.begin_epoch(SHARD, start(4, 13)).unwrap();
    assert_eq!(begun.shard.applied_set(), AppliedSet::new(10, [12..=12]));
    assert_eq!(begun.undo, [SeqRange::from(13), 30.into()]);
    assert_eq!(window.complete(11), Err(CompleteError::Removed));
    let window = ApplyWindow::new(begun.shard, 100).unwrap();
    assert_eq!(window.complete(11), Ok(Completion::Completed { mark: 12 }));
}

#[test]
fn a_handle_of_an_earlier_epoch_advances_nothing() {
    let state = at(88);
    let old = state.shard(SHARD).unwrap();
    let wait = old.reached(95);
    let begun = state.begin_epoch(SHARD, start(4, 91)).unwrap();
    assert_eq!(old.advance(95), Advance::Removed);
    assert_eq!(wait.wait(), Err(WaitError::Removed));
    assert_eq!(begun.shard.advance(95), Advance::Advanced { from: 88 });
    assert_eq!(state.applied_seqno(SHARD), Some(95));
    assert!(begun.shard.incarnation() > old.incarnation());
}

/// An epoch that replaces nothing is a fence all the same.
#[test]
fn every_epoch_begins_a_new_incarnation() {
    let state = at(5);
    let old = state.shard(SHARD).unwrap();
    let begun = state.begin_epoch(SHARD, start(4, 6)).unwrap();
    assert!(begun.undo.is_empty() && old.is_removed());
    assert_ne!(begun.shard.incarnation(), old.incarnation());
    assert_eq!(state.epochs(SHARD), Some(epochs([(3, 1), (4, 6)])));
}

#[test]
fn an_epoch_that_cannot_begin_changes_nothing() {
    let state = at(40);
    let handle = state.shard(SHARD).unwrap();
    let before = state.snapshot();
    for epoch in [0, 2, 3] {
        let refused = BeginEpochError::Stale(StaleEpoch { epoch, latest: 3 });
        assert_eq!(state.begin_epoch(SHARD, start(epoch, 50)).unwrap_err(), refused);
    }
    let unknown = state.begin_epoch(ShardId(8), start(4, 50)).unwrap_err();
    assert_eq!(unknown, BeginEpochError::UnknownShard);
    assert_eq!(state.snapshot(), before);
    assert!(handle.advance(41).is_advanced());
}

#[test]
fn the_first_epoch_of_a_shard_may_be_any_even_0() {
    let state = ReplicationState::new(&[SHARD]);
    let begun = state.begin_epoch(SHARD, start(0, 1)).unwrap();
    assert_eq!((begun.shard.applied(), state.epochs(SHARD)), (0, Some(epochs([(0, 1)]))));
}

#[test]
fn an_empty_epoch_is_replaced_by_the_next() {
    let state = at(119);
    for epoch in [4, 5] {
        let begun = state.begin_epoch(SHARD, start(epoch, 120)).unwrap();
        assert!(begun.undo.is_empty());
    }
    assert_eq!(state.epochs(SHARD), Some(epochs([(3, 1), (5, 120)])));
}

/// Each advance that was not refused is below the new mark or in what is to be undone.
#[test]
fn an_advance_that_races_an_epoch_is_refused_kept_or_returned() {
    let state = Arc::new(at(0));
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop = crate::StopAtEnd(&stop);
        let (send, handles) = mpsc::channel();
        let (answer, advanced) = mpsc::channel();
        let stop = &stop;
        s.spawn(move || {
            for shard in handles {
                let shard: repl_core::Shard = shard;
                let from = shard.applied();
                let last = (from + 1..).take_while(|seqno| {
                    !stop.load(Ordering::Relaxed) && shard.advance(*seqno).is_advanced()
                });
                answer.send(last.last().unwrap_or(from)).unwrap();
            }
        });
        for round in 0..200 {
            let shard = state.shard(SHARD).unwrap();
            send.send(shard.clone()).unwrap();
            while shard.applied() < 5 {
                thread::yield_now();
            }
            let begun = state.begin_epoch(SHARD, start(4 + round, 3)).unwrap();
            let last = advanced.recv().unwrap();
            assert_eq!(begun.shard.applied(), 2);
            let undo = begun.undo.last().unwrap();
            assert!(undo.first() == 3 && undo.last() >= last, "{:?} {last}", begun.undo);
        }
    });
}

#[test]
fn one_of_two_equal_epochs_begins() {
    for _ in 0..50 {
        let state = at(10);
        let begun: Vec<_> = thread::scope(|s| {
            let begin = || state.begin_epoch(SHARD, start(4, 8)).map(|begun| begun.undo);
            let both = [s.spawn(begin), s.spawn(begin)];
            both.map(|thread| thread.join().unwrap()).into_iter().collect()
        });
        let undone: Vec<_> = begun.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(undone, [&[SeqRange::from(8..=10)]], "{begun:?}");
        assert_eq!(state.shard(SHARD).map(|it| it.incarnation()), Some(Incarnation(1)));
    }
}
