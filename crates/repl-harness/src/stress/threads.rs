//! What each thread does: everything, at random, and checks each answer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use repl_core::{Advance, SeqNo};

use super::StressError;
use super::checker::{Checked, Checker};
use super::completer::Claimed;
use super::futures::Polled;
use super::ledger::{Life, ShardLedger, locked};
use super::report::Operations;
use super::round::{PLAIN, Round, WINDOWS};
use super::seqnos;
use super::subject::{Handle, Subject};
use super::violation::Invariant;
use crate::rng::Rng;

/// How many handles on lives that have ended a thread keeps.
const OLD_HANDLES: usize = 8;

/// After how many tries, some of which find nothing to do, a thread says how many operations it
/// has done.
const REPORTED: u64 = 256;

pub(crate) struct Worker<'a, S: Subject> {
    pub(crate) round: &'a Round<S>,
    pub(crate) checker: Checker<'a, S>,
    pub(crate) rng: Rng,
    pub(crate) done: Operations,
    /// One handle a shard, as it was when it was last looked up.
    held: Vec<Option<Held<S::Handle>>>,
    old: VecDeque<Held<S::Handle>>,
    pub(crate) claims: Vec<Claimed<S>>,
    pub(crate) futures: Vec<Polled<S::Handle>>,
}

/// A handle, and what is known of its life.
#[derive(Debug, Clone)]
pub(crate) struct Held<H> {
    pub(crate) handle: H,
    pub(crate) life: Arc<Life>,
}

impl<'a, S: Subject> Worker<'a, S> {
    pub(crate) fn new(round: &'a Round<S>, thread: u64) -> Self {
        let (seed, stream) = round.stream(thread);
        let checker = round.checker();
        Worker {
            round,
            checker,
            rng: Rng::new(seed, stream),
            done: Operations::default(),
            held: checker.ledger.shards.iter().map(|_| None).collect(),
            old: VecDeque::new(),
            claims: Vec::new(),
            futures: Vec::new(),
        }
    }

    /// Works until the round is over.
    pub(crate) fn run(mut self) -> Operations {
        let (mut tried, mut reported) = (0_u64, 0);
        while !self.round.is_over() {
            if let Err(error) = self.one() {
                self.round.fail(error);
            }
            tried += 1;
            if tried.is_multiple_of(REPORTED) {
                let done = self.done.total();
                self.round.did(done - reported);
                reported = done;
            }
        }
        self.drop_claims(); // others may still be at work, and are given their seqnos
        self.done
    }

    fn one(&mut self) -> Result<(), StressError> {
        let shard = self.plain();
        match self.rng.below(4096) {
            0..1000 => self.advance_by_handle(shard)?,
            1000..1500 => self.advance_by_id(shard)?,
            1500..2000 => self.read_by_handle(shard)?,
            2000..2350 => self.read_by_id(shard)?,
            2350..2500 => self.advance_by_old_handle()?,
            2500..2800 => {
                let any = self.any();
                self.done.comparisons += 1;
                self.checker.compare(&self.checker.ledger.shards[any])?;
            }
            2800..2890 => self.snapshot()?,
            2890..2930 => {
                let any = if self.rng.one_in(64) { self.any() } else { shard };
                self.change(any)?;
            }
            2930..2940 => {
                self.done.checkpoints += u64::from(self.round.checkpoint(&mut self.rng)?);
            }
            2940..3940 => {
                let shard = self.among(WINDOWS);
                self.complete(shard)?;
            }
            3940..4076 => self.poll_or_cancel()?,
            _ => self.wait_a_moment()?,
        }
        Ok(())
    }

    fn among(&mut self, shards: Range<usize>) -> usize {
        let n = self.rng.below(shards.len() as u64);
        shards.start + usize::try_from(n).unwrap_or(0)
    }

    pub(crate) fn any(&mut self) -> usize {
        self.among(0..self.checker.ledger.shards.len())
    }

    /// Half of the work is on two shards, so that threads meet.
    fn plain(&mut self) -> usize {
        let among = if self.rng.one_in(2) { 0..2 } else { PLAIN };
        self.among(among)
    }

    pub(crate) fn hold(&mut self, shard: usize) -> Checked<Option<Held<S::Handle>>> {
        let held = &mut self.held[shard];
        if held.is_none() {
            let found = self.checker.look_up(&self.checker.ledger.shards[shard])?;
            *held = found.map(|(handle, life)| Held { handle, life });
        }
        Ok(held.clone())
    }

    /// Puts a handle on a life that has ended aside.
    pub(crate) fn put_aside(&mut self, shard: usize) {
        let held = self.held[shard].take();
        if PLAIN.contains(&shard) {
            self.old.extend(held);
        }
        if self.old.len() > OLD_HANDLES {
            self.old.pop_front();
        }
    }

    /// Mostly a little ahead of what was seen, else the same again or behind it.
    fn progress(&mut self, seen: SeqNo) -> u64 {
        let at = seqnos::progress(seen);
        match self.rng.below(8) {
            0 => at.saturating_sub(self.rng.below(8)),
            1 => at,
            _ => at + 1 + self.rng.below(4),
        }
    }

    fn advance_by_handle(&mut self, shard: usize) -> Checked {
        let Some(Held { handle, life }) = self.hold(shard)? else { return Ok(()) };
        let ended = life.ended.load(SeqCst);
        let before = life.has_seen();
        let asked = if self.rng.one_in(16) {
            before
        } else {
            seqnos::by_handle(self.progress(before), life.shard, life.incarnation)
        };
        life.asks(asked);
        let outcome = handle.advance(asked);
        self.done.advances_by_handle += 1;
        if outcome == Advance::Removed {
            self.put_aside(shard);
            return self.removed(&life);
        }
        if ended {
            return self.rose_from_the_dead(&life, asked);
        }
        self.checker.answered(&life, before, asked, outcome)?;
        self.checker.saw(&life, life.has_seen(), handle.applied())
    }

    /// A handle was told that its life had ended: somebody has begun to end it, and no look-up
    /// finds it any more.
    pub(crate) fn removed(&self, life: &Life) -> Checked {
        let found = self.checker.subject.handle(life.shard).map(|handle| handle.incarnation());
        if life.ending.load(SeqCst) && found != Some(life.incarnation) {
            return Ok(());
        }
        self.checker.at_most(Invariant::TableIsTrue, life, life.incarnation.0, None)
    }

    pub(crate) fn rose_from_the_dead(&self, life: &Life, asked: SeqNo) -> Checked {
        self.checker.at_most(Invariant::RemovedStaysRemoved, life, asked, None)
    }

    fn advance_by_old_handle(&mut self) -> Checked {
        let old = usize::try_from(self.rng.below(self.old.len() as u64)).unwrap_or(0);
        let Some(Held { handle, life }) = self.old.get(old).cloned() else { return Ok(()) };
        let before = life.has_seen();
        let ended = life.ended.load(SeqCst);
        let asked = seqnos::by_handle(self.progress(before) + 64, life.shard, life.incarnation);
        life.asks(asked);
        let outcome = handle.advance(asked);
        self.done.advances_by_old_handle += 1;
        if ended && outcome != Advance::Removed {
            return self.rose_from_the_dead(&life, asked);
        }
        self.checker.saw(&life, before, handle.applied())
    }

    fn advance_by_id(&mut self, shard: usize) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let view = ledger.view();
        let life = view.current.and_then(|current| ledger.life(current));
        let before = life.as_ref().map_or(0, |life| life.has_seen());
        let asked = seqnos::by_id(self.progress(before), ledger.shard);
        ledger.written_by_id.fetch_max(asked, Relaxed);
        ledger.asked_by_id.fetch_max(asked, SeqCst);
        let outcome = self.checker.subject.advance(ledger.shard, asked);
        self.done.advances_by_id += 1;
        if !view.held_until(&ledger.view()) {
            if let Advance::Advanced { .. } = outcome {
                locked(&ledger.strays).push(asked);
            }
            return Ok(());
        }
        let Some(life) = life else {
            let unknown = outcome == Advance::UnknownShard;
            return if unknown { Ok(()) } else { Err(self.ghost(ledger, asked)) };
        };
        self.checker.answered(&life, before, asked, outcome)?;
        life.asked_by_id.fetch_max(asked, SeqCst);
        Ok(())
    }

    /// A shard that is not tracked has answered.
    pub(crate) fn ghost(&self, shard: &ShardLedger, number: SeqNo) -> super::Violation {
        let who = (shard.shard, None);
        self.checker.violation(Invariant::TableIsTrue, who, Some(number), None)
    }

    fn read_by_handle(&mut self, shard: usize) -> Checked {
        let Some(Held { handle, life }) = self.hold(shard)? else { return Ok(()) };
        self.done.reads += 1;
        self.checker.saw(&life, life.has_seen(), handle.applied())
    }

    fn read_by_id(&mut self, shard: usize) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let view = ledger.view();
        let life = view.current.and_then(|current| ledger.life(current));
        let before = life.as_ref().map_or(0, |life| life.has_seen());
        let mark = self.checker.subject.applied(ledger.shard);
        self.done.reads += 1;
        if !view.held_until(&ledger.view()) {
            return Ok(());
        }
        match (life, mark) {
            (Some(life), Some(mark)) => self.checker.saw(&life, before, mark),
            (None, None) => Ok(()),
            (None, Some(mark)) => Err(self.ghost(ledger, mark)),
            (Some(life), None) => {
                self.checker.at_most(Invariant::TableIsTrue, &life, life.incarnation.0, None)
            }
        }
    }

    fn snapshot(&mut self) -> Checked {
        let before = self.checker.before_snapshot();
        let snapshot = self.checker.subject.snapshot();
        self.done.snapshots += 1;
        self.checker.snapshot(&before, &snapshot)
    }
}
