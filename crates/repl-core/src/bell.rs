//! Wakes all that wait for any change of a state, each time it is rung.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use crate::outcome::WaitError;
use crate::sync::{AtomicU64, Mutex, Ordering, locked};
use crate::wakers::wake;

/// Counts the changes that were waited for.
pub(crate) struct Bell {
    /// Written under the lock.
    rings: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    next_ticket: u64,
    closed: bool,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Bell { rings: AtomicU64::new(0), waiting: Mutex::default() }
    }

    /// How many times it was rung. What came before those rings can be seen.
    pub(crate) fn rings(&self) -> u64 {
        self.rings.load(Ordering::Acquire)
    }

    /// Rings it. The caller holds no lock.
    pub(crate) fn ring(&self) {
        let wakers = locked(&self.waiting, |waiting| {
            self.rings.fetch_add(1, Ordering::Release);
            std::mem::take(&mut waiting.wakers)
        });
        wakers.into_values().for_each(wake);
    }

    /// Fails current and future waits.
    pub(crate) fn close(&self) {
        let wakers = locked(&self.waiting, |waiting| {
            waiting.closed = true;
            std::mem::take(&mut waiting.wakers)
        });
        wakers.into_values().for_each(wake);
    }

    /// Whether it was rung more than `seen` times. While it was not, `waker` is kept, and `ticket`
    /// is its place until [`leave`](Bell::leave).
    pub(crate) fn poll(
        &self,
        seen: u64,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<(), WaitError>> {
        let new = waker.clone();
        // What is left in it is dropped after the lock.
        let (polled, _old) = locked(&self.waiting, |waiting| {
            let old = ticket.take().and_then(|ticket| waiting.wakers.remove(&ticket));
            if self.rings() > seen {
                return (Poll::Ready(Ok(())), [old, Some(new)]);
            }
            if waiting.closed {
                return (Poll::Ready(Err(WaitError::Closed)), [old, Some(new)]);
            }
            let place = waiting.next_ticket;
            waiting.next_ticket += 1;
            *ticket = Some(place);
            (Poll::Pending, [old, waiting.wakers.insert(place, new)])
        });
        polled
    }

    /// Gives up a place.
    pub(crate) fn leave(&self, ticket: &mut Option<u64>) {
        if let Some(ticket) = ticket.take() {
            drop(locked(&self.waiting, |waiting| waiting.wakers.remove(&ticket)));
        }
    }
}
