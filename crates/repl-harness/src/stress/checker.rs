//! The checks of every mark and every snapshot.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use repl_core::{Advance, AppliedSet, Incarnation, SeqNo, Shard, ShardId, Snapshot};

use super::faults::Faults;
use super::ledger::{Ledger, Record, ShardLedger, View};
use super::seqnos::{self, Origin};
use super::subject::Subject;
use super::violation::{Invariant, Violation};

pub(crate) type Checked<T = ()> = Result<T, Violation>;

#[derive(Debug)]
pub(crate) struct Checker<'a, F> {
    pub(crate) subject: &'a Subject<F>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) seed: u64,
}

impl<F> Clone for Checker<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Checker<'_, F> {}

/// The facts known of every shard before a snapshot was taken.
pub(crate) struct Before(Vec<Known>);

struct Known {
    view: View,
    seen: SeqNo,
    /// The completed ranges above `seen`.
    done: Vec<RangeInclusive<SeqNo>>,
}

impl<F: Faults> Checker<'_, F> {
    pub(crate) fn violation(
        &self,
        invariant: Invariant,
        (shard, incarnation): (ShardId, Option<Incarnation>),
        lesser: Option<SeqNo>,
        greater: Option<SeqNo>,
    ) -> Violation {
        Violation { invariant, shard, incarnation, lesser, greater, seed: self.seed, hung: None }
    }

    /// Checks that `lesser <= greater` for one incarnation. `None` is less than any number.
    pub(crate) fn at_most(
        &self,
        invariant: Invariant,
        record: &Record,
        lesser: impl Into<Option<SeqNo>>,
        greater: impl Into<Option<SeqNo>>,
    ) -> Checked {
        let (lesser, greater) = (lesser.into(), greater.into());
        if lesser <= greater {
            return Ok(());
        }
        let at = (record.shard, Some(record.incarnation));
        Err(self.violation(invariant, at, lesser, greater))
    }

    /// Checks a mark that was read. `before` was observed before the read began.
    pub(crate) fn check_mark(&self, record: &Record, before: SeqNo, mark: SeqNo) -> Checked {
        let fell = record.work.is_none() || record.seen.load(SeqCst) > mark;
        let invariant = if fell { Invariant::NeverFalls } else { Invariant::NoCompletionLost };
        self.at_most(invariant, record, before, mark)?;
        self.belongs(record, mark)?;
        record.seen.fetch_max(mark, SeqCst);
        Ok(())
    }

    /// Checks that the mark was requested, and for this incarnation.
    fn belongs(&self, record: &Record, mark: SeqNo) -> Checked {
        let start = record.start.get().copied();
        if start == Some(mark) {
            return Ok(());
        }
        if let Some(work) = &record.work {
            let most = work.most();
            // The start is not known until the call that began the incarnation has returned.
            let most = if start.is_some() { most } else { Some(mark) };
            return self.at_most(Invariant::NoGapPassed, record, mark, most);
        }
        let known = self.ledger.shard(record.shard);
        let by_id = known.map(|shard| shard.requested_by_id.load(SeqCst));
        let own = match seqnos::origin(mark) {
            Some(Origin::ById) => {
                self.at_most(Invariant::WithinRequested, record, mark, by_id)?;
                true
            }
            Some(Origin::ByHandle) if seqnos::is_of_incarnation(mark, record.incarnation) => {
                self.at_most(
                    Invariant::WithinRequested,
                    record,
                    mark,
                    record.requested.load(SeqCst),
                )?;
                true
            }
            Some(Origin::ByHandle) => false,
            // As above.
            Some(Origin::Start) | None => start.is_none(),
        };
        if own && (mark == 0 || seqnos::is_of_shard(mark, record.shard)) {
            return Ok(());
        }
        let at = (record.shard, Some(record.incarnation));
        Err(self.violation(Invariant::OwnIncarnationOnly, at, start, Some(mark)))
    }

    /// Checks the result of an advance to `requested`.
    pub(crate) fn check_advance(
        &self,
        record: &Record,
        before: SeqNo,
        requested: SeqNo,
        outcome: Advance,
    ) -> Checked {
        match outcome {
            Advance::Advanced { from } => {
                self.at_most(Invariant::NeverFalls, record, before, from)?;
                self.at_most(Invariant::OutcomeMatchesMark, record, from + 1, requested)?;
            }
            Advance::Stale { at } => {
                self.at_most(Invariant::NeverFalls, record, before, at)?;
                self.at_most(Invariant::OutcomeMatchesMark, record, requested, at)?;
            }
            Advance::Gap { .. } | Advance::Removed | Advance::UnknownShard => {
                return self.at_most(
                    Invariant::TableMatchesChanges,
                    record,
                    record.incarnation.0,
                    None,
                );
            }
        }
        record.seen.fetch_max(requested, SeqCst);
        Ok(())
    }

    /// A handle returned `Removed`: its incarnation must be ending, and no look-up may find it.
    pub(crate) fn removed(&self, record: &Record) -> Checked {
        let found = self.subject.state.shard(record.shard).map(|handle| handle.incarnation());
        if record.ending.load(SeqCst) && found != Some(record.incarnation) {
            return Ok(());
        }
        self.at_most(Invariant::TableMatchesChanges, record, record.incarnation.0, None)
    }

    /// The violation of an advance that succeeded after its incarnation had ended.
    pub(crate) fn advanced_after_removal(&self, record: &Record, requested: SeqNo) -> Checked {
        self.at_most(Invariant::RemovedStaysRemoved, record, requested, None)
    }

    /// The violation of a result for a shard that is not tracked.
    pub(crate) fn untracked(&self, shard: &ShardLedger, number: SeqNo) -> Violation {
        let at = (shard.shard, None);
        self.violation(Invariant::TableMatchesChanges, at, Some(number), None)
    }

    /// Looks a shard up. Its incarnation is never below one that an earlier look-up has returned.
    pub(crate) fn look_up(&self, shard: &ShardLedger) -> Checked<Option<(Shard, Arc<Record>)>> {
        let before = shard.found.load(SeqCst);
        let Some(handle) = self.subject.state.shard(shard.shard) else { return Ok(None) };
        let Some(record) = shard.record(handle.incarnation()) else { return Ok(None) };
        self.at_most(Invariant::IncarnationsRise, &record, before, record.incarnation.0)?;
        shard.found.fetch_max(record.incarnation.0, SeqCst);
        Ok(Some((handle, record)))
    }

    /// Checks that `floor <= checkpointed <= flushed <= applied`, and that none of them falls.
    pub(crate) fn check_floors(&self, shard: &ShardLedger) -> Checked {
        let Some((handle, record)) = self.look_up(shard)? else { return Ok(()) };
        let before = record.least_mark();
        let known = (record.floor.load(SeqCst), record.checkpointed.load(SeqCst));
        // Read in this order, each bounds the one before it, whatever moves in the meantime.
        let floor = self.subject.floor(shard.shard);
        let checkpointed = self.subject.floors.checkpointed(shard.shard);
        let flushed = record.flushed.load(SeqCst);
        let applied = self.subject.faults.applied(&handle);
        let now = self.subject.state.shard(shard.shard).map(|h| h.incarnation());
        if now != Some(record.incarnation) {
            return Ok(());
        }
        self.check_mark(&record, before, applied)?;
        let or_0 = |mark: Option<SeqNo>| mark.unwrap_or(0);
        self.at_most(Invariant::NeverFalls, &record, known.0, or_0(floor))?;
        self.at_most(Invariant::NeverFalls, &record, known.1, or_0(checkpointed))?;
        self.at_most(Invariant::FloorWithinCheckpointed, &record, floor, checkpointed)?;
        self.at_most(Invariant::CheckpointedWithinFlushed, &record, or_0(checkpointed), flushed)?;
        self.at_most(Invariant::FlushedWithinApplied, &record, flushed, applied)?;
        record.floor.fetch_max(or_0(floor), SeqCst);
        record.checkpointed.fetch_max(or_0(checkpointed), SeqCst);
        Ok(())
    }

    /// Must be called before taking a snapshot that [`Checker::check_snapshot`] checks.
    pub(crate) fn before_snapshot(&self) -> Before {
        let known = self.ledger.shards.iter().map(|shard| {
            let view = shard.view();
            let record = view.current.and_then(|current| shard.record(current));
            let seen = record.as_ref().map_or(0, |record| record.least_mark());
            let work = record.as_ref().and_then(|record| record.work.as_ref());
            let done = work.map(|work| work.completed_above(seen)).unwrap_or_default();
            Known { view, seen, done }
        });
        Before(known.collect())
    }

    /// Checks a snapshot: it holds every tracked shard in order, everything that was done, and nothing
    /// that was not requested.
    pub(crate) fn check_snapshot(&self, before: &Before, snapshot: &Snapshot) -> Checked {
        for (shard, Known { view, seen, done }) in self.ledger.shards.iter().zip(&before.0) {
            let entry = snapshot.entry(shard.shard);
            let found = entry.as_ref().map(|e| e.incarnation);
            if view.unchanged_until(&shard.view()) && found != view.current {
                let (expected, found) = (view.current.map(|i| i.0), found.map(|i| i.0));
                let at = (shard.shard, view.current);
                return Err(self.violation(Invariant::TableMatchesChanges, at, expected, found));
            }
            let Some(entry) = entry else { continue };
            let Some(record) = shard.record(entry.incarnation) else { continue };
            let is_same_incarnation = view.current == found;
            let (seen, done) = if is_same_incarnation { (*seen, &**done) } else { (0, &[][..]) };
            self.check_applied(&record, done, &entry.applied_set)?;
            self.check_mark(&record, seen, entry.mark())?;
            let next = snapshot.next_incarnation().0;
            self.at_most(Invariant::IncarnationsRise, &record, record.incarnation.0 + 1, next)?;
        }
        let known = |shard: ShardId| self.ledger.shard(shard).is_some();
        let mut last = None;
        for (shard, _) in snapshot {
            if !known(shard) || last >= Some(shard) {
                let at = (shard, None);
                return Err(self.violation(
                    Invariant::TableMatchesChanges,
                    at,
                    None,
                    Some(shard.0),
                ));
            }
            last = Some(shard);
        }
        Ok(())
    }

    /// Checks what is completed above a mark: every range was begun, none of `done` is missing, and
    /// no two ranges touch.
    pub(crate) fn check_applied(
        &self,
        record: &Record,
        done: &[RangeInclusive<SeqNo>],
        applied: &AppliedSet,
    ) -> Checked {
        let Some(work) = &record.work else { return Ok(()) };
        let (mark, ranges) = (applied.mark(), applied.above());
        let mut end = mark.saturating_add(1);
        for range in ranges.clone() {
            if range.is_empty() || range.first() <= end {
                return self.at_most(Invariant::WindowMatchesCalls, record, range.first(), None);
            }
            end = range.last().saturating_add(1);
        }
        if let Some(range) = work.never_completed(ranges.clone()) {
            return self.at_most(Invariant::WindowMatchesCalls, record, range.first(), None);
        }
        if record.ending.load(SeqCst) {
            return Ok(()); // an ended incarnation has no completed ranges
        }
        for range in done {
            let first = mark.saturating_add(1).max(*range.start());
            let last = *range.end();
            let mut ranges = ranges.clone();
            let listed = ranges.any(|range| range.first() <= first && last <= range.last());
            if first <= last && !listed {
                return self.at_most(Invariant::NoCompletionLost, record, last, mark);
            }
        }
        Ok(())
    }
}
