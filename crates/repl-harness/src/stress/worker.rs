//! A working thread: its handles, claims and futures.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fastrand::Rng;
use repl_core::{Claim, Reached, SeqNo};

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::held::Held;
use super::report::Operations;
use super::round::Round;
use super::shards::PLAIN;
use super::waits::BeforeWait;
use super::windows::Open;
use crate::seed;

/// The number of handles on ended incarnations that a thread keeps.
const OLD_HANDLES: usize = 8;

pub(crate) struct Worker<'a, F: Faults> {
    pub(crate) round: &'a Round<F>,
    pub(crate) checker: Checker<'a, F>,
    pub(crate) rng: Rng,
    pub(crate) done: Operations,
    /// The handle of each shard from the last look-up.
    pub(crate) held: Vec<Option<Held>>,
    pub(crate) old: VecDeque<Held>,
    pub(crate) claims: Vec<Claimed>,
    pub(crate) futures: Vec<Polled>,
}

/// A seqno that a thread has claimed.
pub(crate) struct Claimed {
    pub(crate) open: Arc<Open>,
    pub(crate) seqno: SeqNo,
    /// `None` if a planted fault claims nothing.
    pub(crate) claim: Option<Claim>,
}

impl Claimed {
    pub(crate) fn release(self, faults: &impl Faults) {
        if let Some((_, work)) = self.open.work() {
            work.release(self.seqno);
        }
        if let Some(claim) = self.claim {
            faults.release(claim);
        }
    }
}

/// A future that a thread polls.
pub(crate) struct Polled {
    pub(crate) shard: usize,
    pub(crate) held: Held,
    pub(crate) before: BeforeWait,
    pub(crate) future: Reached,
}

impl<'a, F: Faults> Worker<'a, F> {
    pub(crate) fn new(round: &'a Round<F>, thread: u64) -> Self {
        let (seed, stream) = round.stream(thread);
        let checker = round.checker();
        Worker {
            round,
            checker,
            rng: seed::stream(seed, stream),
            done: Operations::default(),
            held: checker.ledger.shards.iter().map(|_| None).collect(),
            old: VecDeque::new(),
            claims: Vec::new(),
            futures: Vec::new(),
        }
    }

    pub(crate) fn among(&mut self, shards: Range<usize>) -> usize {
        self.rng.usize(shards)
    }

    pub(crate) fn any(&mut self) -> usize {
        self.among(0..self.checker.ledger.shards.len())
    }

    pub(crate) fn hold(&mut self, shard: usize) -> Checked<Option<Held>> {
        let held = &mut self.held[shard];
        if held.is_none() {
            let found = self.checker.look_up(&self.checker.ledger.shards[shard])?;
            *held = found.map(|(handle, record)| Held { handle, record });
        }
        Ok(held.clone())
    }

    /// Moves a handle on an ended incarnation to the old ones.
    pub(crate) fn put_aside(&mut self, shard: usize) {
        let held = self.held[shard].take();
        if PLAIN.contains(&shard) {
            self.old.extend(held);
        }
        if self.old.len() > OLD_HANDLES {
            self.old.pop_front();
        }
    }

    pub(crate) fn drop_claims(&mut self) {
        let faults = &self.checker.subject.faults;
        self.claims.drain(..).for_each(|claimed| claimed.release(faults));
    }
}
