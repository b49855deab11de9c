//! The queue under its lock. A shard has one only while there is something to hold.

use std::sync::Arc;

use super::Waiters;
use super::queue::WaitQueue;
use super::spare;
use crate::mark::Mark;
use crate::sync::{AtomicU64, locked};
use crate::wakers::Watchers;

/// What a change of the queue leaves to be done without the lock.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) watchers: Option<Box<Watchers>>,
    pub(super) empty: Option<Arc<WaitQueue>>,
}

impl Rest {
    #[inline]
    pub(super) fn finish(self) {
        if let Some(watchers) = self.watchers {
            watchers.wake();
        }
        if let Some(queue) = self.empty {
            spare::keep(queue);
        }
    }
}

impl Waiters {
    /// Runs `f` under the lock on the queue, where there is one.
    pub(super) fn look<R>(&self, f: impl FnOnce(&WaitQueue) -> R) -> Option<R> {
        locked(&self.queue, |slot| slot.as_deref().map(f))
    }

    /// Runs `f` under the lock, brings the target up to date, and wakes the watchers of what is
    /// awaited where that changed.
    pub(super) fn with<R>(
        &self,
        mark: &Mark,
        f: impl FnOnce(&mut WaitQueue, &AtomicU64) -> R,
    ) -> R {
        let mut rest = Rest::default();
        let result = locked(&self.queue, |slot| {
            let queue = self.queue_in(slot);
            let result = f(queue, &self.target);
            rest.watchers = self.bring_up_to_date(mark, queue);
            rest.empty = slot.take_if(|queue| queue.is_empty());
            result
        });
        rest.finish();
        result
    }

    /// The same, where there is a queue.
    #[inline]
    pub(super) fn with_existing<R>(
        &self,
        mark: &Mark,
        f: impl FnOnce(&mut WaitQueue, &AtomicU64) -> R,
    ) -> Option<R> {
        let mut rest = Rest::default();
        let result = locked(&self.queue, |slot| {
            // A shared queue holds nothing but a bell.
            let queue = Arc::get_mut(slot.as_mut()?)?;
            let result = f(queue, &self.target);
            rest.watchers = self.bring_up_to_date(mark, queue);
            rest.empty = slot.take_if(|queue| queue.is_empty());
            Some(result)
        });
        rest.finish();
        result
    }

    /// The queue, made if there is none. Finding out whether it is shared takes an atomic
    /// read-modify-write, so this is done once under each lock, as in `with_existing`.
    #[inline]
    pub(super) fn queue_in<'a>(&self, slot: &'a mut Option<Arc<WaitQueue>>) -> &'a mut WaitQueue {
        let queue = slot.get_or_insert_with(|| spare::take(self.target().is_closed()));
        Arc::make_mut(queue)
    }

    /// After a change: updates the target, and takes out the watchers to wake.
    #[inline]
    pub(super) fn bring_up_to_date(
        &self,
        mark: &Mark,
        queue: &mut WaitQueue,
    ) -> Option<Box<Watchers>> {
        queue.update_target(&self.target);
        queue.take_watchers_if_changed(mark)
    }
}
