//! Copies of the protocols with exchangeable steps: with the steps of the real one they pass, with
//! one weaker step loom must reject them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use crate::{AtomicU64, Ordering, check, data, step, thread};

mod chunks;
mod flag;
mod ranges;
mod removal;
mod table;
mod waiting;
mod window;

/// The mark of src/mark.rs with its steps exchangeable.
struct Twin {
    seqno: AtomicU64,
    load: Ordering,
    raise: fn(&AtomicU64, u64),
}

impl Twin {
    fn new(load: Ordering, raise: fn(&AtomicU64, u64)) -> Arc<Self> {
        Arc::new(Twin { seqno: AtomicU64::new(0), load, raise })
    }

    fn applied(&self) -> u64 {
        self.seqno.load(self.load)
    }
}

/// As `Mark::raise` does.
fn raise(seqno: &AtomicU64, to: u64) {
    seqno.fetch_max(to, Ordering::AcqRel);
}

fn relaxed_raise(seqno: &AtomicU64, to: u64) {
    seqno.fetch_max(to, Ordering::Relaxed);
}

fn plain_store(seqno: &AtomicU64, to: u64) {
    if seqno.load(Ordering::Acquire) < to {
        seqno.store(to, Ordering::Release);
    }
}

fn publication_of(load: Ordering, raise: fn(&AtomicU64, u64)) {
    check(move || {
        let twin = Twin::new(load, raise);
        let written = data();
        let applier = thread::spawn({
            let (twin, written) = (Arc::clone(&twin), Arc::clone(&written));
            move || {
                written.store(1, Ordering::Relaxed);
                step(|| (twin.raise)(&twin.seqno, 1));
            }
        });
        if step(|| twin.applied()) == 1 {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        applier.join().unwrap();
    });
}

fn monotony_of(raise: fn(&AtomicU64, u64)) {
    check(move || {
        let twin = Twin::new(Ordering::Acquire, raise);
        let advancers = [1, 2].map(|to| {
            let twin = Arc::clone(&twin);
            thread::spawn(move || step(|| (twin.raise)(&twin.seqno, to)))
        });
        let (earlier, later) = (step(|| twin.applied()), step(|| twin.applied()));
        assert!(earlier <= later);
        for advancer in advancers {
            advancer.join().unwrap();
        }
        assert_eq!(step(|| twin.applied()), 2);
    });
}

/// Whether loom refutes the model. Its panic is expected, and kept out of the test's output.
fn loom_rejects(model: impl FnOnce()) -> bool {
    std::thread_local! {
        static SILENT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                usual(info);
            }
        }));
    });
    SILENT.set(true);
    let result = catch_unwind(AssertUnwindSafe(model));
    SILENT.set(false);
    result.is_err()
}

#[test]
fn the_twin_without_a_weakness_passes() {
    publication_of(Ordering::Acquire, raise);
    monotony_of(raise);
}

#[test]
fn a_relaxed_mark_publishes_nothing() {
    assert!(loom_rejects(|| publication_of(Ordering::Acquire, relaxed_raise)));
    assert!(loom_rejects(|| publication_of(Ordering::Relaxed, raise)));
}

#[test]
fn a_plain_store_lets_the_mark_fall() {
    assert!(loom_rejects(|| monotony_of(plain_store)));
}
