//! A helper that was stopped between two of its steps, set up by hand: what the next call must do
//! in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::ApplyWindow;
use super::guard::Guard;
use crate::applied_set::AppliedSet;
use crate::cell::Cell;
use crate::ids::{Incarnation, Key, LogId, ShardId};
use crate::outcome::ClaimError;
use crate::shard::Shard;

fn shard() -> Shard {
    let key = Key { shard: ShardId(1), incarnation: Incarnation(0), log: LogId::UNNAMED };
    let cell = Cell::vacant();
    cell.begin(key, 0);
    Shard::new([cell].into(), 0)
}

fn window() -> ApplyWindow {
    ApplyWindow::new(shard(), 4096).unwrap()
}

/// Raises the mark as a helper that is stopped right after does.
fn stopped_helper_raised_to(window: &ApplyWindow, mark: u64) {
    window.shard().cell().raise_and_stop(mark);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_completer_that_finds_the_mark_beyond_its_seqno_goes_on_from_there() {
    let window = window();
    window.complete(3).unwrap();
    stopped_helper_raised_to(&window, 2);
    // The completer of 2 read the mark when it was 0.
    window.guard.complete_out_of_order(0, 2).unwrap();
    assert_eq!(window.shard().applied(), 3);
}

#[test]
fn a_raise_that_finds_the_mark_farther_up_passes_the_range_there() {
    let window = window();
    window.shard().complete(6..=8);
    stopped_helper_raised_to(&window, 5);
    assert_eq!(window.shard().cell().raise_over_ranges(3), (5, 8));
}

#[test]
fn an_applied_set_never_holds_more_than_the_mark_has_passed() {
    let shard = shard();
    shard.complete(3..=5);
    shard.cell().raise_and_stop(2);
    assert_eq!(shard.applied_set(), AppliedSet::up_to(5));
    assert_eq!(shard.applied(), 5);
}

#[test]
fn an_advance_goes_on_in_the_window_that_has_taken_the_place_of_its_own() {
    let shard = shard();
    let first = ApplyWindow::new(shard.clone(), 4).unwrap();
    let found = Arc::clone(&first.guard.state);
    drop(first);
    let second = ApplyWindow::new(shard.clone(), 4).unwrap();
    second.complete(3).unwrap();
    shard.cell().raise_and_stop(2);
    shard.cell().advance_over_windows(Some(found));
    assert_eq!(shard.applied(), 3);
}

#[test]
fn a_snapshot_that_moves_the_mark_wakes_waiters() {
    let shard = shard();
    shard.complete(3..=5);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut reached = Box::pin(shard.reached(4));
    assert!(reached.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    shard.cell().raise_and_stop(2);
    assert_eq!(shard.applied_set(), AppliedSet::up_to(5));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

/// Completes 2, lets the completer of 1 raise the mark to 1, and a helper to `mark`, and runs
/// `meanwhile`. Then the completer goes on, and wakes the waiter for 2.
fn a_completer_wakes_the_next_waiter(mark: u64, meanwhile: impl FnOnce(&ApplyWindow)) {
    let window = window();
    window.complete(2).unwrap();
    let count = Arc::new(Count::default());
    let mut reached = Box::pin(window.shard().reached(2));
    let waker = Waker::from(Arc::clone(&count));
    assert!(reached.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    stopped_helper_raised_to(&window, mark);
    meanwhile(&window);
    window.guard.advance_in_chunks_from(1);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    let ready = reached.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(ready, Poll::Ready(Ok(mark)));
}

#[test]
fn a_chunk_that_is_gone_is_no_gap_and_the_waiters_before_it_are_woken() {
    // Another chunk comes, and that of 2 goes.
    a_completer_wakes_the_next_waiter(1000, |window| _ = window.complete(2000).unwrap());
}

#[test]
fn where_nothing_is_completed_any_more_the_waiters_before_the_mark_are_woken() {
    a_completer_wakes_the_next_waiter(2, |window| window.guard.state.end_at(2));
}

#[test]
fn an_idle_window_costs_a_snapshot_nothing() {
    let window = window();
    let has_above = || window.shard().cell().has_above();
    assert!(!has_above());
    let claim = window.try_claim(3).unwrap();
    window.complete(1).unwrap();
    assert!(!has_above());
    claim.complete().unwrap();
    assert_eq!(window.shard().applied_set(), AppliedSet::new(1, [3]));
    assert!(has_above());
    window.complete(2).unwrap();
    assert!(has_above());
    assert_eq!(window.shard().applied_set(), AppliedSet::up_to(3));
    assert!(!has_above());
    window.complete(6).unwrap();
    window.shard().advance(5);
    assert_eq!(window.shard().applied(), 6);
}

#[test]
fn a_seqno_that_the_mark_passes_as_it_is_claimed_is_completed_and_leaves_no_chunk() {
    let window = window();
    window.shard().advance(1000);
    // The claimer has seen the mark at 0.
    let claimed = window.guard.claim_in_chunk(0, 5);
    assert!(matches!(claimed, Err(ClaimError::AlreadyCompleted)));
    assert_eq!(window.guard.state.chunks.count(), 0);
}

#[test]
fn a_claim_that_an_advance_overtook_leaves_no_chunk() {
    let window = window();
    let claims = [2, 600].map(|seqno| window.try_claim(seqno).unwrap());
    window.shard().advance(2000);
    let [first, second] = claims;
    first.complete().unwrap();
    drop(second);
    assert_eq!(window.guard.state.chunks.count(), 0);
}

impl Guard {
    fn advance_in_chunks_from(&self, at: u64) {
        self.shard.cell().advance_in_chunks(&self.state, at);
    }
}
