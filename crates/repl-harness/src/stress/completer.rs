//! Completes seqnos of some shards out of order.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use repl_core::{Advance, SeqNo};

use super::checker::Checked;
use super::faults::Faults;
use super::violation::Invariant;
use super::windows::Open;
use super::worker::{Claimed, Worker};
use crate::locked::locked;
use crate::seed::one_in;

/// The number of claims that a thread holds.
const CLAIMS: u64 = 6;

impl<F: Faults> Worker<'_, F> {
    /// Makes one random call on the window of a shard.
    pub(crate) fn complete(&mut self, shard: usize) -> Checked {
        let Some(open) = self.open(shard)? else { return Ok(()) };
        let at = open.held.handle.applied();
        let some_way = match self.rng.u64(..8) {
            0 => self.rng.u64(..open.capacity + 2),
            1 => (open.capacity - self.rng.u64(..128).min(open.capacity)) + self.rng.u64(..64),
            _ => self.rng.u64(..8),
        };
        let seqno = at.saturating_add(1 + some_way);
        match self.rng.u64(..64) {
            0..24 => self.claim(&open, seqno),
            24..50 => self.finish_a_claim(),
            50..54 => self.complete_unclaimed(&open, seqno),
            54..57 => self.skip(&open, seqno),
            57..62 => self.read(&open, seqno),
            62 if one_in(&mut self.rng, 8) => self.advance_past(&open, at + 1 + some_way % 8),
            63 if one_in(&mut self.rng, 32) => {
                locked(&self.round.windows[shard]).take();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The window of the shard, or a new one. `None` while claims of an earlier window are held.
    fn open(&mut self, shard: usize) -> Checked<Option<Arc<Open>>> {
        let ledger = &self.checker.ledger.shards[shard];
        let mut slot = locked(&self.round.windows[shard]);
        if let Some(open) = slot.as_ref().filter(|open| !open.held.record.ending.load(SeqCst)) {
            return Ok(Some(Arc::clone(open)));
        }
        *slot = self.checker.window(ledger)?.map(Arc::new);
        self.done.windows += u64::from(slot.is_some());
        Ok(slot.clone())
    }

    fn claim(&mut self, open: &Arc<Open>, seqno: SeqNo) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        if self.claims.len() as u64 >= CLAIMS {
            return self.finish_a_claim();
        }
        let (before, was_completed) = (record.least_mark(), work.is_completed(seqno));
        let claim = match self.checker.subject.faults.try_claim(&open.window, seqno) {
            Ok(claim) => claim,
            Err(error) => {
                self.done.claims_refused += 1;
                return self.checker.check_refusal(open, before, seqno, error);
            }
        };
        self.done.claims += 1;
        let full = seqno.saturating_sub(open.held.handle.applied()) > open.capacity;
        let broken = if was_completed {
            Some(Invariant::NoClaimAfterCompletion)
        } else if !work.claimed(seqno) && !record.ending.load(SeqCst) {
            // (A completion on an ended incarnation ends its claim. The seqno may be claimed again
            // before the completing thread records that here.)
            Some(Invariant::ClaimedOnce)
        } else {
            full.then_some(Invariant::WindowMatchesCalls)
        };
        self.claims.push(Claimed { open: Arc::clone(open), seqno, claim });
        match broken {
            Some(invariant) => self.checker.at_most(invariant, record, seqno, None),
            None => Ok(()),
        }
    }

    /// Completes or drops one of the claims that this thread holds.
    pub(crate) fn finish_a_claim(&mut self) -> Checked {
        if self.claims.is_empty() {
            return Ok(());
        }
        let one = self.rng.usize(..self.claims.len());
        let mut claimed = self.claims.swap_remove(one);
        let faults = &self.checker.subject.faults;
        let is_dropped = one_in(&mut self.rng, 8);
        let Some(claim) = claimed.claim.take_if(|_| !is_dropped) else {
            self.done.claims_dropped += 1;
            claimed.release(faults);
            return Ok(());
        };
        let Claimed { open, seqno, .. } = claimed;
        let Some((record, work)) = open.work() else { return Ok(()) };
        let before = record.least_mark();
        let call = work.completing(seqno..=seqno);
        let completion = faults.complete(&open.window, claim);
        self.done.completions += 1;
        work.release(seqno);
        self.checker.completed(&open, before, (call, seqno), completion)
    }

    fn complete_unclaimed(&mut self, open: &Open, seqno: SeqNo) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        let before = record.least_mark();
        if seqno.saturating_sub(before) > open.capacity {
            return Ok(()); // it may be refused, and then must not be recorded as begun
        }
        let call = work.completing(seqno..=seqno);
        self.done.completions += 1;
        let result = open.window.complete(seqno);
        self.checker.completed(open, before, (call, seqno), result)
    }

    fn skip(&mut self, open: &Open, first: SeqNo) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        let before = record.least_mark();
        if first.saturating_sub(before) > open.capacity {
            return Ok(()); // as above
        }
        let longest = if one_in(&mut self.rng, 64) { 2 * open.capacity } else { 8 };
        let last = first + self.rng.u64(..longest);
        let call = work.completing(first..=last);
        self.done.skips += 1;
        let result = open.window.skip(first..=last);
        self.checker.completed(open, before, (call, last), result)
    }

    /// Advances the shard from outside its window.
    fn advance_past(&mut self, open: &Open, seqno: SeqNo) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        let (before, ended) = (record.least_mark(), record.ended.load(SeqCst));
        let call = work.completing(0..=seqno);
        record.requests(seqno);
        let outcome = self.checker.subject.faults.advance(&open.held.handle, seqno);
        self.done.advances_by_handle += 1;
        let moved = matches!(outcome, Advance::Advanced { .. });
        work.completed(call, moved && !record.ending.load(SeqCst));
        match outcome {
            Advance::Removed => self.checker.removed(record),
            _ if ended => self.checker.advanced_after_removal(record, seqno),
            _ => self.checker.check_advance(record, before, seqno, outcome),
        }
    }

    /// Checks that a seqno which the window reports as completed was begun, and the reverse.
    fn read(&mut self, open: &Open, seqno: SeqNo) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        self.done.window_reads += 1;
        let was_completed = work.is_completed(seqno);
        let contains = open.held.handle.contains(seqno);
        let reported_too_early =
            contains && record.start.get().is_some() && !work.may_be_completed(seqno..=seqno);
        // A removed shard drops what is completed above its mark.
        let lost = !contains && was_completed && !record.ending.load(SeqCst);
        if reported_too_early || lost {
            return self.checker.at_most(Invariant::WindowMatchesCalls, record, seqno, None);
        }
        if one_in(&mut self.rng, 16) { self.checker.applied_set(open) } else { Ok(()) }
    }
}
