//! Arming a cell, so that its next change ends a wait for
//! [any change](crate::ReplicationState::any_change) of the state.
//!
//! A wait *arms* every cell: the bell of the state goes into the queue, and the target is
//! [`ARMED`](super::target::ARMED), which every advance finds reached. The first change of a cell
//! takes the bell out again and rings it. So an advance reads nothing that it does not read anyway,
//! and the next one is as fast as ever.
//!
//! Arming takes the steps of a waiter (`waiters.rs`): store the target, make a synchronized load of
//! the mark. The caller looks at the marks afterwards. A change that its look misses finds the
//! target, takes the lock after the arming, and rings. Without the load, the loom model
//! `an_advance_that_the_look_misses_ends_the_wait` fails.
//!
//! A change rings last, after the mark has moved over what is completed next to it. A wait that
//! begins in between is woken, and looks once more.

use std::sync::Arc;

use super::Waiters;
use super::queue::WaitQueue;
use super::target::{NOBODY, REMOVED};
use crate::bell::Bell;
use crate::mark::Mark;
use crate::sync::{Ordering, locked};

/// What a bell is in the queue of, in cells that have no queue of their own: shared, so that an
/// armed cell takes no memory.
pub(crate) struct Arming {
    bell: Arc<Bell>,
    queue: Arc<WaitQueue>,
}

impl Arming {
    pub(crate) fn of(bell: &Arc<Bell>) -> Self {
        let queue = Arc::new(WaitQueue::of(Arc::clone(bell)));
        Arming { bell: Arc::clone(bell), queue }
    }
}

impl Waiters {
    /// Makes the next change ring a bell.
    pub(crate) fn arm(&self, mark: &Mark, arming: &Arming) {
        locked(&self.queue, |slot| {
            if self.target.load(Ordering::Relaxed) == REMOVED {
                return; // its table rings
            }
            if slot.is_none() && !self.target().is_closed() {
                *slot = Some(Arc::clone(&arming.queue));
            }
            match slot.as_deref() {
                Some(queue) if queue.bell.is_some() => queue.update_target(&self.target), // 1.
                _ => {
                    let queue = self.queue_in(slot);
                    queue.bell = Some(Arc::clone(&arming.bell));
                    queue.update_target(&self.target); // 1.
                }
            }
            mark.sync_load(); // 2.
        });
    }

    /// After a change: rings the bell, if the cell is armed.
    #[inline]
    pub(crate) fn ring(&self) {
        if self.target().is_armed() {
            self.take_and_ring();
        }
    }

    #[cold]
    fn take_and_ring(&self) {
        let taken = locked(&self.queue, |slot| {
            let queue = slot.as_mut()?;
            let bell = queue.bell.clone()?;
            let Some(queue) = Arc::get_mut(queue) else {
                // It is shared, and holds nothing but the bell.
                self.target.store(NOBODY, Ordering::Release);
                return Some((bell, slot.take()));
            };
            queue.bell = None;
            queue.update_target(&self.target);
            Some((bell, slot.take_if(|queue| queue.is_empty())))
        });
        if let Some((bell, queue)) = taken {
            drop(queue);
            bell.ring();
        }
    }
}

#[cfg(all(test, not(loom_models)))]
mod tests {
    use super::*;
    use crate::waiters::Ticket;

    #[test]
    fn an_armed_cell_that_nothing_else_waits_on_has_no_queue_of_its_own() {
        let (mark, bell) = (Mark::new(0), Arc::new(Bell::new()));
        let (waiters, arming) = (Waiters::new(), Arming::of(&bell));
        let shares = || {
            locked(&waiters.queue, |queue| {
                queue.as_ref().map(|queue| Arc::ptr_eq(queue, &arming.queue))
            })
        };
        waiters.arm(&mark, &arming);
        assert_eq!(shares(), Some(true));
        waiters.leave(&mark, 5, &mut Some(Ticket::MIN)); // nothing of it is there
        assert_eq!(shares(), Some(true));
        mark.raise(1);
        waiters.settle(&mark);
        waiters.ring();
        assert_eq!((shares(), bell.rings()), (None, 1));
        assert!(!waiters.target().must_settle(2));
    }

    #[test]
    fn a_shard_stays_closed_when_it_is_armed_and_when_it_is_rung() {
        for closes_first in [true, false] {
            let (mark, bell) = (Mark::new(0), Arc::new(Bell::new()));
            let (waiters, arming) = (Waiters::new(), Arming::of(&bell));
            let is_closed = || {
                let poll = waiters.poll(&mark, 9, &mut None, std::task::Waker::noop());
                poll == std::task::Poll::Ready(Err(crate::outcome::WaitError::Closed))
            };
            if closes_first {
                waiters.close().wake();
            }
            waiters.arm(&mark, &arming);
            if !closes_first {
                waiters.close().wake();
            }
            assert!(is_closed(), "armed, closed first: {closes_first}");
            mark.raise(1);
            waiters.settle(&mark);
            waiters.ring();
            assert!(is_closed() && bell.rings() == 1, "rung, closed first: {closes_first}");
            assert!(locked(&waiters.queue, |queue| queue.is_none()));
        }
    }
}
