//! Atomics, locks and shared pointers: those of std and `arc_swap`, or loom's where the crate
//! loom-models compiles these sources. The other modules take them from here alone.

#[cfg(loom_models)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom_models)]
pub(crate) use loom::sync::{Condvar, Mutex};
#[cfg(not(loom_models))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom_models))]
pub(crate) use std::sync::{Condvar, Mutex};

use std::sync::{Arc, PoisonError, TryLockError};

/// Runs `f` under the lock. A panic of an earlier holder is ignored: no caller's code runs under the
/// locks of this crate, so what they guard is never half changed.
#[inline]
pub(crate) fn locked<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs `f` under the lock, unless another thread holds it.
pub(crate) fn try_locked<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
    match mutex.try_lock() {
        Ok(mut guard) => Some(f(&mut guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(f(&mut poisoned.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A place at which another thread may come first: between reading a word and acting on it, or
/// between two steps of a protocol. It orders nothing. Does nothing but under loom.
///
/// Loom tries the other order of two accesses only where the later thread's last access to the same
/// word is not its own. A thread that reads a word and then changes it hides from loom what another
/// did in between. An access to a word that all threads share, at such a place, brings it to light.
///
/// Each such place multiplies what a model has to try, so only models that ask for them have them.
#[cfg(loom_models)]
pub(crate) fn interleave() {
    loom::lazy_static! {
        static ref SHARED: AtomicU64 = AtomicU64::new(0);
    }
    if INTERLEAVED.get() {
        SHARED.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(loom_models)]
std::thread_local! {
    static INTERLEAVED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Turns the places at which a thread may be stopped on or off, for the models of this thread of
/// the system.
#[cfg(loom_models)]
pub fn set_interleaved(on: bool) {
    INTERLEAVED.set(on);
}

#[cfg(not(loom_models))]
#[inline(always)]
pub(crate) fn interleave() {}

/// A shared pointer that is read without locks and replaced whole. A thread that gets a value
/// observes everything that was written before the value was stored.
///
/// Loom cannot look inside `arc_swap`, so under loom a mutex with the same promise takes its place.
#[cfg(not(loom_models))]
pub(crate) struct Swap<T>(arc_swap::ArcSwap<T>);

#[cfg(not(loom_models))]
impl<T> Swap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Swap(arc_swap::ArcSwap::new(value))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Runs `f` on the value without counting a reference: neither waits for another thread.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.load())
    }

    pub(crate) fn replace(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

/// For loom: see the other `Swap`. A thread may read an older value, as long as nothing orders it
/// after the newer one: so the values are kept.
#[cfg(loom_models)]
pub(crate) struct Swap<T> {
    values: std::sync::Mutex<Vec<Arc<T>>>,
    newest: AtomicU64,
}

#[cfg(loom_models)]
impl<T> Swap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Swap { values: std::sync::Mutex::new(vec![value]), newest: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self) -> Arc<T> {
        let newest = self.newest.load(Ordering::Acquire);
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&values[usize::try_from(newest).unwrap_or(0)])
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.get())
    }

    /// One caller at a time.
    pub(crate) fn replace(&self, value: Arc<T>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let next = values.len() as u64;
        values.push(value);
        drop(values);
        self.newest.store(next, Ordering::Release);
    }
}
