//! The state of one apply window: what a cell holds, and what claims and completions change.
//!
//! # In chunks and in overflow
//! Seqnos up to the window's reach above the mark are *in chunks* (`chunks.rs`): their state is in
//! two bits, without a lock. Beyond it, completions and skips are ranges in the cell, and claims are
//! a set here: they are *in overflow*. A seqno in overflow comes within reach as the mark moves. So
//! `overflow_end` is the highest seqno that was ever in overflow; a thread that finds a seqno within
//! reach, at or below it, looks there too.
//!
//! A claim in overflow is entered under the lock in three steps: raise `overflow_end`, make a
//! synchronized load of the mark, give way if the seqno is within reach by now. A thread that took
//! the seqno for one within reach without seeing `overflow_end` had read a mark raised before that
//! load; then the load returns that mark. Without it, or with a plain load, both get the seqno: the
//! loom twins `an_overflow_claim_without_a_second_look_is_given_twice` and
//! `an_overflow_claim_with_a_plain_load_for_a_second_look_is_given_twice`.
//!
//! # The flag of the shard, and `highest`
//! The flag `ABOVE` of the shard (`waiters.rs`) says that seqnos may be completed above the mark. It
//! is set before the first bit of a window is, and cleared by a snapshot that finds nothing above
//! the mark. An idle window so costs a snapshot nothing.
//!
//! `highest` is 0 while the flag is not set for the window. Otherwise no seqno above `highest` is or
//! was completed in a chunk, and the flag stays set until the mark has passed `highest`:
//!
//! | completing `s` in a chunk | clearing the flag, under the shard's lock |
//! | --- | --- |
//! | 1. if `highest` is 0: take the lock, set the flag, raise `highest` to `s` | 1. read `highest` and the mark; go on if the mark is there |
//! | 2. otherwise raise `highest` to `s` by compare-and-swap, unless it is there | 2. change `highest` to 0 by compare-and-swap; give up if it has changed |
//! | 3. set the bit of `s` | 3. clear the flag |
//!
//! Both change one atomic, and one comes first. If `highest` was raised first, the clearer gives up,
//! as the mark is below. If it was cleared first, the completer finds 0 and sets the flag again. So
//! at step 3 the flag is set, and remains so until the mark has passed `s`. All of it is `Release`
//! and `Acquire`, so a thread that finds the bit, or that raises the mark after the completer's
//! synchronized load, finds the flag or a mark beyond `s`:
//! - an advance from outside moves on over what is completed in the window;
//! - what is found completed is in every later snapshot, also while its completer is stopped.
//!
//! What breaks otherwise, each a loom twin: the flag set after the bit or after `highest`
//! (`a_flag_set_late_hides_a_completion`), `highest` cleared by a plain store or without a look at
//! the mark (`a_flag_cleared_without_comparing_leaves_the_mark_behind`), `highest` read `Relaxed`
//! (`a_highest_read_relaxed_leaves_the_mark_behind`).

use crate::chunks::Chunks;
use crate::ids::SeqNo;
use crate::outcome::WindowFull;
use crate::range_set::RangeSet;
use crate::sync::{AtomicU64, Mutex, Ordering};

pub(crate) struct WindowState {
    capacity: u64,
    pub(crate) chunks: Chunks,
    /// No seqno above this one is or was completed in a range or claimed in overflow.
    overflow_end: AtomicU64,
    pub(crate) overflow_claims: Mutex<RangeSet>,
    /// See the module's documentation.
    highest: AtomicU64,
}

impl WindowState {
    pub(crate) fn new(capacity: u64) -> Self {
        WindowState {
            capacity,
            chunks: Chunks::new(),
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

    /// Whether anything may be completed in a chunk above a mark of `at`. If not, either nothing is,
    /// or the mark is higher and is read so from now on.
    #[inline]
    pub(crate) fn may_have_completed(&self, at: SeqNo) -> bool {
        self.highest.load(Ordering::Acquire) > at
    }

    /// Step 2: records that `seqno` is about to be completed in a chunk. Returns false if the flag
    /// is to be set first.
    #[inline]
    pub(crate) fn raise_highest(&self, seqno: SeqNo) -> bool {
        let mut highest = self.highest.load(Ordering::Acquire);
        while highest != 0 && highest < seqno {
            let raised = self.highest.compare_exchange_weak(
                highest,
                seqno,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match raised {
                Ok(_) => return true,
                Err(now) => highest = now,
            }
        }
        highest != 0
    }

    /// Step 1: records that `seqno` is about to be completed in a chunk. Under the shard's lock,
    /// after its flag is set.
    pub(crate) fn begin(&self, seqno: SeqNo) {
        self.highest.fetch_max(seqno, Ordering::AcqRel);
    }

    /// Steps 1 and 2 of clearing the flag, at a mark of `at`. Under the shard's lock.
    pub(crate) fn end_at(&self, at: SeqNo) {
        let highest = self.highest.load(Ordering::Relaxed);
        if highest != 0 && highest <= at {
            let _ = self.highest.compare_exchange(highest, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Whether `seqno` is completed in a chunk, above a mark of `at`.
    pub(crate) fn is_completed_above(&self, at: SeqNo, seqno: SeqNo) -> bool {
        seqno.saturating_sub(at) <= self.reach() && self.chunks.is_completed(seqno)
    }

    /// Adds what is completed in chunks above a mark of `at`.
    pub(crate) fn add_completed(&self, at: SeqNo, completed: &mut RangeSet) {
        self.chunks.add_completed(at, self.highest.load(Ordering::Acquire), completed);
    }

    /// How far above the mark seqnos are kept in chunks.
    #[inline]
    pub(crate) fn reach(&self) -> u64 {
        self.capacity.min(Chunks::REACH)
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
