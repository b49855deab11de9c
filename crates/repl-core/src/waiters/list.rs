//! Waiters in the order of their seqnos.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::task::Waker;

use crate::ids::SeqNo;

/// Tells waiters for the same seqno apart.
pub(crate) type Ticket = NonZeroU64;

/// The place of a waiter.
type Place = (SeqNo, Ticket);

/// The wakers of waiters, by seqno.
///
/// Where waiters come and go at the low end, which is where a mark reaches them, the map of the
/// others stays as it is: `low` takes a new waiter if it is free, or if the new one awaits a lower
/// seqno than the one there.
#[derive(Clone)]
pub(super) struct WaitList {
    /// The lowest seqno of all; `SeqNo::MAX` if there is none.
    lowest: SeqNo,
    low: Option<(Place, Waker)>,
    /// The lowest seqno in `others`; `SeqNo::MAX` if there is none.
    lowest_of_others: SeqNo,
    others: BTreeMap<Place, Waker>,
    next_ticket: Ticket,
}

impl Default for WaitList {
    fn default() -> Self {
        WaitList {
            lowest: SeqNo::MAX,
            low: None,
            lowest_of_others: SeqNo::MAX,
            others: BTreeMap::new(),
            next_ticket: Ticket::MIN,
        }
    }
}

impl WaitList {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.low.is_none() && self.others.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.low.is_some()) + self.others.len()
    }

    /// The lowest seqno; `SeqNo::MAX` if there is none.
    #[inline]
    pub(super) fn lowest(&self) -> SeqNo {
        self.lowest
    }

    /// The lowest seqno above `at`.
    pub(super) fn lowest_above(&self, at: SeqNo) -> Option<SeqNo> {
        let low = self.low.as_ref().map(|((seqno, _), _)| *seqno).filter(|seqno| *seqno > at);
        let above = at.checked_add(1)?;
        let others = self.others.range((above, Ticket::MIN)..).next().map(|((seqno, _), _)| *seqno);
        low.into_iter().chain(others).min()
    }

    /// Adds a waiter; returns its ticket.
    #[inline]
    pub(super) fn insert(&mut self, seqno: SeqNo, waker: Waker) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.saturating_add(1);
        self.lowest = self.lowest.min(seqno);
        if self.low.is_none() {
            self.low = Some(((seqno, ticket), waker));
        } else {
            self.insert_another(((seqno, ticket), waker));
        }
        ticket
    }

    fn insert_another(&mut self, mut new: (Place, Waker)) {
        if let Some(low) = &mut self.low {
            if new.0.0 < low.0.0 {
                std::mem::swap(low, &mut new);
            }
        }
        self.lowest_of_others = self.lowest_of_others.min(new.0.0);
        self.others.insert(new.0, new.1);
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Waker> {
        match &mut self.low {
            Some((low, waker)) if *low == place => Some(waker),
            _ => self.others.get_mut(&place),
        }
    }

    /// Takes a waiter out.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waker> {
        let waker = match self.low.take_if(|(low, _)| *low == place) {
            Some((_, waker)) => Some(waker),
            None => self.others.remove(&place),
        };
        if place.0 <= self.lowest_of_others {
            self.find_lowest();
        }
        waker
    }

    /// Takes out a waiter for the lowest seqno, if that is `at` or below.
    #[inline]
    pub(super) fn pop_up_to(&mut self, at: SeqNo) -> Option<Waker> {
        if self.lowest > at {
            return None;
        }
        let lowest = self.lowest_of_others;
        if let Some((_, waker)) = self.low.take_if(|((seqno, _), _)| *seqno <= lowest) {
            self.lowest = lowest;
            return Some(waker);
        }
        self.pop_other()
    }

    fn pop_other(&mut self) -> Option<Waker> {
        let (_, waker) = self.others.pop_first()?;
        self.find_lowest();
        Some(waker)
    }

    fn find_lowest(&mut self) {
        let of = |place: Option<&Place>| place.map_or(SeqNo::MAX, |(seqno, _)| *seqno);
        self.lowest_of_others = of(self.others.first_key_value().map(|(place, _)| place));
        self.lowest = self.lowest_of_others.min(of(self.low.as_ref().map(|(place, _)| place)));
    }

    /// Takes all waiters out.
    pub(super) fn take(&mut self) -> (Option<Waker>, BTreeMap<Place, Waker>) {
        let all = std::mem::take(self);
        (all.low.map(|(_, waker)| waker), all.others)
    }
}
