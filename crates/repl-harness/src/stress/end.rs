//! Checks at the end of a round.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::ClaimError;

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::ledger::ShardLedger;
use super::violation::Invariant;
use super::work::Work;
use crate::locked::locked;

impl<F: Faults> Checker<'_, F> {
    /// Checks that every mark is the maximum of all requested seqnos. All threads must have ended.
    pub(crate) fn end(&self) -> Checked {
        self.check_snapshot(&self.before_snapshot(), &self.subject.state.snapshot())?;
        for shard in self.ledger.shards.iter().filter(|shard| shard.kind.has_window()) {
            self.complete_the_rest(shard)?;
        }
        for shard in &self.ledger.shards {
            let Some(current) = shard.view().current else { continue };
            let Some(record) = shard.record(current) else { continue };
            let start = record.start.get().copied().unwrap_or(0);
            let requested =
                start.max(record.requested_by_id.load(SeqCst)).max(record.requested.load(SeqCst));
            let maximum = record.work.as_ref().map_or(requested, Work::highest);
            let end = self.subject.state.applied_seqno(shard.shard);
            let strays = locked(&shard.strays);
            let stray = end > Some(maximum) && end.is_some_and(|end| strays.contains(&end));
            if end != Some(maximum) && !stray {
                let at = (shard.shard, Some(current));
                return Err(self.violation(Invariant::EndIsMaximum, at, Some(maximum), end));
            }
        }
        Ok(())
    }

    /// Completes every seqno below the highest completed one, so that the mark must reach that. No
    /// thread may hold a claim.
    pub(crate) fn complete_the_rest(&self, ledger: &ShardLedger) -> Checked {
        let Some(open) = self.window(ledger)? else {
            let Some((_, record)) = self.look_up(ledger)? else { return Ok(()) };
            return self.at_most(
                Invariant::DroppedClaimIsFree,
                &record,
                record.incarnation.0,
                None,
            );
        };
        let Some((record, work)) = open.work() else { return Ok(()) };
        let highest = work.highest();
        self.applied_set(&open)?;
        let mut at = open.held.handle.applied();
        while at < highest {
            let (before, seqno) = (record.least_mark(), at + 1);
            let was_completed = work.is_completed(seqno);
            match open.window.try_claim(seqno) {
                Ok(_) if was_completed => {
                    let again = Invariant::NoClaimAfterCompletion;
                    return self.at_most(again, record, seqno, None);
                }
                Ok(claim) => {
                    let call = work.completing(seqno..=seqno);
                    self.completed(&open, before, (call, seqno), claim.complete())?;
                }
                Err(ClaimError::Claimed) => {
                    return self.at_most(Invariant::DroppedClaimIsFree, record, seqno, None);
                }
                Err(error) => self.check_refusal(&open, before, seqno, error)?,
            }
            let now = open.held.handle.applied();
            self.at_most(Invariant::NoCompletionLost, record, seqno, now)?;
            at = now;
        }
        Ok(())
    }
}
