//! Two threads that hand one mark to each other: each advances it by one step as soon as the other
//! has. Every step is a race between an advance and the wait for it, and no later advance mends a
//! wake-up that is lost.

use std::sync::atomic::Ordering::SeqCst;
use std::{hint, thread};

use repl_core::Advance;

use super::checker::{Checked, Checker};
use super::report::Operations;
use super::round::{RELAY, Round};
use super::seqnos;
use super::subject::{Handle, Subject};
use super::threads::Held;
use super::waits::Ended;
use crate::rng::Rng;

/// How often a thread that spins looks before it gives way to others.
const LOOKS: u32 = 64;

pub(crate) struct Player<'a, S: Subject> {
    round: &'a Round<S>,
    checker: Checker<'a, S>,
    rng: Rng,
    done: Operations,
    /// Which of the two this is.
    parity: u64,
}

impl<'a, S: Subject> Player<'a, S> {
    pub(crate) fn new(round: &'a Round<S>, parity: u64) -> Self {
        let (seed, stream) = round.stream(1 << 9 | parity);
        let (rng, checker) = (Rng::new(seed, stream), round.checker());
        Player { round, checker, rng, done: Operations::default(), parity }
    }

    pub(crate) fn run(mut self) -> Operations {
        while !self.round.is_over() {
            if let Err(violation) = self.one_life() {
                self.round.fail(violation.into());
            }
        }
        self.done
    }

    /// Plays until the life ends.
    fn one_life(&mut self) -> Checked {
        let found = self.checker.look_up(&self.checker.ledger.shards[RELAY])?;
        let Some((handle, life)) = found else {
            thread::yield_now();
            return Ok(());
        };
        let held = Held { handle, life };
        while !self.round.is_over() {
            let mine = seqnos::progress(held.handle.applied()) % 2 == self.parity;
            let goes_on = if mine { self.hands_over(&held)? } else { self.takes(&held)? };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Whether the life goes on.
    fn hands_over(&mut self, Held { handle, life }: &Held<S::Handle>) -> Checked<bool> {
        for _ in 0..self.rng.below(256) {
            hint::spin_loop(); // the other may be about to sleep, or asleep
        }
        let before = life.has_seen();
        let progress = seqnos::progress(handle.applied()) + 1;
        let asked = seqnos::by_handle(progress, life.shard, life.incarnation);
        life.asks(asked);
        let outcome = handle.advance(asked);
        if outcome == Advance::Removed {
            return Ok(false);
        }
        self.done.hand_overs += 1;
        self.checker.answered(life, before, asked, outcome)?;
        Ok(true)
    }

    /// Takes the mark from the other: mostly waits, and sometimes looks until it is there, so that
    /// it hands it back before the other sleeps.
    fn takes(&mut self, held: &Held<S::Handle>) -> Checked<bool> {
        let Held { handle, life } = held;
        let progress = seqnos::progress(handle.applied());
        if progress % 2 == self.parity {
            return Ok(true);
        }
        if self.rng.one_in(4) {
            while seqnos::progress(handle.applied()) == progress {
                (0..LOOKS).for_each(|_| hint::spin_loop());
                thread::yield_now();
                if self.round.is_over() || life.ending.load(SeqCst) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let seqno = seqnos::by_handle(progress + 1, life.shard, life.incarnation);
        let asked = self.checker.asks(life, seqno, None);
        let watched = self.round.watched("wait_for its turn", held, seqno, None);
        let result = handle.wait_for(seqno);
        drop(watched);
        let ended = self.checker.waited(handle, life, &asked, result)?;
        self.done.waited(ended);
        Ok(matches!(ended, Ended::Reached(_)))
    }
}
