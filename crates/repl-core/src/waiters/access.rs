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
            let result = f(self.queue_in(slot), &self.target);
            rest = self.bring_up_to_date(mark, slot);
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
            let result = f(Arc::get_mut(slot.as_mut()?)?, &self.target);
            rest = self.bring_up_to_date(mark, slot);
            Some(result)
        });
        rest.finish();
        result
    }

    /// The queue, made if there is none.
    #[inline]
    pub(super) fn queue_in<'a>(&self, slot: &'a mut Option<Arc<WaitQueue>>) -> &'a mut WaitQueue {
        let queue = slot.get_or_insert_with(|| spare::take(self.target().is_closed()));
        Arc::make_mut(queue)
    }

    /// After a change: updates the target, and takes out the watchers to wake, and an empty queue.
    #[inline]
    pub(super) fn bring_up_to_date(&self, mark: &Mark, slot: &mut Option<Arc<WaitQueue>>) -> Rest {
        let Some(queue) = slot.as_mut().and_then(Arc::get_mut) else { return Rest::default() };
        queue.update_target(&self.target);
        let watchers = queue.take_watchers_if_changed(mark);
        Rest { watchers, empty: slot.take_if(|queue| queue.is_empty()) }
    }
}
