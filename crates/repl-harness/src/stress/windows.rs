//! What is checked of windows.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::{ClaimError, Completion, Incarnation, SeqNo, WaitError, WindowError};

use super::checker::{Checked, Checker};
use super::ledger::{Kind, Life, ShardLedger};
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
            Err(WindowError::HasWindow) => Ok(None),
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
        let mut end = before;
        for range in &ranges {
            let known = work.may_be_completed(range.first..=range.last);
            if range.is_empty() || range.first <= end || !known && life.start.get().is_some() {
                return self.at_most(Invariant::WindowIsTrue, life, range.first, None);
            }
            end = range.last + 1; // ranges do not touch
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
        self.saw(life, before, mark)
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

    /// The lives that a checkpoint brought back go on from their marks and, above them, from what
    /// the subject says is completed there.
    pub(crate) fn goes_on(&self, ledger: &ShardLedger, incarnation: Incarnation, mark: SeqNo) {
        let Some(life) = ledger.life(incarnation) else { return };
        let handle = self.subject.handle(ledger.shard);
        let completed = handle.map(|handle| handle.completed()).unwrap_or_default();
        life.begins(mark, completed.above());
        life.seen.store(mark, SeqCst);
        // What was recovered is durable.
        life.flushed.store(mark, SeqCst);
    }
}
