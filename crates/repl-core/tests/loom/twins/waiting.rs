//! Twins of src/waiters.rs: a mark, the target beside it, and who waits, under a lock.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{loom_rejects, raise, relaxed_raise};
use crate::{AtomicU64, Ordering, check, thread};

const REMOVED: u64 = 0;
const NOBODY: u64 = u64::MAX;

type Queue<'a> = MutexGuard<'a, Held>;

#[derive(Default)]
struct Held {
    awaited: Vec<u64>,
    closed: bool,
}

impl Held {
    fn lowest(&self) -> u64 {
        self.awaited.iter().copied().min().unwrap_or(NOBODY)
    }
}

#[derive(Clone, Copy)]
struct Steps {
    raise: fn(&AtomicU64, u64),
    meet: fn(&AtomicU64) -> u64,
    aims_before_meeting: bool,
    looks_again: bool,
    concerns: fn(target: u64, to: u64) -> bool,
    leave: fn(&Twin, u64),
    close: fn(&Twin),
    remove: fn(&Twin),
    next: fn(&Twin, seen: u64) -> u64,
}

const REAL: Steps = Steps {
    raise,
    meet: |mark| mark.fetch_max(0, Ordering::AcqRel),
    aims_before_meeting: true,
    looks_again: true,
    concerns: |target, to| target <= to,
    leave: |twin, seqno| {
        let mut held = twin.lock();
        held.awaited.retain(|awaited| *awaited != seqno);
        twin.aim(&held);
    },
    close: |twin| {
        let mut held = twin.lock();
        held.closed = true;
        twin.end_all(held);
    },
    remove: |twin| {
        let held = twin.lock();
        twin.target.store(REMOVED, Ordering::Relaxed);
        twin.end_all(held);
    },
    next: |_, seen| seen + 1,
};

/// The target is `Relaxed` throughout: what orders it is the lock and the mark.
struct Twin {
    steps: Steps,
    mark: AtomicU64,
    target: AtomicU64,
    held: Mutex<Held>,
    changed: Condvar,
}

impl Twin {
    fn new(steps: Steps) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(0),
            target: AtomicU64::new(NOBODY),
            held: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> Queue<'_> {
        self.held.lock().unwrap()
    }

    fn aim(&self, held: &Held) {
        if self.target.load(Ordering::Relaxed) != REMOVED {
            self.target.store(held.lowest(), Ordering::Relaxed);
        }
    }

    fn end_all(&self, mut held: Queue<'_>) {
        held.awaited.clear();
        self.aim(&held);
        drop(held);
        self.changed.notify_all();
    }

    /// `None` where there is nothing to wait for.
    fn enter(&self, seqno: u64) -> Option<Queue<'_>> {
        let mut held = self.lock();
        if held.closed || self.target.load(Ordering::Relaxed) == REMOVED {
            return None;
        }
        held.awaited.push(seqno);
        if self.steps.aims_before_meeting {
            self.aim(&held); // 1.
        }
        let at = (self.steps.meet)(&self.mark); // 2.
        if !self.steps.aims_before_meeting {
            self.aim(&held);
        }
        if self.steps.looks_again && at >= seqno {
            held.awaited.retain(|awaited| *awaited != seqno);
            self.aim(&held);
            return None;
        }
        Some(held) // 3.
    }

    fn wait(&self, seqno: u64) {
        let Some(mut held) = self.enter(seqno) else { return };
        while held.awaited.contains(&seqno) {
            held = self.changed.wait(held).unwrap();
        }
    }

    fn advance(&self, to: u64) {
        (self.steps.raise)(&self.mark, to); // 1.
        let target = self.target.load(Ordering::Relaxed); // 2.
        if (self.steps.concerns)(target, to) {
            let mut held = self.lock(); // 3.
            let at = self.mark.load(Ordering::Acquire);
            held.awaited.retain(|awaited| *awaited > at);
            self.aim(&held);
            drop(held);
            self.changed.notify_all();
        }
    }
}

fn spawn(twin: &Arc<Twin>, f: impl FnOnce(&Twin) + 'static) -> thread::JoinHandle<()> {
    let twin = Arc::clone(twin);
    thread::spawn(move || f(&twin))
}

fn waking_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let waiter = spawn(&twin, |twin| twin.wait(1));
        twin.advance(1);
        waiter.join().unwrap();
    });
}

fn leaving_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let waiter = spawn(&twin, |twin| twin.wait(2));
        let applier = spawn(&twin, |twin| twin.advance(2));
        if let Some(held) = twin.enter(3) {
            drop(held);
            (steps.leave)(&twin, 3);
        }
        applier.join().unwrap();
        waiter.join().unwrap();
        let held = twin.lock();
        assert!(held.awaited.is_empty(), "found by advances to come");
    });
}

/// The wait may end before the seqno is reached, and must.
fn ending_of(steps: Steps, end: fn(&Twin)) {
    check(move || {
        let twin = Twin::new(steps);
        let waiter = spawn(&twin, |twin| twin.wait(1));
        end(&twin);
        waiter.join().unwrap();
    });
}

fn changes_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let applier = spawn(&twin, |twin| {
            twin.advance(1);
            twin.advance(2);
        });
        let mut seen = 0;
        while seen < 2 {
            twin.wait((steps.next)(&twin, seen));
            seen = twin.mark.load(Ordering::Acquire);
        }
        applier.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    waking_of(REAL);
    leaving_of(REAL);
    ending_of(REAL, REAL.close);
    ending_of(REAL, REAL.remove);
    changes_of(REAL);
}

#[test]
fn a_plain_load_before_sleeping_loses_the_wake_up() {
    let meet = |mark: &AtomicU64| mark.load(Ordering::Acquire);
    assert!(loom_rejects(|| waking_of(Steps { meet, ..REAL })));
}

#[test]
fn a_relaxed_sync_load_loses_the_wake_up() {
    for weak in [Ordering::Relaxed, Ordering::Acquire] {
        let meet: fn(&AtomicU64) -> u64 = match weak {
            Ordering::Relaxed => |mark| mark.fetch_max(0, Ordering::Relaxed),
            _ => |mark| mark.fetch_max(0, Ordering::Acquire),
        };
        assert!(loom_rejects(|| waking_of(Steps { meet, ..REAL })), "{weak:?}");
    }
}

#[test]
fn a_relaxed_raise_loses_the_wake_up() {
    assert!(loom_rejects(|| waking_of(Steps { raise: relaxed_raise, ..REAL })));
    let raise = |mark: &AtomicU64, to| {
        mark.fetch_max(to, Ordering::Release);
    };
    assert!(loom_rejects(|| waking_of(Steps { raise, ..REAL })));
}

#[test]
fn sleeping_without_a_second_look_loses_the_wake_up() {
    assert!(loom_rejects(|| waking_of(Steps { looks_again: false, ..REAL })));
}

#[test]
fn a_target_stored_too_late_loses_the_wake_up() {
    assert!(loom_rejects(|| waking_of(Steps { aims_before_meeting: false, ..REAL })));
}

#[test]
fn a_target_compared_as_strictly_below_loses_the_wake_up() {
    assert!(loom_rejects(|| waking_of(Steps { concerns: |target, to| target < to, ..REAL })));
}

#[test]
fn leaving_as_the_only_waiter_loses_the_wake_up_of_others() {
    let leave = |twin: &Twin, seqno| {
        twin.lock().awaited.retain(|awaited| *awaited != seqno);
        twin.target.store(NOBODY, Ordering::Relaxed);
    };
    assert!(loom_rejects(|| leaving_of(Steps { leave, ..REAL })));
}

#[test]
fn a_waiter_dropped_without_leaving_is_found_by_later_advances() {
    assert!(loom_rejects(|| leaving_of(Steps { leave: |_, _| {}, ..REAL })));
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

#[test]
fn changes_counted_from_the_present_mark_miss_the_last_one() {
    let next = |twin: &Twin, _| twin.mark.load(Ordering::Acquire) + 1;
    assert!(loom_rejects(|| changes_of(Steps { next, ..REAL })));
}
