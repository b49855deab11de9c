//! The one door through which atomics, locks and shared pointers come: std and `arc_swap`, or loom
//! under `--cfg loom`.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex};

use std::sync::{Arc, PoisonError};

/// Runs `f` under the lock. A panic of an earlier holder is ignored: no code of a caller runs under
/// the locks of this crate, so what they guard is never found half changed.
pub(crate) fn locked<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A shared pointer that is read without locks and replaced whole. Whoever gets a value sees all
/// that was written before it was put there.
///
/// Loom cannot look inside `arc_swap`, so under loom a mutex with the same promise takes its place.
#[cfg(not(loom))]
pub(crate) struct Swap<T>(arc_swap::ArcSwap<T>);

#[cfg(not(loom))]
impl<T> Swap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Swap(arc_swap::ArcSwap::new(value))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

/// The stand-in for loom: see the other `Swap`.
#[cfg(loom)]
pub(crate) struct Swap<T>(Mutex<Arc<T>>);

#[cfg(loom)]
impl<T> Swap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Swap(Mutex::new(value))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        locked(&self.0, |arc| Arc::clone(arc))
    }

    pub(crate) fn replace(&self, value: Arc<T>) {
        locked(&self.0, |arc| *arc = value);
    }
}
