//! Removing a shard and adding it again, with one step weakened.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::loom_rejects;
use crate::{check, step};

const REMOVED: u64 = 0;
const WAITED_FOR: u64 = 9;

/// The target of the ended incarnation, and the incarnation that a look-up finds.
struct Twin {
    target: AtomicU64,
    found: AtomicU64,
    mark_of_new: AtomicU64,
}

/// How an incarnation is ended and how an advance on its handle reads that.
#[derive(Clone, Copy)]
struct Steps {
    store: Ordering,
    load: Ordering,
    publish_first: bool,
}

const RIGHT: Steps =
    Steps { store: Ordering::Release, load: Ordering::Acquire, publish_first: true };

fn reset(twin: &Twin, steps: Steps) {
    let publish = || {
        twin.mark_of_new.store(5, Ordering::Relaxed);
        step(|| twin.found.store(1, Ordering::Relaxed));
    };
    if steps.publish_first {
        publish();
    }
    step(|| twin.target.store(REMOVED, steps.store));
    if !steps.publish_first {
        publish();
    }
}

/// A thread that sees the incarnation ended looks the shard up again and must find the new one.
fn reset_against_advance(steps: Steps) {
    check(move || {
        let twin = Arc::new(Twin {
            target: AtomicU64::new(WAITED_FOR),
            found: AtomicU64::new(0),
            mark_of_new: AtomicU64::new(0),
        });
        let resetter = thread::spawn({
            let twin = Arc::clone(&twin);
            move || reset(&twin, steps)
        });
        if step(|| twin.target.load(steps.load)) == REMOVED {
            assert_eq!(twin.found.load(Ordering::Relaxed), 1, "the old incarnation is found");
            assert_eq!(twin.mark_of_new.load(Ordering::Relaxed), 5);
        }
        resetter.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    reset_against_advance(RIGHT);
}

#[test]
fn a_relaxed_removal_flag_leads_back_to_the_old_incarnation() {
    assert!(loom_rejects(|| reset_against_advance(Steps { store: Ordering::Relaxed, ..RIGHT })));
    assert!(loom_rejects(|| reset_against_advance(Steps { load: Ordering::Relaxed, ..RIGHT })));
}

#[test]
fn a_removal_flag_set_before_the_new_table_leads_back_to_the_old_incarnation() {
    assert!(loom_rejects(|| reset_against_advance(Steps { publish_first: false, ..RIGHT })));
}
