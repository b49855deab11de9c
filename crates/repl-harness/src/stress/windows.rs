//! The checks of windows.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::{ApplyWindow, ClaimError, CompleteError, Completion, SeqNo, WindowError};

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::held::Held;
use super::ledger::{Kind, Record, ShardLedger};
use super::violation::Invariant;
use super::work::{Call, Work};

/// The open window of a shard, shared by all threads.
pub(crate) struct Open {
    pub(crate) capacity: u64,
    pub(crate) held: Held,
    pub(crate) window: ApplyWindow,
}

impl Open {
    pub(crate) fn work(&self) -> Option<(&Record, &Work)> {
        let record = &*self.held.record;
        record.work.as_ref().map(|work| (record, work))
    }
}

impl<F: Faults> Checker<'_, F> {
    /// Opens a window on the current incarnation; `None` if it already has one.
    pub(crate) fn window(&self, ledger: &ShardLedger) -> Checked<Option<Open>> {
        let Kind::Window { capacity } = ledger.kind else { return Ok(None) };
        let Some((handle, record)) = self.look_up(ledger)? else { return Ok(None) };
        match ApplyWindow::new(handle.clone(), capacity) {
            Ok(window) => Ok(Some(Open { capacity, held: Held { handle, record }, window })),
            Err(WindowError::AlreadyOpen) => Ok(None),
            Err(WindowError::Removed) if record.ending.load(SeqCst) => Ok(None),
            Err(_) => {
                self.at_most(Invariant::WindowMatchesCalls, &record, capacity, None).map(|()| None)
            }
        }
    }

    pub(crate) fn check_refusal(
        &self,
        open: &Open,
        before: SeqNo,
        seqno: SeqNo,
        error: ClaimError,
    ) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        let holds = match error {
            ClaimError::AlreadyCompleted => {
                record.start.get().is_none() || work.may_be_completed(seqno..=seqno)
            }
            ClaimError::Claimed => true,
            ClaimError::Full(full) => {
                let fits_at = seqno.checked_sub(open.capacity);
                Some(full.resume_at) == fits_at && full.seqno == seqno && before < full.resume_at
            }
            ClaimError::Removed => record.ending.load(SeqCst),
            _ => false,
        };
        if holds {
            Ok(())
        } else {
            self.at_most(Invariant::WindowMatchesCalls, record, seqno, None)
        }
    }

    /// Checks the result of completing or skipping seqnos up to `last`.
    pub(crate) fn completed(
        &self,
        open: &Open,
        before: SeqNo,
        (call, last): (Call, SeqNo),
        result: Result<Completion, CompleteError>,
    ) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        // An incarnation that is ending need not keep what is completed.
        let ending = record.ending.load(SeqCst);
        work.completed(call, !ending && matches!(result, Ok(Completion::Completed { .. })));
        match result {
            Ok(Completion::Completed { mark } | Completion::AlreadyCompleted { mark }) => {
                self.check_mark(record, before, mark)
            }
            Err(CompleteError::Removed) if ending => Ok(()),
            Err(_) => self.at_most(Invariant::WindowMatchesCalls, record, last, None),
        }
    }

    /// Checks the mark and what is completed above it: everything was begun, and nothing is missing.
    pub(crate) fn applied_set(&self, open: &Open) -> Checked {
        let Some((record, work)) = open.work() else { return Ok(()) };
        let (before, done) = (record.least_mark(), work.completed_above(record.least_mark()));
        let applied = open.held.handle.applied_set();
        self.check_applied(record, &done, &applied)?;
        self.check_mark(record, before, applied.mark())
    }
}
