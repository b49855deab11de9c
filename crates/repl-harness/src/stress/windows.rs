//! What is checked of windows.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering::SeqCst;

use repl_core::{
    AppliedSet, ClaimError, Completion, Incarnation, SeqNo, SeqRange, WaitError, WindowError,
};

use super::checker::{Checked, Checker};
use super::ledger::{Kind, Life, ShardLedger};
use super::saves::first_outside;
use super::subject::{Claim, Handle, Subject, Window};
use super::threads::Held;
use super::violation::Invariant;
use super::work::{Call, Work};

/// The window that a shard has, shared by all threads.
pub(crate) struct Open<S: Subject> {
    pub(crate) capacity: u64,
    pub(crate) held: Held<S::Handle>,
    pub(crate) window: <S::Handle as Handle>::Window,
}

impl<S: Subject> Open<S> {
    pub(crate) fn work(&self) -> Option<(&Life, &Work)> {
        let life = &*self.held.life;
        life.work.as_ref().map(|work| (life, work))
    }
}

impl<S: Subject> Checker<'_, S> {
    /// A window over the life that the shard has now; none where it has one.
    pub(crate) fn window(&self, ledger: &ShardLedger) -> Checked<Option<Open<S>>> {
        let Kind::Window { capacity } = ledger.kind else { return Ok(None) };
        let Some((handle, life)) = self.look_up(ledger)? else { return Ok(None) };
        match handle.window(capacity) {
            Ok(window) => Ok(Some(Open { capacity, held: Held { handle, life }, window })),
            Err(WindowError::AlreadyOpen) => Ok(None),
            Err(WindowError::Removed) if life.ending.load(SeqCst) => Ok(None),
            Err(_) => self.at_most(Invariant::WindowIsTrue, &life, capacity, None).map(|()| None),
        }
    }

    pub(crate) fn refused(
        &self,
        open: &Open<S>,
        before: SeqNo,
        seqno: SeqNo,
        error: ClaimError,
    ) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        let holds = match error {
            ClaimError::AlreadyCompleted => {
                life.start.get().is_none() || work.may_be_completed(seqno..=seqno)
            }
            ClaimError::Claimed => true,
            ClaimError::Full(full) => {
                let fits_at = seqno.checked_sub(open.capacity);
                Some(full.resume_at) == fits_at && full.seqno == seqno && before < full.resume_at
            }
            ClaimError::Ended(why) => why == WaitError::Removed && life.ending.load(SeqCst),
        };
        if holds { Ok(()) } else { self.at_most(Invariant::WindowIsTrue, life, seqno, None) }
    }

    /// What completing or skipping these seqnos answered.
    pub(crate) fn completed(
        &self,
        open: &Open<S>,
        before: SeqNo,
        (call, last): (Call, SeqNo),
        completion: Completion,
    ) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        // A life that is being ended need not keep what is done with it.
        let ending = life.ending.load(SeqCst);
        work.completed(call, !ending && matches!(completion, Completion::Completed { .. }));
        match completion {
            Completion::Completed { mark } | Completion::AlreadyCompleted { mark } => {
                self.saw(life, before, mark)
            }
            Completion::Removed if ending => Ok(()),
            Completion::Removed => self.at_most(Invariant::WindowIsTrue, life, last, None),
        }
    }

    /// What is completed above the mark was begun, and all that is completed is there.
    pub(crate) fn pending(&self, open: &Open<S>) -> Checked {
        let Some((life, work)) = open.work() else { return Ok(()) };
        let (before, done) = (life.has_seen(), work.completed_above(life.has_seen()));
        let ranges = open.window.pending();
        let mark = open.held.handle.applied();
        self.listed(life, &done, before, mark, &ranges)?;
        self.saw(life, before, mark)
    }
    /// What is listed as completed above a mark was begun, and what was `done` before is there. The
    /// ranges begin above `end`, and do not touch.
    pub(crate) fn listed(
        &self,
        life: &Life,
        done: &[RangeInclusive<SeqNo>],
        mut end: SeqNo,
        mark: SeqNo,
        ranges: &[SeqRange],
    ) -> Checked {
        let Some(work) = &life.work else { return Ok(()) };
        for range in ranges {
            if range.is_empty() || range.first <= end {
                return self.at_most(Invariant::WindowIsTrue, life, range.first, None);
            }
            end = range.last.saturating_add(1);
        }
        if let Some(range) = work.never_completed(ranges) {
            return self.at_most(Invariant::WindowIsTrue, life, range.first, None);
        }
        if life.ending.load(SeqCst) {
            return Ok(()); // nothing is listed above the mark of a life that has ended
        }
        for range in done {
            let first = mark.saturating_add(1).max(*range.start());
            let last = *range.end();
            let listed = ranges.iter().any(|range| range.first <= first && last <= range.last);
            if first <= last && !listed {
                return self.at_most(Invariant::NoCompletionLost, life, last, mark);
            }
        }
        Ok(())
    }

    /// When no thread holds a claim any more: completes what is left below the highest that is
    /// completed, so that the mark must come there.
    pub(crate) fn complete_the_rest(&self, ledger: &ShardLedger) -> Checked {
        let Some(open) = self.window(ledger)? else {
            let Some((_, life)) = self.look_up(ledger)? else { return Ok(()) };
            return self.at_most(Invariant::FreedIsFree, &life, life.incarnation.0, None);
        };
        let Some((life, work)) = open.work() else { return Ok(()) };
        let highest = work.highest();
        self.pending(&open)?;
        let mut at = open.held.handle.applied();
        while at < highest {
            let (before, seqno) = (life.has_seen(), at + 1);
            let was_completed = work.is_completed(seqno);
            match open.window.claim(seqno) {
                Ok(_) if was_completed => {
                    let again = Invariant::NoClaimAfterCompletion;
                    return self.at_most(again, life, seqno, None);
                }
                Ok(claim) => {
                    let call = work.completing(seqno..=seqno);
                    self.completed(&open, before, (call, seqno), claim.complete())?;
                }
                Err(ClaimError::Claimed) => {
                    return self.at_most(Invariant::FreedIsFree, life, seqno, None);
                }
                Err(error) => self.refused(&open, before, seqno, error)?,
            }
            let now = open.held.handle.applied();
            self.at_most(Invariant::NoCompletionLost, life, seqno, now)?;
            at = now;
        }
        Ok(())
    }

    /// The lives that a checkpoint brought back go on from what is completed in the snapshot of
    /// the subject: their handles and windows say the same.
    pub(crate) fn goes_on(
        &self,
        ledger: &ShardLedger,
        incarnation: Incarnation,
        found: &AppliedSet,
    ) -> Checked {
        let Some(life) = ledger.life(incarnation) else { return Ok(()) };
        life.begins(found);
        life.seen.store(found.mark(), SeqCst);
        // What was recovered is durable.
        life.flushed.store(found.mark(), SeqCst);
        let Some((handle, _)) = self.look_up(ledger)? else { return Ok(()) };
        self.is_same(&life, found, &handle.completed())?;
        let Some(open) = self.window(ledger)? else { return Ok(()) };
        self.is_same(&life, found, &AppliedSet::new(handle.applied(), open.window.pending()))?;
        for seqno in found.above().iter().flat_map(|range| [range.first, range.last]) {
            if open.window.claim(seqno).is_ok() {
                return self.at_most(Invariant::NoClaimAfterCompletion, &life, seqno, None);
            }
        }
        Ok(())
    }

    /// What a recovered life says is completed is what was found.
    fn is_same(&self, life: &Life, found: &AppliedSet, said: &AppliedSet) -> Checked {
        let lost = first_outside(found, said);
        self.at_most(Invariant::RecordedWithinCompleted, life, lost, None)?;
        let added = first_outside(said, found);
        self.at_most(Invariant::CompletedWithinRecorded, life, added, None)
    }
}
