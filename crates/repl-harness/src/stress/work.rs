//! What was done out of order with the seqnos of one life: the numbers that a window's answers are
//! held against.
//!
//! As in the ledger, what bounds from above is noted *before* the call that may do it, and what
//! bounds from below *after* it has returned; no lock is held over a call to the subject.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use repl_core::{AppliedSet, SeqNo, SeqRange};

use super::ledger::locked;
use super::spans::Spans;

/// How many of the newest writes are kept.
const WRITES: usize = 256;

/// One life whose seqnos are dense, and completed in any order.
#[derive(Debug)]
pub(crate) struct Work {
    sets: Mutex<Sets>,
    /// What appliers wrote: each seqno at its place, with nothing but the subject to publish it.
    writes: Box<[AtomicU64]>,
    /// Completed before the life was met here: nobody writes these any more.
    found: OnceLock<AppliedSet>,
}

/// A call that completes or skips.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct Call(u64);

#[derive(Debug, Default)]
struct Sets {
    /// At most these are completed or skipped.
    begun: Spans,
    /// At least these are, and who completed them has moved the mark on where it could.
    done: Spans,
    /// The calls that have begun and not returned.
    calls: BTreeMap<u64, RangeInclusive<SeqNo>>,
    next_call: u64,
    /// Completed by calls that have returned, but touched by others that have not: one of those may
    /// have moved the mark there and not on.
    returned: Vec<RangeInclusive<SeqNo>>,
    /// At least these are claimed.
    held: BTreeSet<SeqNo>,
}

impl Work {
    pub(crate) fn new() -> Self {
        let writes = (0..WRITES).map(|_| AtomicU64::new(0)).collect();
        Work { sets: Mutex::default(), writes, found: OnceLock::new() }
    }

    /// The life begins with these completed.
    pub(crate) fn begins(&self, found: &AppliedSet) {
        let _ = self.found.set(found.clone());
        let mut sets = locked(&self.sets);
        let above = found.above().iter().map(|range| range.first..=range.last);
        for range in above.chain([0..=found.mark()]) {
            sets.begun.insert(range.clone());
            sets.done.insert(range);
        }
    }

    /// To be called before completing or skipping.
    pub(crate) fn completing(&self, range: RangeInclusive<SeqNo>) -> Call {
        self.writes(range.clone());
        let mut sets = locked(&self.sets);
        sets.begun.insert(range.clone());
        let call = sets.next_call;
        sets.next_call += 1;
        sets.calls.insert(call, range);
        Call(call)
    }

    /// To be called after that; `done` where it was this call that did it.
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

    /// To be called after claiming; false where it is claimed already.
    pub(crate) fn claimed(&self, seqno: SeqNo) -> bool {
        locked(&self.sets).held.insert(seqno)
    }

    /// To be called before dropping a claim, and after completing it.
    pub(crate) fn let_go(&self, seqno: SeqNo) {
        locked(&self.sets).held.remove(&seqno);
    }

    pub(crate) fn may_be_completed(&self, range: RangeInclusive<SeqNo>) -> bool {
        locked(&self.sets).begun.covers(range)
    }

    /// The first of these ranges that is not completed in whole, for certain.
    pub(crate) fn never_completed(&self, ranges: &[SeqRange]) -> Option<SeqRange> {
        let sets = locked(&self.sets);
        ranges.iter().copied().find(|range| !sets.begun.covers(range.first..=range.last))
    }

    pub(crate) fn is_completed(&self, seqno: SeqNo) -> bool {
        locked(&self.sets).done.covers(seqno..=seqno)
    }

    /// What is completed for certain, above `mark`.
    pub(crate) fn completed_above(&self, mark: SeqNo) -> Vec<RangeInclusive<SeqNo>> {
        locked(&self.sets).done.above(mark).collect()
    }

    /// The mark is at most this; `None` until it is known where the life began.
    pub(crate) fn most(&self) -> Option<SeqNo> {
        locked(&self.sets).begun.prefix()
    }

    /// The mark is at least this.
    pub(crate) fn least(&self) -> SeqNo {
        locked(&self.sets).done.prefix().unwrap_or(0)
    }

    /// The highest that is completed or skipped.
    pub(crate) fn highest(&self) -> SeqNo {
        locked(&self.sets).begun.highest().unwrap_or(0)
    }

    /// What this thread sees written for the mark and some seqnos before it: the lowest that is
    /// not there, less one; otherwise the mark.
    pub(crate) fn sees_written(&self, mark: SeqNo) -> SeqNo {
        // Until the call that began the life has returned, where it began is not known here.
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
