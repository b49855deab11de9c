//! Wakers on their way from a queue to being woken.
//!
//! A waker is a stranger's code. It is cloned, called and dropped outside every lock, and a panic
//! in it is caught, so that it neither stops the others nor the thread that advances.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::ids::SeqNo;

/// Wakers that were taken out of a queue and are not woken yet.
#[must_use = "who waits must be woken"]
#[derive(Default)]
pub(crate) struct Woken(BTreeMap<(SeqNo, u64), Waker>);

impl Woken {
    pub(crate) fn new(queue: BTreeMap<(SeqNo, u64), Waker>) -> Self {
        Woken(queue)
    }

    /// To be called without any lock.
    pub(crate) fn wake(self) {
        self.0.into_values().for_each(wake);
    }
}

/// As many wakers as are taken out under one lock: it is not held for long, and waking allocates
/// nothing.
#[derive(Default)]
pub(crate) struct Batch {
    wakers: [Option<Waker>; Batch::SIZE],
    len: usize,
}

impl Batch {
    const SIZE: usize = 32;

    pub(crate) fn is_full(&self) -> bool {
        self.len == Batch::SIZE
    }

    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    pub(crate) fn wake(self) {
        self.wakers.into_iter().take(self.len).flatten().for_each(wake);
    }
}

fn wake(waker: Waker) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Its hook has reported it. Dropping what it carries could panic again.
        std::mem::forget(panic);
    }
}
