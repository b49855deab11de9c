//! Checks what a round recovers.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::{AppliedSet, Incarnation};

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::ledger::{Record, ShardLedger};
use super::marks::{LastRound, Marks, first_outside};
use super::violation::{Invariant, Violation};

/// Checks that the marks and completed ranges that were found are between the last acknowledged and
/// the last attempted checkpoint.
pub(crate) fn between<F: Faults>(
    checker: Checker<'_, F>,
    last: &LastRound,
    found: &Marks,
) -> Checked {
    let of = |marks: &Marks, shard, record| -> Option<AppliedSet> {
        let (of, set) = marks.get(&shard)?;
        (*of == record).then(|| set.clone())
    };
    let broken = |invariant, shard, record, lesser, greater| -> Violation {
        checker.violation(invariant, (shard, Some(record)), lesser, greater)
    };
    for (&shard, &(record, ref acknowledged)) in &last.acknowledged {
        let recovered = of(found, shard, record);
        let mark = recovered.as_ref().map(AppliedSet::mark);
        if mark < Some(acknowledged.mark()) {
            let invariant = Invariant::AcknowledgedWithinRecovered;
            return Err(broken(invariant, shard, record, Some(acknowledged.mark()), mark));
        }
        let missing = recovered.and_then(|recovered| first_outside(acknowledged, &recovered));
        if missing.is_some() {
            return Err(broken(Invariant::RecordedWithinCompleted, shard, record, missing, None));
        }
    }
    for (&shard, &(record, ref recovered)) in found {
        let attempted = of(&last.attempted, shard, record);
        let mark = attempted.as_ref().map(AppliedSet::mark);
        // A named shard that was not saved begins at 0.
        let begins = attempted.is_none() && recovered.mark() == 0;
        if mark < Some(recovered.mark()) && !begins {
            let invariant = Invariant::RecoveredWithinAttempted;
            return Err(broken(invariant, shard, record, Some(recovered.mark()), mark));
        }
        let added = first_outside(recovered, &attempted.unwrap_or_default());
        if added.is_some() {
            return Err(broken(Invariant::CompletedWithinRecorded, shard, record, added, None));
        }
    }
    Ok(())
}

impl<F: Faults> Checker<'_, F> {
    /// Checks that the handle and the window of a recovered shard agree with the snapshot.
    pub(crate) fn recovered(
        &self,
        ledger: &ShardLedger,
        incarnation: Incarnation,
        found: &AppliedSet,
    ) -> Checked {
        let Some(record) = ledger.record(incarnation) else { return Ok(()) };
        record.begins(found);
        record.seen.store(found.mark(), SeqCst);
        // Recovered marks are durable.
        record.flushed.store(found.mark(), SeqCst);
        let Some((handle, _)) = self.look_up(ledger)? else { return Ok(()) };
        self.is_same(&record, found, &handle.applied_set())?;
        let Some(open) = self.window(ledger)? else { return Ok(()) };
        self.is_same(&record, found, &open.held.handle.applied_set())?;
        for seqno in found.above().flat_map(|range| [range.first(), range.last()]) {
            if open.window.try_claim(seqno).is_ok() {
                return self.at_most(Invariant::NoClaimAfterCompletion, &record, seqno, None);
            }
        }
        Ok(())
    }

    /// Checks that a recovered shard reports exactly what was found as completed.
    fn is_same(&self, record: &Record, found: &AppliedSet, reported: &AppliedSet) -> Checked {
        let lost = first_outside(found, reported);
        self.at_most(Invariant::RecordedWithinCompleted, record, lost, None)?;
        let added = first_outside(reported, found);
        self.at_most(Invariant::CompletedWithinRecorded, record, added, None)
    }
}
