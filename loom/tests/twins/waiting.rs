//! Twins of src/waiters.rs: a mark, the target beside it, and the waiters, under a lock.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{loom_rejects, raise, relaxed_raise};
use crate::{AtomicU64, Ordering, check, thread};

mod ending;

const REMOVED: u64 = 0;
const NOBODY: u64 = u64::MAX;

type Queue<'a> = MutexGuard<'a, WaitQueue>;

#[derive(Default)]
struct WaitQueue {
    awaited: Vec<u64>,
    closed: bool,
}

impl WaitQueue {
    fn lowest(&self) -> u64 {
        self.awaited.iter().copied().min().unwrap_or(NOBODY)
    }
}

#[derive(Clone, Copy)]
struct Steps {
    raise: fn(&AtomicU64, u64),
    sync_load: fn(&AtomicU64) -> u64,
    stores_before_loading: bool,
    looks_again: bool,
    must_settle: fn(target: u64, to: u64) -> bool,
    leave: fn(&Twin, u64),
    close: fn(&Twin),
    remove: fn(&Twin),
    next: fn(&Twin, seen: u64) -> u64,
}

const REAL: Steps = Steps {
    raise,
    sync_load: |mark| mark.fetch_max(0, Ordering::AcqRel),
    stores_before_loading: true,
    looks_again: true,
    must_settle: |target, to| target <= to,
    leave: |twin, seqno| leave_unless(twin, seqno, |target| target > seqno),
    close: |twin| {
        let mut queue = twin.lock();
        queue.closed = true;
        twin.end_all(queue);
    },
    remove: |twin| {
        let queue = twin.lock();
        twin.target.store(REMOVED, Ordering::Relaxed);
        twin.end_all(queue);
    },
    next: |_, seen| seen + 1,
};

/// Leaves the queue, unless the target says that this is done.
fn leave_unless(twin: &Twin, seqno: u64, is_gone: impl FnOnce(u64) -> bool) {
    if is_gone(twin.target.load(Ordering::Relaxed)) {
        return;
    }
    let mut queue = twin.lock();
    queue.awaited.retain(|awaited| *awaited != seqno);
    twin.update_target(&queue);
}

/// The target is `Relaxed` throughout: the lock and the mark order it.
struct Twin {
    steps: Steps,
    mark: AtomicU64,
    target: AtomicU64,
    queue: Mutex<WaitQueue>,
    changed: Condvar,
}

impl Twin {
    fn new(steps: Steps) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(0),
            target: AtomicU64::new(NOBODY),
            queue: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> Queue<'_> {
        self.queue.lock().unwrap()
    }

    fn update_target(&self, queue: &WaitQueue) {
        if self.target.load(Ordering::Relaxed) != REMOVED {
            self.target.store(queue.lowest(), Ordering::Relaxed);
        }
    }

    fn end_all(&self, mut queue: Queue<'_>) {
        queue.awaited.clear();
        self.update_target(&queue);
        drop(queue);
        self.changed.notify_all();
    }

    /// `None` if the wait is over.
    fn enter(&self, seqno: u64) -> Option<Queue<'_>> {
        let mut queue = self.lock();
        if queue.closed || self.target.load(Ordering::Relaxed) == REMOVED {
            return None;
        }
        queue.awaited.push(seqno);
        if self.steps.stores_before_loading {
            self.update_target(&queue); // 1.
        }
        let at = (self.steps.sync_load)(&self.mark); // 2.
        if !self.steps.stores_before_loading {
            self.update_target(&queue);
        }
        if self.steps.looks_again && at >= seqno {
            queue.awaited.retain(|awaited| *awaited != seqno);
            self.update_target(&queue);
            return None;
        }
        Some(queue) // 3.
    }

    fn wait(&self, seqno: u64) {
        let Some(mut queue) = self.enter(seqno) else { return };
        while queue.awaited.contains(&seqno) {
            queue = self.changed.wait(queue).unwrap();
        }
    }

    fn advance(&self, to: u64) {
        (self.steps.raise)(&self.mark, to); // 1.
        let target = self.target.load(Ordering::Relaxed); // 2.
        if (self.steps.must_settle)(target, to) {
            let mut queue = self.lock(); // 3.
            let at = self.mark.load(Ordering::Acquire);
            queue.awaited.retain(|awaited| *awaited > at);
            self.update_target(&queue);
            drop(queue);
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
        if let Some(queue) = twin.enter(3) {
            drop(queue);
            (steps.leave)(&twin, 3);
        }
        applier.join().unwrap();
        waiter.join().unwrap();
        let queue = twin.lock();
        assert!(queue.awaited.is_empty(), "found by advances to come");
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
    changes_of(REAL);
}

#[test]
fn a_plain_load_before_sleeping_loses_the_wake_up() {
    let sync_load = |mark: &AtomicU64| mark.load(Ordering::Acquire);
    assert!(loom_rejects(|| waking_of(Steps { sync_load, ..REAL })));
}

#[test]
fn a_relaxed_sync_load_loses_the_wake_up() {
    for weak in [Ordering::Relaxed, Ordering::Acquire] {
        let sync_load: fn(&AtomicU64) -> u64 = match weak {
            Ordering::Relaxed => |mark| mark.fetch_max(0, Ordering::Relaxed),
            _ => |mark| mark.fetch_max(0, Ordering::Acquire),
        };
        assert!(loom_rejects(|| waking_of(Steps { sync_load, ..REAL })), "{weak:?}");
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
    assert!(loom_rejects(|| waking_of(Steps { stores_before_loading: false, ..REAL })));
}

#[test]
fn a_target_compared_as_strictly_below_loses_the_wake_up() {
    assert!(loom_rejects(|| waking_of(Steps { must_settle: |target, to| target < to, ..REAL })));
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
fn leaving_without_the_lock_at_the_target_leaves_the_waiter_behind() {
    let leave = |twin: &Twin, seqno| leave_unless(twin, seqno, |target| target >= seqno);
    assert!(loom_rejects(|| leaving_of(Steps { leave, ..REAL })));
}

#[test]
fn changes_counted_from_the_present_mark_miss_the_last_one() {
    let next = |twin: &Twin, _| twin.mark.load(Ordering::Acquire) + 1;
    assert!(loom_rejects(|| changes_of(Steps { next, ..REAL })));
}
