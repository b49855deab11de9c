//! A twin of the ranges of src/waiters.rs: seqnos completed above a mark, under a lock.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, step, thread};

struct Twin {
    mark: AtomicU64,
    completed: Mutex<Vec<u64>>,
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
        let twin = Arc::new(Twin { mark: AtomicU64::new(0), completed });
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
fn who_looks_at_the_mark_first_and_not_again_finds_it_nowhere() {
    assert!(loom_rejects(|| finding_of(absorb, mark_first)));
}
