//! A twin of the ranges of src/waiters.rs: seqnos completed above a mark, under a lock.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, step, thread};

struct Twin {
    mark: AtomicU64,
    completed: Mutex<Vec<u64>>,
    /// Whether anything may be above the mark.
    above: AtomicU64,
}

fn absorb(twin: &Twin) {
    let mut completed = twin.completed.lock().unwrap();
    raise(&twin.mark, completed[0]);
    completed.clear();
}

fn absorb_too_early(twin: &Twin) {
    let completed = std::mem::take(&mut *twin.completed.lock().unwrap());
    raise(&twin.mark, completed[0]);
}

fn ranges_first(twin: &Twin) -> bool {
    let in_ranges = step(|| twin.completed.lock().unwrap().contains(&1));
    in_ranges || step(|| twin.mark.load(Ordering::Acquire)) >= 1
}

fn mark_first(twin: &Twin) -> bool {
    let passed = step(|| twin.mark.load(Ordering::Acquire)) >= 1;
    passed || step(|| twin.completed.lock().unwrap().contains(&1))
}

/// What is completed is found, while the mark comes to it.
fn finding_of(absorb: fn(&Twin), find: fn(&Twin) -> bool) {
    check(move || {
        let completed = Mutex::new(vec![1]);
        let (mark, above) = (AtomicU64::new(0), AtomicU64::new(1));
        let twin = Arc::new(Twin { mark, completed, above });
        let absorber = thread::spawn({
            let twin = Arc::clone(&twin);
            move || step(|| absorb(&twin))
        });
        assert!(find(&twin), "found nowhere");
        absorber.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    finding_of(absorb, ranges_first);
}

#[test]
fn ranges_taken_out_before_the_mark_is_raised_are_found_nowhere() {
    assert!(loom_rejects(|| finding_of(absorb_too_early, ranges_first)));
}

#[test]
fn reading_the_mark_first_and_not_again_finds_it_nowhere() {
    assert!(loom_rejects(|| finding_of(absorb, mark_first)));
}

fn absorb_and_clear(twin: &Twin) {
    absorb(twin);
    step(|| twin.above.store(0, Ordering::Release));
}

fn absorb_and_clear_relaxed(twin: &Twin) {
    absorb(twin);
    step(|| twin.above.store(0, Ordering::Relaxed));
}

/// Looks into the ranges only where the word says that something is there.
fn word_first(twin: &Twin) -> bool {
    let above = step(|| twin.above.load(Ordering::Acquire)) == 1;
    above && ranges_first(twin) || twin.mark.load(Ordering::Acquire) >= 1
}

fn word_first_relaxed(twin: &Twin) -> bool {
    let above = step(|| twin.above.load(Ordering::Relaxed)) == 1;
    above && ranges_first(twin) || twin.mark.load(Ordering::Acquire) >= 1
}

fn mark_then_word(twin: &Twin) -> bool {
    let passed = step(|| twin.mark.load(Ordering::Acquire)) >= 1;
    passed || step(|| twin.above.load(Ordering::Acquire)) == 1
}

#[test]
fn the_twin_with_a_word_passes_without_a_weakness() {
    finding_of(absorb_and_clear, word_first);
}

#[test]
fn a_relaxed_flag_of_nothing_above_hides_what_was_completed() {
    assert!(loom_rejects(|| finding_of(absorb_and_clear_relaxed, word_first)));
    assert!(loom_rejects(|| finding_of(absorb_and_clear, word_first_relaxed)));
    assert!(loom_rejects(|| finding_of(absorb_and_clear, mark_then_word)));
}
