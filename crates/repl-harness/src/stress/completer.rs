//! Completes seqnos of some shards out of order.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use repl_core::{Advance, SeqNo};

use super::checker::Checked;
use super::ledger::locked;
use super::subject::{Claim, Handle, Subject, Window};
use super::threads::Worker;
use super::violation::Invariant;
use super::windows::Open;

/// How many claims a thread holds.
const CLAIMS: u64 = 6;

/// One seqno of a window in the hands of one thread.
pub(crate) struct Claimed<S: Subject> {
    open: Arc<Open<S>>,
    seqno: SeqNo,
    claim: <<S::Handle as Handle>::Window as Window>::Claim,
}

impl<S: Subject> Claimed<S> {
    fn let_go(self) {
        if let Some((_, work)) = self.open.work() {
            work.let_go(self.seqno);
        }
        drop(self.claim);
    }
}

impl<S: Subject> Worker<'_, S> {
    pub(crate) fn drop_claims(&mut self) {
        self.claims.drain(..).for_each(Claimed::let_go);
    }

    /// Does something with the window of a shard.
    pub(crate) fn complete(&mut self, shard: usize) -> Checked {
        let Some(open) = self.open(shard)? else { return Ok(()) };
        let at = open.held.handle.applied();
        let some_way = match self.rng.below(8) {
            0 => self.rng.below(open.capacity + 2),
            1 => (open.capacity - self.rng.below(128).min(open.capacity)) + self.rng.below(64),
            _ => self.rng.below(8),
        };
        let seqno = at.saturating_add(1 + some_way);
        match self.rng.below(64) {
            0..24 => self.claim(&open, seqno),
            24..50 => self.finish_a_claim(),
            50..54 => self.complete_unclaimed(&open, seqno),
            54..57 => self.skip(&open, seqno),
            57..62 => self.ask(&open, seqno),
            62 if self.rng.one_in(8) => self.advance_past(&open, at + 1 + some_way % 8),
            63 if self.rng.one_in(32) => {
                locked(&self.round.windows[shard]).take();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The window that the shard has, or a new one. None while claims of an earlier one are held.
    fn open(&mut self, shard: usize) -> Checked<Option<Arc<Open<S>>>> {
        let ledger = &self.checker.ledger.shards[shard];
        let mut slot = locked(&self.round.windows[shard]);
        if let Some(open) = slot.as_ref().filter(|open| !open.held.life.ending.load(SeqCst)) {
            return Ok(Some(Arc::clone(open)));
        }
        *slot = self.checker.window(ledger)?.map(Arc::new);
        self.done.windows += u64::from(slot.is_some());
        Ok(slot.clone())
    }

    fn claim(&mut self, open: &Arc<Open<S>>, seqno: SeqNo) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        if self.claims.len() as u64 >= CLAIMS {
            return self.finish_a_claim();
        }
        let (before, was_completed) = (life.has_seen(), work.is_completed(seqno));
        let claim = match open.window.claim(seqno) {
            Ok(claim) => claim,
            Err(error) => {
                self.done.claims_refused += 1;
                return self.checker.refused(open, before, seqno, error);
            }
        };
        self.done.claims += 1;
        let full = seqno.saturating_sub(open.held.handle.applied()) > open.capacity;
        let broken = if was_completed {
            Some(Invariant::NoClaimAfterCompletion)
        } else if !work.claimed(seqno) && !life.ending.load(SeqCst) {
            // (Completing with a claim on an ended life ends the claim: it is given out again
            // before the one who completed says so here.)
            Some(Invariant::ClaimedOnce)
        } else {
            full.then_some(Invariant::WindowIsTrue)
        };
        self.claims.push(Claimed { open: Arc::clone(open), seqno, claim });
        match broken {
            Some(invariant) => self.checker.at_most(invariant, life, seqno, None),
            None => Ok(()),
        }
    }

    /// Completes or drops one of the claims that this thread holds.
    pub(crate) fn finish_a_claim(&mut self) -> Checked {
        if self.claims.is_empty() {
            return Ok(());
        }
        let one = usize::try_from(self.rng.below(self.claims.len() as u64)).unwrap_or(0);
        let Claimed { open, seqno, claim } = self.claims.swap_remove(one);
        if self.rng.one_in(8) {
            self.done.claims_dropped += 1;
            Claimed { open, seqno, claim }.let_go();
            return Ok(());
        }
        let Some((life, work)) = open.work() else { return Ok(()) };
        let before = life.has_seen();
        let call = work.completing(seqno..=seqno);
        let completion = claim.complete();
        self.done.completions += 1;
        work.let_go(seqno);
        self.checker.completed(&open, before, (call, seqno), completion)
    }

    fn complete_unclaimed(&mut self, open: &Open<S>, seqno: SeqNo) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        let before = life.has_seen();
        if seqno.saturating_sub(before) > open.capacity {
            return Ok(()); // it may be refused, and then must not be noted as begun
        }
        let call = work.completing(seqno..=seqno);
        self.done.completions += 1;
        match open.window.complete(seqno) {
            Ok(completion) => self.checker.completed(open, before, (call, seqno), completion),
            Err(_) => self.checker.at_most(Invariant::WindowIsTrue, life, seqno, None),
        }
    }

    fn skip(&mut self, open: &Open<S>, first: SeqNo) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        let before = life.has_seen();
        if first.saturating_sub(before) > open.capacity {
            return Ok(()); // as above
        }
        let longest = if self.rng.one_in(64) { 2 * open.capacity } else { 8 };
        let last = first + self.rng.below(longest);
        let call = work.completing(first..=last);
        self.done.skips += 1;
        match open.window.skip(first..=last) {
            Ok(completion) => self.checker.completed(open, before, (call, last), completion),
            Err(_) => self.checker.at_most(Invariant::WindowIsTrue, life, first, None),
        }
    }

    /// Advances the shard from outside its window.
    fn advance_past(&mut self, open: &Open<S>, seqno: SeqNo) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        let (before, ended) = (life.has_seen(), life.ended.load(SeqCst));
        let call = work.completing(0..=seqno);
        life.asks(seqno);
        let outcome = open.held.handle.advance(seqno);
        self.done.advances_by_handle += 1;
        let moved = matches!(outcome, Advance::Advanced { .. });
        work.completed(call, moved && !life.ending.load(SeqCst));
        match outcome {
            Advance::Removed => self.removed(life),
            _ if ended => self.rose_from_the_dead(life, seqno),
            _ => self.checker.answered(life, before, seqno, outcome),
        }
    }

    /// What is completed, as the window says, was begun; and what was done is completed.
    fn ask(&mut self, open: &Open<S>, seqno: SeqNo) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        self.done.window_reads += 1;
        let was_completed = work.is_completed(seqno);
        let contains = open.window.contains(seqno);
        let said_too_early =
            contains && life.start.get().is_some() && !work.may_be_completed(seqno..=seqno);
        if said_too_early || !contains && was_completed {
            return self.checker.at_most(Invariant::WindowIsTrue, life, seqno, None);
        }
        if self.rng.one_in(16) { self.checker.pending(open) } else { Ok(()) }
    }
}
