//! Twins of an apply window: a mark, the state of each seqno above it, and a claim in overflow.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, data, thread};

/// How far above the mark the chunks reach.
const REACH: u64 = 4;
/// The seqno that is claimed in overflow.
const OVERFLOW: u64 = 5;

#[derive(Clone, Copy)]
struct Steps {
    completing: Ordering,
    looking: Ordering,
    sync_load: fn(&AtomicU64) -> u64,
    goes_on: bool,
    claim: fn(&AtomicU64) -> bool,
    release: fn(&AtomicU64),
    /// How a claim in overflow reads the mark after it has raised `overflow_end`.
    second_look: fn(&AtomicU64) -> u64,
}

const REAL: Steps = Steps {
    completing: Ordering::AcqRel,
    looking: Ordering::Acquire,
    sync_load,
    goes_on: true,
    claim: |claimed| claimed.fetch_or(1, Ordering::AcqRel) == 0,
    release: |claimed| {
        claimed.fetch_and(0, Ordering::Release);
    },
    second_look: sync_load,
};

fn sync_load(mark: &AtomicU64) -> u64 {
    mark.fetch_add(0, Ordering::AcqRel)
}

fn plain_load(mark: &AtomicU64) -> u64 {
    mark.load(Ordering::Acquire)
}

struct Twin {
    steps: Steps,
    mark: AtomicU64,
    completed: Vec<AtomicU64>,
    claimed: Vec<AtomicU64>,
    overflow_end: AtomicU64,
    claimed_in_overflow: Mutex<bool>,
}

impl Twin {
    fn new(steps: Steps) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(0),
            completed: (0..=OVERFLOW).map(|_| AtomicU64::new(0)).collect(),
            claimed: (0..=OVERFLOW).map(|_| AtomicU64::new(0)).collect(),
            overflow_end: AtomicU64::new(0),
            claimed_in_overflow: Mutex::new(false),
        })
    }

    fn completed(&self, seqno: u64) -> &AtomicU64 {
        &self.completed[usize::try_from(seqno).unwrap()]
    }

    fn claimed(&self, seqno: u64) -> &AtomicU64 {
        &self.claimed[usize::try_from(seqno).unwrap()]
    }

    fn complete(&self, seqno: u64) {
        if self.mark.load(Ordering::Acquire) + 1 == seqno {
            raise(&self.mark, seqno);
            return self.advance_prefix(seqno);
        }
        self.completed(seqno).fetch_or(1, self.steps.completing); // 1.
        let at = (self.steps.sync_load)(&self.mark); // 2.
        if at + 1 == seqno {
            self.advance_prefix(at); // 3.
        }
    }

    fn advance_prefix(&self, mut at: u64) {
        loop {
            let mut end = at;
            while self.completed(end + 1).load(self.steps.looking) == 1 {
                end += 1;
            }
            if end == at {
                return;
            }
            raise(&self.mark, end);
            if !self.steps.goes_on {
                return;
            }
            at = self.mark.load(Ordering::Acquire);
        }
    }

    fn claim_what_may_be_in_overflow(&self) -> bool {
        if OVERFLOW - self.mark.load(Ordering::Acquire) > REACH {
            let mut claimed = self.claimed_in_overflow.lock().unwrap();
            if *claimed {
                return false;
            }
            self.overflow_end.fetch_max(OVERFLOW, Ordering::AcqRel);
            if OVERFLOW - (self.steps.second_look)(&self.mark) > REACH {
                *claimed = true;
                return true;
            }
        }
        if self.overflow_end.load(Ordering::Acquire) < OVERFLOW {
            return (self.steps.claim)(self.claimed(OVERFLOW));
        }
        let claimed = self.claimed_in_overflow.lock().unwrap();
        !*claimed && (self.steps.claim)(self.claimed(OVERFLOW))
    }
}

fn spawn<R: 'static>(
    twin: &Arc<Twin>,
    f: impl FnOnce(&Twin) -> R + 'static,
) -> thread::JoinHandle<R> {
    let twin = Arc::clone(twin);
    thread::spawn(move || f(&twin))
}

fn gap_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let completers = [2, 3].map(|seqno| spawn(&twin, move |twin| twin.complete(seqno)));
        twin.complete(1);
        for completer in completers {
            completer.join().unwrap();
        }
        assert_eq!(twin.mark.load(Ordering::Acquire), 3, "left behind");
    });
}

fn publication_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let written = data();
        let later = spawn(&twin, {
            let written = Arc::clone(&written);
            move |twin| {
                written.store(1, Ordering::Relaxed);
                twin.complete(2);
            }
        });
        twin.complete(1);
        if twin.mark.load(Ordering::Acquire) == 2 {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        later.join().unwrap();
    });
}

fn claims_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let other = spawn(&twin, |twin| (twin.steps.claim)(twin.claimed(1)));
        let mine = (steps.claim)(twin.claimed(1));
        assert!(mine ^ other.join().unwrap(), "claimed twice");
    });
}

/// Each claimer adds 1 in two steps.
fn releasing_of(steps: Steps) {
    check(move || {
        let (twin, count) = (Twin::new(steps), data());
        let add = {
            let count = Arc::clone(&count);
            move |twin: &Twin| {
                let claimed = (twin.steps.claim)(twin.claimed(2));
                if claimed {
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    (twin.steps.release)(twin.claimed(2));
                }
                u64::from(claimed)
            }
        };
        let other = spawn(&twin, add.clone());
        let claims = add(&twin) + other.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), claims, "a claimer has not seen the one before");
    });
}

fn overflow_claims_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let claimers = [(); 2].map(|()| spawn(&twin, Twin::claim_what_may_be_in_overflow));
        raise(&twin.mark, 1);
        let claims = claimers.map(|claimer| claimer.join().unwrap());
        assert!(claims[0] ^ claims[1], "claimed twice, or not at all");
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    gap_of(REAL);
    publication_of(REAL);
    claims_of(REAL);
    releasing_of(REAL);
    overflow_claims_of(REAL);
}

#[test]
fn a_plain_load_after_completing_leaves_the_mark_behind() {
    assert!(loom_rejects(|| gap_of(Steps { sync_load: plain_load, ..REAL })));
}

#[test]
fn a_relaxed_sync_load_after_completing_leaves_the_mark_behind() {
    let sync_load = |mark: &AtomicU64| mark.fetch_max(0, Ordering::Relaxed);
    assert!(loom_rejects(|| gap_of(Steps { sync_load, ..REAL })));
}

#[test]
fn advancing_the_prefix_only_once_leaves_the_mark_behind() {
    assert!(loom_rejects(|| gap_of(Steps { goes_on: false, ..REAL })));
}

#[test]
fn a_bit_completed_or_looked_at_relaxed_publishes_nothing() {
    let weak = Ordering::Relaxed;
    assert!(loom_rejects(|| publication_of(Steps { completing: weak, ..REAL })));
    assert!(loom_rejects(|| publication_of(Steps { looking: weak, ..REAL })));
}

#[test]
fn a_claim_by_load_and_store_is_given_twice() {
    let claim = |claimed: &AtomicU64| {
        let free = claimed.load(Ordering::Acquire) == 0;
        if free {
            claimed.store(1, Ordering::Release);
        }
        free
    };
    assert!(loom_rejects(|| claims_of(Steps { claim, ..REAL })));
}

#[test]
fn a_claim_taken_or_released_relaxed_hides_what_its_holder_did() {
    let release = |claimed: &AtomicU64| {
        claimed.fetch_and(0, Ordering::Relaxed);
    };
    assert!(loom_rejects(|| releasing_of(Steps { release, ..REAL })));
    let claim = |claimed: &AtomicU64| claimed.fetch_or(1, Ordering::Release) == 0;
    assert!(loom_rejects(|| releasing_of(Steps { claim, ..REAL })));
}

#[test]
fn an_overflow_claim_without_a_second_look_is_given_twice() {
    assert!(loom_rejects(|| overflow_claims_of(Steps { second_look: |_| 0, ..REAL })));
}

#[test]
fn an_overflow_claim_with_a_plain_load_for_a_second_look_is_given_twice() {
    assert!(loom_rejects(|| overflow_claims_of(Steps { second_look: plain_load, ..REAL })));
}
