//! Ending every wait on a shard.

use std::sync::Arc;

use super::Waiters;
use super::spare;
use super::target::{CLOSED, REMOVED};
use crate::sync::{Ordering, locked};
use crate::wakers::Woken;

impl Waiters {
    /// Fails current and future waits. Wake the returned wakers after releasing all locks.
    pub(crate) fn close(&self) -> Woken {
        let (woken, empty) = locked(&self.queue, |slot| {
            let Some(queue) = slot else {
                if self.target.load(Ordering::Relaxed) != REMOVED {
                    self.target.store(CLOSED, Ordering::Release);
                }
                return (Woken::default(), None);
            };
            let queue = Arc::make_mut(queue);
            queue.closed = true;
            let woken = queue.take_wakers();
            queue.update_target(&self.target);
            (woken, slot.take_if(|queue| queue.is_empty()))
        });
        empty.into_iter().for_each(spare::keep);
        woken
    }

    /// As [`close`](Waiters::close), for a cell that has left its table. Nothing stays in memory but
    /// the cell.
    pub(crate) fn remove(&self) -> Woken {
        let queue = locked(&self.queue, |queue| {
            self.target.store(REMOVED, Ordering::Release);
            queue.take()
        });
        // A shared queue holds nothing but a bell, and the table rings.
        queue.and_then(Arc::into_inner).map(|mut queue| queue.take_wakers()).unwrap_or_default()
    }
}
