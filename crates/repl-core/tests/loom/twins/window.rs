//! Twins of src/window.rs: a mark, a slot for each seqno above it, and a set of far claims.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, data, thread};

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const COMPLETED: u64 = 2;

/// Seqnos so far above the mark are in the slots.
const NEAR: u64 = 4;
/// The seqno that is claimed from afar.
const FAR: u64 = 5;

#[derive(Clone, Copy)]
struct Steps {
    completing: Ordering,
    looking: Ordering,
    meet: fn(&AtomicU64) -> u64,
    follows_on: bool,
    claim: fn(&AtomicU64) -> bool,
    release: fn(&AtomicU64),
    /// What a far claim finds the mark at, after it has shown itself.
    second_look: fn(&AtomicU64) -> u64,
}

const REAL: Steps = Steps {
    completing: Ordering::AcqRel,
    looking: Ordering::Acquire,
    meet,
    follows_on: true,
    claim: |slot| slot.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok(),
    release: |slot| {
        let _ = slot.compare_exchange(CLAIMED, FREE, Ordering::Release, Ordering::Relaxed);
    },
    second_look: meet,
};

fn meet(mark: &AtomicU64) -> u64 {
    mark.fetch_max(0, Ordering::AcqRel)
}

fn plain_load(mark: &AtomicU64) -> u64 {
    mark.load(Ordering::Acquire)
}

struct Twin {
    steps: Steps,
    mark: AtomicU64,
    slots: Vec<AtomicU64>,
    far: AtomicU64,
    claimed_from_afar: Mutex<bool>,
}

impl Twin {
    fn new(steps: Steps) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(0),
            slots: (0..=FAR).map(|_| AtomicU64::new(FREE)).collect(),
            far: AtomicU64::new(0),
            claimed_from_afar: Mutex::new(false),
        })
    }

    fn slot(&self, seqno: u64) -> &AtomicU64 {
        &self.slots[usize::try_from(seqno).unwrap()]
    }

    fn complete(&self, seqno: u64) {
        if self.mark.load(Ordering::Acquire) + 1 == seqno {
            raise(&self.mark, seqno);
            return self.follow(seqno);
        }
        self.slot(seqno).fetch_max(COMPLETED, self.steps.completing); // 1.
        let at = (self.steps.meet)(&self.mark); // 2.
        if at + 1 == seqno {
            self.follow(at); // 3.
        }
    }

    fn follow(&self, mut at: u64) {
        loop {
            let mut end = at;
            while self.slot(end + 1).load(self.steps.looking) == COMPLETED {
                end += 1;
            }
            if end == at {
                return;
            }
            raise(&self.mark, end);
            if !self.steps.follows_on {
                return;
            }
            at = self.mark.load(Ordering::Acquire);
        }
    }

    fn claim_what_may_be_far(&self) -> bool {
        if FAR - self.mark.load(Ordering::Acquire) > NEAR {
            let mut claimed = self.claimed_from_afar.lock().unwrap();
            if *claimed {
                return false;
            }
            self.far.fetch_max(FAR, Ordering::AcqRel);
            if FAR - (self.steps.second_look)(&self.mark) > NEAR {
                *claimed = true;
                return true;
            }
        }
        if self.far.load(Ordering::Acquire) < FAR {
            return (self.steps.claim)(self.slot(FAR));
        }
        let claimed = self.claimed_from_afar.lock().unwrap();
        !*claimed && (self.steps.claim)(self.slot(FAR))
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
        let other = spawn(&twin, |twin| (twin.steps.claim)(twin.slot(1)));
        let mine = (steps.claim)(twin.slot(1));
        assert!(mine ^ other.join().unwrap(), "given twice");
    });
}

fn letting_go_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        assert!((steps.claim)(twin.slot(2)));
        let completer = spawn(&twin, |twin| twin.complete(2));
        (steps.release)(twin.slot(2));
        completer.join().unwrap();
        assert_eq!(twin.slot(2).load(Ordering::Acquire), COMPLETED, "taken back");
    });
}

fn far_claims_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let claimers = [(); 2].map(|()| spawn(&twin, Twin::claim_what_may_be_far));
        raise(&twin.mark, 1);
        let claims = claimers.map(|claimer| claimer.join().unwrap());
        assert!(claims[0] ^ claims[1], "given twice, or to nobody");
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    gap_of(REAL);
    publication_of(REAL);
    claims_of(REAL);
    letting_go_of(REAL);
    far_claims_of(REAL);
}

#[test]
fn a_plain_load_after_completing_leaves_the_mark_behind() {
    assert!(loom_rejects(|| gap_of(Steps { meet: plain_load, ..REAL })));
}

#[test]
fn a_relaxed_sync_load_after_completing_leaves_the_mark_behind() {
    let meet = |mark: &AtomicU64| mark.fetch_max(0, Ordering::Relaxed);
    assert!(loom_rejects(|| gap_of(Steps { meet, ..REAL })));
}

#[test]
fn advancing_the_prefix_only_once_leaves_the_mark_behind() {
    assert!(loom_rejects(|| gap_of(Steps { follows_on: false, ..REAL })));
}

#[test]
fn a_slot_completed_or_looked_at_relaxed_publishes_nothing() {
    let weak = Ordering::Relaxed;
    assert!(loom_rejects(|| publication_of(Steps { completing: weak, ..REAL })));
    assert!(loom_rejects(|| publication_of(Steps { looking: weak, ..REAL })));
}

#[test]
fn a_claim_by_load_and_store_is_given_twice() {
    let claim = |slot: &AtomicU64| {
        let free = slot.load(Ordering::Acquire) == FREE;
        if free {
            slot.store(CLAIMED, Ordering::Release);
        }
        free
    };
    assert!(loom_rejects(|| claims_of(Steps { claim, ..REAL })));
}

#[test]
fn a_claim_released_without_comparing_undoes_a_completion() {
    let release = |slot: &AtomicU64| slot.store(FREE, Ordering::Release);
    assert!(loom_rejects(|| letting_go_of(Steps { release, ..REAL })));
}

#[test]
fn an_overflow_claim_without_a_second_look_is_given_twice() {
    assert!(loom_rejects(|| far_claims_of(Steps { second_look: |_| 0, ..REAL })));
}

#[test]
fn an_overflow_claim_with_a_plain_load_for_a_second_look_is_given_twice() {
    assert!(loom_rejects(|| far_claims_of(Steps { second_look: plain_load, ..REAL })));
}
