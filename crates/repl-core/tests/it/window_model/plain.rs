//! A window as a plain set of seqnos.

use std::collections::BTreeSet;

use repl_core::{Advance, ClaimError, Completion, SeqRange, WindowFull};

pub(super) struct Model {
    pub(super) mark: u64,
    /// Above the mark.
    pub(super) completed: BTreeSet<u64>,
    pub(super) claimed: BTreeSet<u64>,
    pub(super) capacity: u64,
}

impl Model {
    pub(super) fn contains(&self, seqno: u64) -> bool {
        seqno <= self.mark || self.completed.contains(&seqno)
    }

    pub(super) fn full(&self, seqno: u64) -> Option<WindowFull> {
        (seqno.saturating_sub(self.mark) > self.capacity)
            .then(|| WindowFull { seqno, resume_at: seqno - self.capacity })
    }

    /// Returns whether any of them is new.
    pub(super) fn insert(&mut self, seqnos: impl Iterator<Item = u64>) -> bool {
        let before = (self.mark, self.completed.len());
        let mark = self.mark;
        self.completed.extend(seqnos.filter(|seqno| *seqno > mark));
        let new = before.1 != self.completed.len();
        self.settle();
        new
    }

    fn settle(&mut self) {
        while self.mark < u64::MAX && self.completed.remove(&(self.mark + 1)) {
            self.mark += 1;
        }
    }

    pub(super) fn complete(&mut self, seqno: u64) -> Completion {
        if self.insert(std::iter::once(seqno)) {
            Completion::Completed { mark: self.mark }
        } else {
            Completion::AlreadyCompleted { mark: self.mark }
        }
    }

    pub(super) fn claim(&self, seqno: u64) -> Result<(), ClaimError> {
        if self.contains(seqno) {
            Err(ClaimError::AlreadyCompleted)
        } else if let Some(full) = self.full(seqno) {
            Err(ClaimError::Full(full))
        } else if self.claimed.contains(&seqno) {
            Err(ClaimError::Claimed)
        } else {
            Ok(())
        }
    }

    pub(super) fn advance(&mut self, to: u64) -> Advance {
        let from = self.mark;
        if to <= from {
            return Advance::Stale { at: from };
        }
        self.mark = to;
        self.completed.retain(|seqno| *seqno > to);
        self.settle();
        Advance::Advanced { from }
    }

    pub(super) fn pending(&self) -> Vec<SeqRange> {
        let mut ranges: Vec<SeqRange> = Vec::new();
        for seqno in &self.completed {
            match ranges.last_mut() {
                Some(range) if range.last() + 1 == *seqno => {
                    *range = SeqRange::new(range.first(), *seqno);
                }
                _ => ranges.push(SeqRange::from(*seqno)),
            }
        }
        ranges
    }

    pub(super) fn highest(&self) -> u64 {
        self.completed.last().copied().unwrap_or(self.mark)
    }
}
