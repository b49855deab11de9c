//! The operations of a working thread, chosen at random.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use repl_core::{Advance, SeqNo};

use super::checker::Checked;
use super::error::StressError;
use super::faults::Faults;
use super::held::Held;
use super::report::Operations;
use super::seqnos;
use super::shards::{PLAIN, WINDOWS};
use super::violation::Invariant;
use super::worker::Worker;
use crate::locked::locked;
use crate::seed::one_in;

/// The number of attempts after which a thread reports how many operations it has done.
const REPORTED: u64 = 256;

impl<F: Faults> Worker<'_, F> {
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
        self.drop_claims(); // so that threads that still work can claim their seqnos
        self.done
    }

    fn one(&mut self) -> Result<(), StressError> {
        let shard = self.plain();
        match self.rng.u64(..4096) {
            0..1000 => self.advance_by_handle(shard)?,
            1000..1500 => self.advance_by_id(shard)?,
            1500..2000 => self.read_by_handle(shard)?,
            2000..2350 => self.read_by_id(shard)?,
            2350..2500 => self.advance_by_old_handle()?,
            2500..2800 => {
                let any = self.any();
                self.done.comparisons += 1;
                self.checker.check_floors(&self.checker.ledger.shards[any])?;
            }
            2800..2890 => self.snapshot()?,
            2890..2928 => {
                let any = if one_in(&mut self.rng, 64) { self.any() } else { shard };
                self.change(any)?;
            }
            2928..2932 => self.come_and_go()?,
            2932..2970 => self.checkpoint()?,
            2970..3940 => {
                let shard = self.among(WINDOWS);
                self.complete(shard)?;
            }
            3940..4076 => self.poll_or_cancel()?,
            _ => self.wait_a_moment()?,
        }
        Ok(())
    }

    /// A plain shard. Half of the work is on two of them, so that threads meet.
    fn plain(&mut self) -> usize {
        let among = if one_in(&mut self.rng, 2) { 0..2 } else { PLAIN };
        self.among(among)
    }

    /// A progress that is mostly a little ahead of `seen`, or else equal or behind.
    fn progress(&mut self, seen: SeqNo) -> u64 {
        let at = seqnos::progress(seen);
        match self.rng.u64(..8) {
            0 => at.saturating_sub(self.rng.u64(..8)),
            1 => at,
            _ => at + 1 + self.rng.u64(..4),
        }
    }

    fn advance_by_handle(&mut self, shard: usize) -> Checked {
        let Some(Held { handle, record }) = self.hold(shard)? else { return Ok(()) };
        let ended = record.ended.load(SeqCst);
        let before = record.least_mark();
        let requested = if one_in(&mut self.rng, 16) {
            before
        } else {
            seqnos::by_handle(self.progress(before), record.shard, record.incarnation)
        };
        record.requests(requested);
        let outcome = self.checker.subject.faults.advance(&handle, requested);
        self.done.advances_by_handle += 1;
        if outcome == Advance::Removed {
            self.put_aside(shard);
            return self.checker.removed(&record);
        }
        if ended {
            return self.checker.advanced_after_removal(&record, requested);
        }
        self.checker.check_advance(&record, before, requested, outcome)?;
        self.checker.check_mark(
            &record,
            record.least_mark(),
            self.checker.subject.faults.applied(&handle),
        )
    }

    fn advance_by_old_handle(&mut self) -> Checked {
        if self.old.is_empty() {
            return Ok(());
        }
        let Held { handle, record } = self.old[self.rng.usize(..self.old.len())].clone();
        let before = record.least_mark();
        let ended = record.ended.load(SeqCst);
        let requested =
            seqnos::by_handle(self.progress(before) + 64, record.shard, record.incarnation);
        record.requests(requested);
        let outcome = self.checker.subject.faults.advance(&handle, requested);
        self.done.advances_by_old_handle += 1;
        if ended && outcome != Advance::Removed {
            return self.checker.advanced_after_removal(&record, requested);
        }
        self.checker.check_mark(&record, before, self.checker.subject.faults.applied(&handle))
    }

    fn advance_by_id(&mut self, shard: usize) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let view = ledger.view();
        let record = view.current.and_then(|current| ledger.record(current));
        let before = record.as_ref().map_or(0, |record| record.least_mark());
        let requested = seqnos::by_id(self.progress(before), ledger.shard);
        ledger.written_by_id.fetch_max(requested, Relaxed);
        ledger.requested_by_id.fetch_max(requested, SeqCst);
        let outcome = self.checker.subject.state.advance(ledger.shard, requested);
        self.done.advances_by_id += 1;
        if !view.unchanged_until(&ledger.view()) {
            if let Advance::Advanced { .. } = outcome {
                locked(&ledger.strays).push(requested);
            }
            return Ok(());
        }
        let Some(record) = record else {
            let unknown = outcome == Advance::UnknownShard;
            return if unknown { Ok(()) } else { Err(self.checker.untracked(ledger, requested)) };
        };
        self.checker.check_advance(&record, before, requested, outcome)?;
        record.requested_by_id.fetch_max(requested, SeqCst);
        Ok(())
    }

    fn read_by_handle(&mut self, shard: usize) -> Checked {
        let Some(Held { handle, record }) = self.hold(shard)? else { return Ok(()) };
        self.done.reads += 1;
        self.checker.check_mark(
            &record,
            record.least_mark(),
            self.checker.subject.faults.applied(&handle),
        )
    }

    fn read_by_id(&mut self, shard: usize) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let view = ledger.view();
        let record = view.current.and_then(|current| ledger.record(current));
        let before = record.as_ref().map_or(0, |record| record.least_mark());
        let mark = self.checker.subject.state.applied_seqno(ledger.shard);
        self.done.reads += 1;
        if !view.unchanged_until(&ledger.view()) {
            return Ok(());
        }
        match (record, mark) {
            (Some(record), Some(mark)) => self.checker.check_mark(&record, before, mark),
            (None, None) => Ok(()),
            (None, Some(mark)) => Err(self.checker.untracked(ledger, mark)),
            (Some(record), None) => self.checker.at_most(
                Invariant::TableMatchesChanges,
                &record,
                record.incarnation.0,
                None,
            ),
        }
    }

    fn snapshot(&mut self) -> Checked {
        let before = self.checker.before_snapshot();
        let snapshot = self.checker.subject.state.snapshot();
        self.done.snapshots += 1;
        self.checker.check_snapshot(&before, &snapshot)
    }
}
