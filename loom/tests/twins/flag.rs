//! A twin of the flag of what is completed above a mark, and of `highest`: src/window_state.rs.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, thread};

#[derive(Clone, Copy, PartialEq)]
enum FlagSet {
    First,
    AfterHighest,
    AfterTheBit,
}

#[derive(Clone, Copy)]
struct Steps {
    flag: FlagSet,
    reading: Ordering,
    /// Changes `highest` from a seqno to 0, at a mark; returns whether it did.
    clear: fn(&AtomicU64, u64, u64) -> bool,
}

const REAL: Steps = Steps {
    flag: FlagSet::First,
    reading: Ordering::Acquire,
    clear: |highest, seen, mark| seen <= mark && swap(highest, seen, 0),
};

fn swap(highest: &AtomicU64, from: u64, to: u64) -> bool {
    highest.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

struct Twin {
    steps: Steps,
    mark: AtomicU64,
    completed: [AtomicU64; 6],
    highest: AtomicU64,
    flag: AtomicU64,
    lock: Mutex<()>,
}

impl Twin {
    /// The flag is set if `highest` is not 0; the mark is there.
    fn new(steps: Steps, highest: u64) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(1),
            completed: Default::default(),
            highest: AtomicU64::new(highest),
            flag: AtomicU64::new(u64::from(highest != 0)),
            lock: Mutex::new(()),
        })
    }

    fn bit(&self, seqno: u64) -> &AtomicU64 {
        &self.completed[usize::try_from(seqno).unwrap()]
    }

    fn set_flag(&self) {
        self.flag.store(1, Ordering::Release);
    }

    /// Completes a seqno that is not next to the mark.
    fn complete(&self, seqno: u64) {
        let mut highest = self.highest.load(self.steps.reading);
        while highest != 0 && highest < seqno && !swap(&self.highest, highest, seqno) {
            highest = self.highest.load(self.steps.reading);
        }
        let begins = highest == 0;
        if begins {
            let _lock = self.lock.lock().unwrap();
            if self.steps.flag == FlagSet::First {
                self.set_flag();
            }
            self.highest.fetch_max(seqno, Ordering::AcqRel);
            if self.steps.flag == FlagSet::AfterHighest {
                self.set_flag();
            }
        }
        self.bit(seqno).fetch_or(1, Ordering::AcqRel);
        if begins && self.steps.flag == FlagSet::AfterTheBit {
            self.set_flag();
        }
        let at = self.mark.fetch_add(0, Ordering::AcqRel);
        if at + 1 >= seqno {
            self.advance_prefix(at);
        }
    }

    fn advance_prefix(&self, mut at: u64) {
        while self.bit(at + 1).load(Ordering::Acquire) == 1 {
            at += 1;
            raise(&self.mark, at);
        }
    }

    /// An advance from outside the window.
    fn advance(&self, to: u64) {
        raise(&self.mark, to);
        if self.flag.load(Ordering::Acquire) == 1 {
            self.advance_prefix(to);
        }
    }

    /// What a snapshot does that finds nothing above the mark.
    fn clear(&self) {
        let _lock = self.lock.lock().unwrap();
        let highest = self.highest.load(Ordering::Relaxed);
        let mark = self.mark.load(Ordering::Acquire);
        if highest != 0 && (self.steps.clear)(&self.highest, highest, mark) {
            self.flag.store(0, Ordering::Release);
        }
    }
}

fn spawn(twin: &Arc<Twin>, f: impl FnOnce(&Twin) + 'static) -> thread::JoinHandle<()> {
    let twin = Arc::clone(twin);
    thread::spawn(move || f(&twin))
}

/// The mark goes on over 3, though a snapshot looks while it is completed.
fn clearing_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps, 1);
        let others = [spawn(&twin, |twin| twin.complete(3)), spawn(&twin, Twin::clear)];
        twin.advance(2);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(twin.mark.load(Ordering::Acquire), 3, "left behind");
    });
}

/// The mark goes on over 3, which is completed while another thread sets the flag for 4.
fn setting_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps, 0);
        let others = [4, 3].map(|seqno| spawn(&twin, move |twin| twin.complete(seqno)));
        twin.advance(2);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(twin.mark.load(Ordering::Acquire), 4, "left behind");
    });
}

/// What is found completed is found by the flag, unless the mark has passed it.
fn finding_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps, 1);
        let others = [spawn(&twin, |twin| twin.complete(3)), spawn(&twin, Twin::clear)];
        if twin.bit(3).load(Ordering::Acquire) == 1 {
            assert_eq!(twin.flag.load(Ordering::Acquire), 1, "hidden");
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    clearing_of(REAL);
    setting_of(REAL);
    finding_of(REAL);
}

#[test]
fn a_flag_set_late_hides_a_completion() {
    assert!(loom_rejects(|| finding_of(Steps { flag: FlagSet::AfterTheBit, ..REAL })));
    assert!(loom_rejects(|| setting_of(Steps { flag: FlagSet::AfterHighest, ..REAL })));
}

#[test]
fn a_flag_cleared_without_comparing_leaves_the_mark_behind() {
    let clear = |highest: &AtomicU64, seen: u64, mark: u64| {
        let passed = seen <= mark;
        if passed {
            highest.store(0, Ordering::Release);
        }
        passed
    };
    assert!(loom_rejects(|| clearing_of(Steps { clear, ..REAL })));
    let clear = |highest: &AtomicU64, seen: u64, _: u64| swap(highest, seen, 0);
    assert!(loom_rejects(|| clearing_of(Steps { clear, ..REAL })));
}

#[test]
fn a_highest_read_relaxed_leaves_the_mark_behind() {
    assert!(loom_rejects(|| setting_of(Steps { reading: Ordering::Relaxed, ..REAL })));
}
