//! Closing and removing: every wait ends.

use super::{Ordering, REAL, REMOVED, Steps, Twin, check, loom_rejects, spawn};

/// The wait must end though the seqno is never reached.
fn ending_of(steps: Steps, end: fn(&Twin)) {
    check(move || {
        let twin = Twin::new(steps);
        let waiter = spawn(&twin, |twin| twin.wait(1));
        end(&twin);
        waiter.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    ending_of(REAL, REAL.close);
    ending_of(REAL, REAL.remove);
}

#[test]
fn closing_after_emptying_the_queue_leaves_a_late_waiter_asleep() {
    let close = |twin: &Twin| {
        twin.end_all(twin.lock());
        twin.lock().closed = true;
    };
    assert!(loom_rejects(|| ending_of(REAL, close)));
}

#[test]
fn removing_after_emptying_the_queue_leaves_a_late_waiter_asleep() {
    let remove = |twin: &Twin| {
        twin.end_all(twin.lock());
        twin.target.store(REMOVED, Ordering::Relaxed);
    };
    assert!(loom_rejects(|| ending_of(REAL, remove)));
}

#[test]
fn removing_without_waking_leaves_a_waiter_asleep() {
    let remove = |twin: &Twin| twin.target.store(REMOVED, Ordering::Relaxed);
    assert!(loom_rejects(|| ending_of(REAL, remove)));
}
