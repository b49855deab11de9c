//! What a shard keeps in memory for waiting, and the order of waiters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::list::{Ticket, WaitList};
use super::{Seen, Waiters};
use crate::ids::SeqNo;
use crate::mark::Mark;
use crate::outcome::WaitError;
use crate::seq_range::SeqRange;
use crate::window_state::WindowState;

struct Shard {
    mark: Mark,
    waiters: Waiters,
}

impl Shard {
    fn new() -> Self {
        Shard { mark: Mark::new(0), waiters: Waiters::new() }
    }

    fn has_queue(&self) -> bool {
        self.waiters.look(|_| ()).is_some()
    }

    fn poll(&self, seqno: SeqNo, ticket: &mut Option<Ticket>) -> Poll<Result<SeqNo, WaitError>> {
        self.waiters.poll(&self.mark, seqno, ticket, Waker::noop())
    }

    /// Queues a waiter.
    fn wait(&self, seqno: SeqNo) -> Option<Ticket> {
        let mut ticket = None;
        assert_eq!(self.poll(seqno, &mut ticket), Poll::Pending);
        ticket
    }

    fn leave(&self, seqno: SeqNo, mut ticket: Option<Ticket>) {
        self.waiters.leave(&self.mark, seqno, &mut ticket);
    }

    fn advance(&self, to: SeqNo) {
        self.mark.raise(to);
        self.waiters.settle(&self.mark);
    }

    fn watch(&self) -> Option<u64> {
        let mut ticket = None;
        let seen = Seen::Lowest(self.waiters.awaited(&self.mark));
        let polled = self.waiters.poll_awaited(&self.mark, seen, &mut ticket, Waker::noop());
        assert_eq!(polled, Poll::Pending);
        ticket
    }
}

#[test]
fn no_queue_stays_when_its_last_waiter_is_gone() {
    type End = fn(&Shard, Vec<Option<Ticket>>);
    let ends: [End; 4] = [
        |shard, _| shard.advance(100),
        |shard, tickets| (1..).zip(tickets).for_each(|(seqno, ticket)| shard.leave(seqno, ticket)),
        |shard, _| shard.waiters.close().wake(),
        |shard, _| shard.waiters.remove().wake(),
    ];
    for waiters in [1, 2, 100] {
        for end in ends {
            let shard = Shard::new();
            let tickets = (1..=waiters).map(|seqno| shard.wait(seqno)).collect();
            assert!(shard.has_queue());
            end(&shard, tickets);
            assert!(!shard.has_queue(), "{waiters} waiters");
        }
    }
}

#[test]
fn no_queue_stays_when_its_last_watcher_range_or_window_is_gone() {
    let shard = Shard::new();
    let mut watching = shard.watch();
    shard.waiters.unwatch(&shard.mark, &mut watching);
    assert!(!shard.has_queue());
    shard.watch();
    shard.leave(5, shard.wait(5));
    assert!(!shard.has_queue());
    shard.waiters.complete(&shard.mark, SeqRange::new(2, 3));
    assert!(shard.has_queue());
    shard.advance(1);
    assert!(!shard.has_queue());
    assert!(shard.waiters.attach(&shard.mark, &Arc::new(WindowState::new(4))));
    assert!(shard.has_queue());
    shard.waiters.detach(&shard.mark);
    assert!(!shard.has_queue());
}

#[test]
fn a_closed_shard_needs_no_queue_to_fail_waits() {
    let shard = Shard::new();
    shard.waiters.close().wake();
    assert!(!shard.has_queue());
    shard.waiters.complete(&shard.mark, SeqRange::new(2, 3));
    for at in [0, 1, 4] {
        shard.advance(at);
        let mut ticket = None;
        assert_eq!(shard.poll(5, &mut ticket), Poll::Ready(Err(WaitError::Closed)));
        assert_eq!(ticket, None);
    }
    assert!(!shard.has_queue());
}

#[test]
fn waiting_for_the_highest_seqnos_closes_nothing() {
    for seqno in (1 << 63) - 3..=(1 << 63) {
        let shard = Shard::new();
        let first = shard.wait(seqno);
        let second = shard.wait(seqno);
        shard.leave(seqno, first);
        shard.leave(seqno, second);
        assert!(!shard.has_queue());
        shard.leave(5, shard.wait(5));
    }
}

#[test]
fn a_list_of_waiters_is_in_the_order_of_seqnos() {
    // The models of loom compile this file too, and have no crate for random numbers.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let (mut list, mut model) = (WaitList::default(), BTreeSet::new());
    for _ in 0..100_000 {
        let seqno = [0, 1, 2, 3, 4, 5, SeqNo::MAX][random(7)];
        match random(4) {
            0 | 1 if model.len() < 12 => {
                let place = (seqno, list.insert(seqno, Waker::noop().clone()));
                assert!(model.insert(place) && list.get_mut(place).is_some());
            }
            2 if !model.is_empty() => {
                let place = *model.iter().nth(random(model.len())).unwrap();
                model.remove(&place);
                assert!(list.remove(place).is_some() && list.remove(place).is_none());
            }
            _ => {
                let lowest = model.first().map(|place| place.0).filter(|lowest| *lowest <= seqno);
                assert_eq!(list.pop_up_to(seqno).is_some(), lowest.is_some());
                // It may be any of those that await the lowest seqno.
                let gone = model.iter().copied().find(|place| list.get_mut(*place).is_none());
                assert_eq!(gone.map(|place| place.0), lowest);
                model.retain(|place| Some(*place) != gone);
            }
        }
        let above = model.iter().map(|place| place.0).find(|other| *other > seqno);
        assert_eq!(list.lowest(), model.first().map_or(SeqNo::MAX, |place| place.0));
        assert_eq!(list.lowest_above(seqno), above);
        assert_eq!(list.is_empty(), model.is_empty());
    }
}
