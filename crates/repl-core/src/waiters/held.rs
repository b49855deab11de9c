//! What the lock of one shard guards: its queue, and what is completed above its mark. The numbers
//! are those of the steps in `waiters.rs`.

use std::collections::BTreeMap;
use std::task::Waker;

use super::{ABOVE, NOBODY, REMOVED, Window};
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::ranges::Ranges;
use crate::reached::WaitError;
use crate::sync::{AtomicU64, Ordering};
use crate::wakers::Batch;

#[derive(Default)]
pub(super) struct Held {
    /// The second number tells apart those who await the same seqno.
    pub(super) queue: BTreeMap<(SeqNo, u64), Waker>,
    next_ticket: u64,
    pub(super) closed: bool,
    pub(super) completed: Ranges,
    pub(super) window: Option<Window>,
}

impl Held {
    /// `None` where the waiter has to wait.
    pub(super) fn enter(
        &mut self,
        mark: &Mark,
        seqno: SeqNo,
        ticket: &mut Option<u64>,
        waker: &mut Option<Waker>,
        target: &AtomicU64,
    ) -> Option<Result<SeqNo, WaitError>> {
        if target.load(Ordering::Relaxed) == REMOVED {
            return Some(Err(WaitError::Removed));
        }
        let here = ticket.and_then(|ticket| self.queue.get_mut(&(seqno, ticket)));
        if let (Some(here), Some(new)) = (here, waker.as_mut()) {
            std::mem::swap(here, new);
            return None;
        }
        *ticket = None;
        let place = (seqno, self.next_ticket);
        self.next_ticket += 1;
        self.queue.extend(waker.take().map(|waker| (place, waker)));
        self.aim(target); // 1.
        let at = mark.meet(); // 2.
        if at < seqno && !self.closed {
            *ticket = Some(place.1);
            return None; // 3.
        }
        *waker = self.queue.remove(&place);
        Some(if at < seqno { Err(WaitError::Closed) } else { Ok(at) })
    }

    /// Moves the mark over the ranges that it has come to, and forgets them.
    pub(super) fn absorb(&mut self, mark: &Mark) {
        while let Some(range) = self.completed.first() {
            if range.first > mark.get().saturating_add(1) {
                return;
            }
            mark.raise(range.last);
            self.completed.forget_up_to(mark.get());
        }
    }

    /// Puts those whose seqno is reached into `batch`; whether some are left for another.
    pub(super) fn pop_reached(&mut self, at: SeqNo, batch: &mut Batch) -> bool {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > at {
                return false;
            }
            if batch.is_full() {
                return true;
            }
            batch.push(entry.remove());
        }
        false
    }

    /// Stores the target that the present contents need.
    pub(super) fn aim(&self, target: &AtomicU64) {
        let now = target.load(Ordering::Relaxed);
        if now == REMOVED {
            return;
        }
        let awaited = self.queue.first_key_value().map_or(NOBODY, |((seqno, _), _)| *seqno);
        let before = self.completed.first().map_or(NOBODY, |range| range.first - 1);
        let above = self.window.is_some() || !self.completed.is_empty();
        let aim = awaited.min(before).min(NOBODY) | if above { ABOVE } else { 0 };
        if aim != now {
            target.store(aim, Ordering::Release);
        }
    }
}
