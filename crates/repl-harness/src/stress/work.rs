//! Records what was claimed and completed out of order, to check a window's answers.
//!
//! As in the ledger, an upper bound is recorded *before* the call that may reach it, and a lower
//! bound *after* the call has returned. No lock is held over a call to the subject.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use repl_core::{AppliedSet, SeqNo, SeqRange};

use super::spans::Spans;
use crate::locked::locked;

/// The number of newest writes that are kept.
const WRITES: usize = 256;

/// The seqnos of one incarnation, which are dense and completed in any order.
#[derive(Debug)]
pub(crate) struct Work {
    sets: Mutex<Sets>,
    /// The writes of appliers: each seqno at its index. Only the subject makes them visible.
    writes: Box<[AtomicU64]>,
    /// The seqnos that were completed at the start. No thread writes them any more.
    found: OnceLock<AppliedSet>,
}

/// A call that completes or skips.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct Call(u64);

#[derive(Debug, Default)]
struct Sets {
    /// Every seqno that may be completed or skipped.
    begun: Spans,
    /// Every seqno that is completed for certain, by a call that has also moved the mark.
    done: Spans,
    /// The calls that have begun and not returned.
    calls: BTreeMap<u64, RangeInclusive<SeqNo>>,
    next_call: u64,
    /// Ranges of calls that have returned, but that overlap a call that has not. That call may have
    /// moved the mark into the range and not over it yet.
    returned: Vec<RangeInclusive<SeqNo>>,
    /// Every seqno that is claimed for certain.
    held: BTreeSet<SeqNo>,
}

impl Work {
    pub(crate) fn new() -> Self {
        let writes = (0..WRITES).map(|_| AtomicU64::new(0)).collect();
        Work { sets: Mutex::default(), writes, found: OnceLock::new() }
    }

    /// Records the seqnos that are completed at the start.
    pub(crate) fn begins(&self, found: &AppliedSet) {
        let _ = self.found.set(found.clone());
        let mut sets = locked(&self.sets);
        let above = found.above().map(|range| range.first()..=range.last());
        for range in above.chain([0..=found.mark()]) {
            sets.begun.insert(range.clone());
            sets.done.insert(range);
        }
    }

    /// Must be called before completing or skipping.
    pub(crate) fn completing(&self, range: RangeInclusive<SeqNo>) -> Call {
        self.writes(range.clone());
        let mut sets = locked(&self.sets);
        sets.begun.insert(range.clone());
        let call = sets.next_call;
        sets.next_call += 1;
        sets.calls.insert(call, range);
        Call(call)
    }

    /// Must be called after completing or skipping. `done` tells whether this call did it.
    pub(crate) fn completed(&self, call: Call, done: bool) {
        let mut sets = locked(&self.sets);
        let sets = &mut *sets;
        sets.returned.extend(sets.calls.remove(&call.0).filter(|_| done));
        let calls = &sets.calls;
        let touched = |range: &RangeInclusive<SeqNo>| {
            calls.values().any(|call| call.start() <= range.end() && range.start() <= call.end())
        };
        for range in sets.returned.extract_if(.., |range| !touched(range)) {
            sets.done.insert(range);
        }
    }

    fn writes(&self, range: RangeInclusive<SeqNo>) {
        let newest = range.end().saturating_sub(WRITES as u64 - 1);
        for seqno in newest.max(*range.start())..=*range.end() {
            self.written(seqno).fetch_max(seqno, Ordering::Relaxed);
        }
    }

    /// Must be called after claiming. Returns `false` if the seqno is already claimed.
    pub(crate) fn claimed(&self, seqno: SeqNo) -> bool {
        locked(&self.sets).held.insert(seqno)
    }

    /// Must be called before dropping a claim, and after completing it.
    pub(crate) fn release(&self, seqno: SeqNo) {
        locked(&self.sets).held.remove(&seqno);
    }

    pub(crate) fn may_be_completed(&self, range: RangeInclusive<SeqNo>) -> bool {
        locked(&self.sets).begun.covers(range)
    }

    /// The first of these ranges that cannot be completed as a whole.
    pub(crate) fn never_completed(
        &self,
        mut ranges: impl Iterator<Item = SeqRange>,
    ) -> Option<SeqRange> {
        let sets = locked(&self.sets);
        ranges.find(|range| !sets.begun.covers(range.first()..=range.last()))
    }

    pub(crate) fn is_completed(&self, seqno: SeqNo) -> bool {
        locked(&self.sets).done.covers(seqno..=seqno)
    }

    /// The ranges above `mark` that are completed for certain.
    pub(crate) fn completed_above(&self, mark: SeqNo) -> Vec<RangeInclusive<SeqNo>> {
        locked(&self.sets).done.above(mark).collect()
    }

    /// The upper bound of the mark; `None` until the start of the incarnation is known.
    pub(crate) fn most(&self) -> Option<SeqNo> {
        locked(&self.sets).begun.prefix()
    }

    /// The lower bound of the mark.
    pub(crate) fn least(&self) -> SeqNo {
        locked(&self.sets).done.prefix().unwrap_or(0)
    }

    /// The highest seqno that may be completed or skipped.
    pub(crate) fn highest(&self) -> SeqNo {
        locked(&self.sets).begun.highest().unwrap_or(0)
    }

    /// Checks the writes of the mark and of some seqnos before it. Returns the seqno before the first
    /// write that this thread does not see, or else the mark.
    pub(crate) fn visible_write(&self, mark: SeqNo) -> SeqNo {
        // The start is not known until the call that began the incarnation has returned.
        let Some(found) = self.found.get() else { return mark };
        for before in mark.saturating_sub(8)..mark {
            let written = self.written(before + 1).load(Ordering::Relaxed) > before;
            if !written && !found.contains(before + 1) {
                return before;
            }
        }
        mark
    }

    fn written(&self, seqno: SeqNo) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "less than the length of a slice")]
        let index = (seqno % WRITES as u64) as usize;
        &self.writes[index]
    }
}
