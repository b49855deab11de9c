//! What the lock of one shard guards: its waiters, and what is completed above its mark. The numbers
//! are those of the steps in `waiters.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::target::{ABOVE, NOBODY, REMOVED, Seen};
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::range_set::RangeSet;
use crate::sync::{AtomicU64, Ordering};
use crate::wakers::{Batch, Woken};
use crate::window_state::WindowState;

#[derive(Default)]
pub(super) struct WaitQueue {
    /// By seqno, then by ticket: several may await the same seqno.
    pub(super) waiters: BTreeMap<(SeqNo, u64), Waker>,
    next_ticket: u64,
    /// Woken when the lowest awaited seqno changes.
    pub(super) watchers: BTreeMap<u64, Waker>,
    /// What the watchers know as the lowest awaited seqno.
    watched: Option<SeqNo>,
    pub(super) closed: bool,
    pub(super) completed: RangeSet,
    pub(super) window: Option<Arc<WindowState>>,
}

impl WaitQueue {
    /// Enters a waiter. `None` if it has to wait, otherwise the result of its wait.
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
        let queued = ticket.and_then(|ticket| self.waiters.get_mut(&(seqno, ticket)));
        if let (Some(queued), Some(new)) = (queued, waker.as_mut()) {
            std::mem::swap(queued, new);
            return None;
        }
        *ticket = None;
        let place = (seqno, self.next_ticket);
        self.next_ticket += 1;
        self.waiters.extend(waker.take().map(|waker| (place, waker)));
        self.update_target(target); // 1.
        let at = mark.sync_load(); // 2.
        if at < seqno && !self.closed {
            *ticket = Some(place.1);
            return None; // 3.
        }
        *waker = self.waiters.remove(&place);
        Some(if at < seqno { Err(WaitError::Closed) } else { Ok(at) })
    }

    /// The lowest seqno above a mark of `at` that a waiter awaits. Waiters at or below the mark are
    /// on their way out.
    pub(super) fn awaited(&self, at: SeqNo) -> Option<SeqNo> {
        let above = at.checked_add(1)?;
        self.waiters.range((above, 0)..).next().map(|((seqno, _), _)| *seqno)
    }

    /// The lowest awaited seqno, if it differs from `seen`; otherwise keeps `waker` until it does.
    pub(super) fn watch(
        &mut self,
        at: SeqNo,
        seen: Seen,
        ticket: &mut Option<u64>,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<Option<SeqNo>, WaitError>> {
        let awaited = self.awaited(at);
        if seen != Seen::Lowest(awaited) {
            return Poll::Ready(Ok(awaited));
        }
        if self.closed {
            return Poll::Ready(Err(WaitError::Closed));
        }
        *ticket = Some(self.next_ticket);
        self.watchers.extend(waker.take().map(|waker| (self.next_ticket, waker)));
        self.next_ticket += 1;
        self.watched = awaited;
        Poll::Pending
    }

    /// Takes the watchers out, if the lowest awaited seqno is no longer what they know.
    pub(super) fn take_watchers_if_changed(&mut self, mark: &Mark) -> Option<Woken> {
        if self.watchers.is_empty() || self.awaited(mark.get()) == self.watched {
            return None;
        }
        Some(Woken { watchers: std::mem::take(&mut self.watchers), ..Woken::default() })
    }

    pub(super) fn take_wakers(&mut self) -> Woken {
        let waiters = std::mem::take(&mut self.waiters);
        Woken { waiters, watchers: std::mem::take(&mut self.watchers) }
    }

    /// Moves the mark over the ranges that it has reached, and takes them out.
    pub(super) fn merge_ranges(&mut self, mark: &Mark) {
        while let Some(range) = self.completed.first() {
            if range.first() > mark.get().saturating_add(1) {
                return;
            }
            mark.raise(range.last());
            self.completed.remove_up_to(mark.get());
        }
    }

    /// Moves waiters whose seqno is reached into `batch`; returns whether some are left for another.
    pub(super) fn pop_reached(&mut self, at: SeqNo, batch: &mut Batch) -> bool {
        while let Some(entry) = self.waiters.first_entry() {
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
    pub(super) fn update_target(&self, target: &AtomicU64) {
        let now = target.load(Ordering::Relaxed);
        if now == REMOVED {
            return;
        }
        let awaited = self.waiters.first_key_value().map_or(NOBODY, |((seqno, _), _)| *seqno);
        let before = self.completed.first().map_or(NOBODY, |range| range.first() - 1);
        let above = self.window.is_some() || !self.completed.is_empty();
        let new = awaited.min(before).min(NOBODY) | if above { ABOVE } else { 0 };
        if new != now {
            target.store(new, Ordering::Release);
        }
    }
}
