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

fn merge_ranges(twin: &Twin) {
    let mut completed = twin.completed.lock().unwrap();
    raise(&twin.mark, completed[0]);
    completed.clear();
}

fn merge_too_early(twin: &Twin) {
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

/// What is completed is found while the mark moves over it.
fn finding_of(merge_ranges: fn(&Twin), find: fn(&Twin) -> bool) {
    check(move || {
        let completed = Mutex::new(vec![1]);
        let (mark, above) = (AtomicU64::new(0), AtomicU64::new(1));
        let twin = Arc::new(Twin { mark, completed, above });
        let merger = thread::spawn({
            let twin = Arc::clone(&twin);
            move || step(|| merge_ranges(&twin))
        });
        assert!(find(&twin), "found nowhere");
        merger.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    finding_of(merge_ranges, ranges_first);
}

#[test]
fn ranges_taken_out_before_the_mark_is_raised_are_found_nowhere() {
    assert!(loom_rejects(|| finding_of(merge_too_early, ranges_first)));
}

#[test]
fn reading_the_mark_first_and_not_again_finds_it_nowhere() {
    assert!(loom_rejects(|| finding_of(merge_ranges, mark_first)));
}

fn merge_and_clear(twin: &Twin) {
    merge_ranges(twin);
    step(|| twin.above.store(0, Ordering::Release));
}

fn merge_and_clear_relaxed(twin: &Twin) {
    merge_ranges(twin);
    step(|| twin.above.store(0, Ordering::Relaxed));
}

/// Looks at the ranges only if the flag is set.
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
    finding_of(merge_and_clear, word_first);
}

#[test]
fn a_relaxed_flag_of_nothing_above_hides_what_was_completed() {
    assert!(loom_rejects(|| finding_of(merge_and_clear_relaxed, word_first)));
    assert!(loom_rejects(|| finding_of(merge_and_clear, word_first_relaxed)));
    assert!(loom_rejects(|| finding_of(merge_and_clear, mark_then_word)));
}
