//! Adding and removing shards while others are looked up, with one step weakened.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::loom_rejects;
use crate::{check, data, step};

/// How a new cell gets into the index.
#[derive(Clone, Copy)]
struct Adding {
    store: Ordering,
    load: Ordering,
    begin_first: bool,
}

const ADDING: Adding =
    Adding { store: Ordering::Release, load: Ordering::Acquire, begin_first: true };

/// A look-up that finds the word of a cell must find the mark with which the cell began.
fn look_up_against_add(steps: Adding) {
    check(move || {
        let (mark, word) = (data(), data());
        let adder = thread::spawn({
            let (mark, word) = (Arc::clone(&mark), Arc::clone(&word));
            move || {
                if steps.begin_first {
                    mark.store(5, Ordering::Relaxed);
                }
                step(|| word.store(1, steps.store));
                mark.store(5, Ordering::Relaxed);
            }
        });
        if step(|| word.load(steps.load)) == 1 {
            assert_eq!(mark.load(Ordering::Relaxed), 5, "a cell that has not begun");
        }
        adder.join().unwrap();
    });
}

#[test]
fn the_twin_of_adding_passes_without_a_weakness() {
    look_up_against_add(ADDING);
}

#[test]
fn a_relaxed_word_leads_to_a_cell_that_has_not_begun() {
    assert!(loom_rejects(|| look_up_against_add(Adding { store: Ordering::Relaxed, ..ADDING })));
    assert!(loom_rejects(|| look_up_against_add(Adding { load: Ordering::Relaxed, ..ADDING })));
}

#[test]
fn a_word_stored_too_early_leads_to_a_cell_that_has_not_begun() {
    assert!(loom_rejects(|| look_up_against_add(Adding { begin_first: false, ..ADDING })));
}

const EMPTY: u64 = 0;
const REMOVED: u64 = 1;
const FIRST: u64 = 2;
const SECOND: u64 = 3;
const THIRD: u64 = 4;

/// The search for `shard` in slots that all shards share, as in `Index::find`.
fn is_found(slots: &[AtomicU64; 3], shard: u64) -> bool {
    for slot in slots {
        match step(|| slot.load(Ordering::Acquire)) {
            EMPTY => return false,
            word if word == shard => return true,
            _ => {}
        }
    }
    false
}

/// A shard that is there all the time must be found while `change` removes the one before it, and
/// adds another.
fn look_up_against_removal(change: fn(&[AtomicU64; 3])) {
    check(move || {
        let slots = Arc::new([FIRST, SECOND, EMPTY].map(AtomicU64::new));
        let changer = thread::spawn({
            let slots = Arc::clone(&slots);
            move || change(&slots)
        });
        assert!(is_found(&slots, SECOND), "missed a shard that was there all the time");
        changer.join().unwrap();
    });
}

#[test]
fn the_twin_of_removing_passes_without_a_weakness() {
    look_up_against_removal(|slots| {
        step(|| slots[0].store(REMOVED, Ordering::Release));
        step(|| slots[0].store(THIRD, Ordering::Release));
    });
}

#[test]
fn a_removed_shard_that_leaves_an_empty_slot_hides_the_next_one() {
    assert!(loom_rejects(|| {
        look_up_against_removal(|slots| {
            step(|| slots[0].store(EMPTY, Ordering::Release));
        });
    }));
}

#[test]
fn a_shard_that_moves_to_a_free_slot_is_missed_by_a_search_that_has_passed_it() {
    assert!(loom_rejects(|| {
        look_up_against_removal(|slots| {
            step(|| slots[0].store(SECOND, Ordering::Release));
            step(|| slots[1].store(REMOVED, Ordering::Release));
        });
    }));
}

/// A root by its version, and the version that the caches of threads are compared with.
struct Published {
    version: AtomicU64,
    current: AtomicU64,
}

impl Published {
    /// As `Published::find` does, where `cached` is the root in the cache of the thread.
    fn root(&self, cached: Option<u64>) -> u64 {
        let version = step(|| self.version.load(Ordering::Relaxed));
        match cached {
            Some(root) if root == version => root,
            _ => step(|| self.current.load(Ordering::Acquire)),
        }
    }
}

/// A thread that learns from another of the new root must use it too.
fn informing_of(replace: fn(&Published)) {
    check(move || {
        let twin = Arc::new(Published { version: AtomicU64::new(1), current: AtomicU64::new(1) });
        let informed = data();
        let replacer = thread::spawn({
            let twin = Arc::clone(&twin);
            move || replace(&twin)
        });
        let first = thread::spawn({
            let (twin, informed) = (Arc::clone(&twin), Arc::clone(&informed));
            move || {
                if twin.root(None) == 2 {
                    informed.store(1, Ordering::Release);
                }
            }
        });
        if step(|| informed.load(Ordering::Acquire)) == 1 {
            assert_eq!(twin.root(Some(1)), 2, "back in time");
        }
        replacer.join().unwrap();
        first.join().unwrap();
    });
}

#[test]
fn the_twin_of_publishing_passes_without_a_weakness() {
    informing_of(|twin| {
        step(|| twin.version.store(2, Ordering::Relaxed));
        step(|| twin.current.store(2, Ordering::Release));
    });
}

#[test]
fn a_version_stored_after_the_root_leads_back_in_time() {
    assert!(loom_rejects(|| {
        informing_of(|twin| {
            step(|| twin.current.store(2, Ordering::Release));
            step(|| twin.version.store(2, Ordering::Relaxed));
        });
    }));
}
