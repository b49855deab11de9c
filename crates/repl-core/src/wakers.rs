//! Wakers on their way from a queue to being woken.
//!
//! A waker is the caller's code. It is cloned, called and dropped outside every lock. A panic in it
//! is caught, so that it stops neither the other wakers nor the thread that advances.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::ids::SeqNo;

/// All wakers of one shard, taken out of its queues and not woken yet.
#[must_use = "the waiters must be woken"]
#[derive(Default)]
pub(crate) struct Woken {
    pub(crate) low: Option<Waker>,
    pub(crate) waiters: BTreeMap<(SeqNo, NonZeroU64), Waker>,
    pub(crate) watchers: Option<Box<Watchers>>,
}

/// The watchers of the lowest awaited seqno of one shard.
#[derive(Default, Clone)]
pub(crate) struct Watchers {
    /// By ticket.
    pub(crate) wakers: BTreeMap<u64, Waker>,
    /// What they have seen of it.
    pub(crate) seen: Option<SeqNo>,
}

impl Watchers {
    #[cold]
    pub(crate) fn wake(self) {
        self.wakers.into_values().for_each(wake);
    }
}

impl Woken {
    /// Wakes them. The caller holds no lock.
    pub(crate) fn wake(self) {
        let waiters = self.low.into_iter().chain(self.waiters.into_values());
        waiters.for_each(wake);
        self.watchers.into_iter().for_each(|watchers| watchers.wake());
    }
}

/// As many wakers as are taken out under one lock. It bounds how long the lock is held, and waking
/// allocates nothing.
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

    /// Wakes them, and leaves the batch empty.
    pub(crate) fn wake(&mut self) {
        let len = std::mem::take(&mut self.len);
        self.wakers[..len].iter_mut().filter_map(Option::take).for_each(wake);
    }
}

pub(crate) fn wake(waker: Waker) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // The panic hook has reported it. Dropping its payload could panic again.
        std::mem::forget(panic);
    }
}
