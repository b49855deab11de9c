//! Two threads that advance one mark in turn, each as soon as the other has. Every step is a race
//! between an advance and the wait for it, and no later advance hides a lost wake-up.

use std::sync::atomic::Ordering::SeqCst;
use std::{hint, thread};

use fastrand::Rng;
use repl_core::Advance;

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::held::Held;
use super::report::Operations;
use super::round::Round;
use super::seqnos;
use super::shards::RELAY;
use super::waits::Ended;
use crate::seed::{self, one_in};

/// The number of spins before a thread yields.
const LOOKS: u32 = 64;

pub(crate) struct Player<'a, F: Faults> {
    round: &'a Round<F>,
    checker: Checker<'a, F>,
    rng: Rng,
    done: Operations,
    /// 0 or 1: the parity of the progress at which it advances.
    parity: u64,
}

impl<'a, F: Faults> Player<'a, F> {
    pub(crate) fn new(round: &'a Round<F>, parity: u64) -> Self {
        let (seed, stream) = round.stream(1 << 9 | parity);
        let (rng, checker) = (seed::stream(seed, stream), round.checker());
        Player { round, checker, rng, done: Operations::default(), parity }
    }

    pub(crate) fn run(mut self) -> Operations {
        while !self.round.is_over() {
            if let Err(violation) = self.one_incarnation() {
                self.round.fail(violation.into());
            }
        }
        self.done
    }

    /// Plays until the incarnation ends.
    fn one_incarnation(&mut self) -> Checked {
        let found = self.checker.look_up(&self.checker.ledger.shards[RELAY])?;
        let Some((handle, record)) = found else {
            thread::yield_now();
            return Ok(());
        };
        let held = Held { handle, record };
        while !self.round.is_over() {
            let mine = seqnos::progress(held.handle.applied()) % 2 == self.parity;
            let goes_on = if mine { self.hands_over(&held)? } else { self.takes(&held)? };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Advances the mark. Returns whether the incarnation is still there.
    fn hands_over(&mut self, Held { handle, record }: &Held) -> Checked<bool> {
        for _ in 0..self.rng.u64(..256) {
            hint::spin_loop(); // the other thread may be about to sleep, or asleep
        }
        let before = record.least_mark();
        let progress = seqnos::progress(handle.applied()) + 1;
        let requested = seqnos::by_handle(progress, record.shard, record.incarnation);
        record.requests(requested);
        let outcome = self.checker.subject.faults.advance(handle, requested);
        if outcome == Advance::Removed {
            return Ok(false);
        }
        self.done.hand_overs += 1;
        self.checker.check_advance(record, before, requested, outcome)?;
        Ok(true)
    }

    /// Waits for the other thread's advance. Sometimes it spins, so that its own next advance comes
    /// before the other thread sleeps.
    fn takes(&mut self, held: &Held) -> Checked<bool> {
        let Held { handle, record } = held;
        let progress = seqnos::progress(handle.applied());
        if progress % 2 == self.parity {
            return Ok(true);
        }
        if one_in(&mut self.rng, 4) {
            while seqnos::progress(handle.applied()) == progress {
                (0..LOOKS).for_each(|_| hint::spin_loop());
                thread::yield_now();
                if self.round.is_over() || record.ending.load(SeqCst) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let seqno = seqnos::by_handle(progress + 1, record.shard, record.incarnation);
        let before = self.checker.before_wait(record, seqno, None);
        let watched = self.round.watched("the wait for its turn", held, seqno, None);
        let result = self.checker.subject.wait(handle, seqno, None);
        drop(watched);
        let ended = self.checker.check_wait(handle, record, &before, result)?;
        self.done.count_wait(ended);
        Ok(matches!(ended, Ended::Reached(_)))
    }
}
