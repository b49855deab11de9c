//! The state of one apply window: what a cell holds, and what claims and completions change.
//!
//! # In the ring and in overflow
//! Seqnos up to the ring's length above the mark are *in the ring*: their state is one word each,
//! without a lock. Beyond it, completions and skips are ranges in the cell, and claims are a set
//! here: they are *in overflow*. A seqno in overflow comes into the ring as the mark moves. So
//! `overflow_end` is the highest seqno that was ever in overflow; a thread that finds a seqno in the
//! ring, at or below it, looks there too.
//!
//! A claim in overflow is entered under the lock in three steps: raise `overflow_end`, make a
//! synchronized load of the mark, give way if the seqno is in the ring by now. A thread that took
//! the seqno for one in the ring without seeing `overflow_end` had read a mark raised before that
//! load; then the load returns that mark. Without it, or with a plain load, both get the seqno: the
//! loom twins `an_overflow_claim_without_a_second_look_is_given_twice` and
//! `an_overflow_claim_with_a_plain_load_for_a_second_look_is_given_twice`.

use std::collections::BTreeSet;

use crate::ids::SeqNo;
use crate::outcome::WindowFull;
use crate::range_set::RangeSet;
use crate::ring::Ring;
use crate::seq_range::SeqRange;
use crate::sync::{AtomicU64, Mutex, Ordering};

pub(crate) struct WindowState {
    capacity: u64,
    pub(crate) ring: Ring,
    /// No seqno above this one is or was completed in a range or claimed in overflow.
    overflow_end: AtomicU64,
    pub(crate) overflow_claims: Mutex<BTreeSet<SeqNo>>,
    /// No seqno above this one was ever completed in the ring. Written before the slot is: a thread
    /// that finds the slot completed finds this too.
    highest: AtomicU64,
}

impl WindowState {
    pub(crate) fn new(capacity: u64) -> Self {
        WindowState {
            capacity,
            ring: Ring::new(capacity),
            overflow_end: AtomicU64::new(0),
            overflow_claims: Mutex::default(),
            highest: AtomicU64::new(0),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Records that ranges or claims in overflow reach up to `seqno`.
    pub(crate) fn note_overflow(&self, seqno: SeqNo) {
        self.overflow_end.fetch_max(seqno, Ordering::AcqRel);
    }

    /// Whether `seqno` may be in a range or claimed in overflow.
    #[inline]
    pub(crate) fn may_be_in_overflow(&self, seqno: SeqNo) -> bool {
        seqno <= self.overflow_end.load(Ordering::Acquire)
    }

    /// Records that `seqno` is about to be completed in the ring.
    pub(crate) fn note_highest(&self, seqno: SeqNo) {
        if seqno > self.highest.load(Ordering::Relaxed) {
            self.highest.fetch_max(seqno, Ordering::Relaxed);
        }
    }

    /// Whether `seqno` is completed in the ring, above a mark of `at`.
    pub(crate) fn is_completed_above(&self, at: SeqNo, seqno: SeqNo) -> bool {
        seqno.saturating_sub(at) <= self.ring.len() && self.ring.is_completed(seqno)
    }

    /// Adds what is completed in the ring above a mark of `at`.
    pub(crate) fn add_completed(&self, at: SeqNo, completed: &mut RangeSet) {
        let mut seqno = at;
        let highest = self.highest.load(Ordering::Relaxed);
        let last = at.saturating_add(self.ring.len()).min(highest);
        while seqno < last {
            let first = seqno + 1;
            while seqno < last && self.ring.is_completed(seqno + 1) {
                seqno += 1;
            }
            completed.insert(SeqRange::new(first, seqno));
            seqno = seqno.saturating_add(1);
        }
    }

    /// How far above a mark of `at` a seqno lies; an error where the window does not reach it.
    #[inline]
    pub(crate) fn distance(&self, seqno: SeqNo, at: SeqNo) -> Result<u64, WindowFull> {
        let distance = seqno.saturating_sub(at);
        if distance <= self.capacity { Ok(distance) } else { Err(self.full(seqno)) }
    }

    pub(crate) fn full(&self, seqno: SeqNo) -> WindowFull {
        WindowFull { seqno, resume_at: seqno.saturating_sub(self.capacity) }
    }
}
