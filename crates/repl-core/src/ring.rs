//! The states of the sequence numbers just above a mark: one word each, in a ring.
//!
//! The slot of seqno `s` is `s % len`. The word in it holds the *lap* `s / len` and a state. A slot
//! goes to the next lap without being cleared: a thread that claims or completes `s + len` has seen
//! a mark of at least `s`, so the state of `s` no longer matters. Laps only rise. So a thread that
//! comes late with `s` finds a later lap and changes nothing: a completion may be late, but it is
//! never lost and never taken for another seqno's.
//!
//! # Orderings
//! Completing is a `Release`, finding a seqno completed an `Acquire`: a thread that moves the mark
//! over it passes on what its applier wrote. With either `Relaxed` it does not (the loom twin
//! `a_slot_completed_or_looked_at_relaxed_publishes_nothing`). Claiming is `Acquire` and releasing a
//! claim `Release`: the next claimer observes what the one before did. `cell/prefix.rs` argues which
//! thread moves the mark.

use crate::ids::SeqNo;
use crate::sync::{AtomicU64, Ordering, interleave};

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const COMPLETED: u64 = 2;
const STATE_BITS: u32 = 2;

/// The state of a seqno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Claimed,
    Completed,
    /// A later lap has taken the slot: the mark is at the seqno or above.
    Passed,
}

pub(crate) struct Ring {
    slots: Box<[AtomicU64]>,
    len_log2: u32,
}

impl Ring {
    /// A shorter ring has no room for a lap and a state in one word.
    const MIN_LEN: u64 = 1 << STATE_BITS;
    /// 128 KiB. Loom's models need a ring that they can go round.
    const MAX_LEN: u64 = if cfg!(loom_models) { Self::MIN_LEN } else { 1 << 14 };

    /// Creates a ring for `capacity` seqnos above the mark, or for as many as the longest ring holds.
    pub(crate) fn new(capacity: u64) -> Self {
        let len = capacity.clamp(Self::MIN_LEN, Self::MAX_LEN).next_power_of_two();
        let slots = (0..len).map(|_| AtomicU64::new(FREE)).collect();
        Ring { slots, len_log2: len.ilog2() }
    }

    /// How far above the mark it reaches, in seqnos.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    #[inline]
    pub(crate) fn state(&self, seqno: SeqNo) -> State {
        let state = self.state_of(seqno, self.slot(seqno).load(Ordering::Acquire));
        interleave();
        state
    }

    /// Whether a seqno is known to be completed.
    pub(crate) fn is_completed(&self, seqno: SeqNo) -> bool {
        matches!(self.state(seqno), State::Completed | State::Passed)
    }

    /// Claims a free seqno; otherwise returns its state.
    pub(crate) fn claim(&self, seqno: SeqNo) -> Result<(), State> {
        let slot = self.slot(seqno);
        let mut word = slot.load(Ordering::Acquire);
        loop {
            match self.state_of(seqno, word) {
                State::Free => {}
                taken => return Err(taken),
            }
            let claimed = self.word(seqno, CLAIMED);
            match slot.compare_exchange(word, claimed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Releases a claim. A seqno that was completed meanwhile, or passed by the mark, stays so.
    pub(crate) fn release(&self, seqno: SeqNo) {
        let (claimed, free) = (self.word(seqno, CLAIMED), self.word(seqno, FREE));
        let _ =
            self.slot(seqno).compare_exchange(claimed, free, Ordering::Release, Ordering::Relaxed);
    }

    /// Completes a seqno and returns the state before.
    #[inline]
    pub(crate) fn complete(&self, seqno: SeqNo) -> State {
        let completed = self.word(seqno, COMPLETED);
        self.state_of(seqno, self.slot(seqno).fetch_max(completed, Ordering::AcqRel))
    }

    #[inline]
    fn slot(&self, seqno: SeqNo) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "less than the length of a slice")]
        let index = (seqno & (self.slots.len() as u64 - 1)) as usize;
        &self.slots[index]
    }

    #[inline]
    fn word(&self, seqno: SeqNo, state: u64) -> u64 {
        ((seqno >> self.len_log2) << STATE_BITS) | state
    }

    /// The state of `seqno` where `word` is in its slot.
    #[inline]
    fn state_of(&self, seqno: SeqNo, word: u64) -> State {
        if word < self.word(seqno, FREE) {
            return State::Free; // of an earlier lap
        }
        match word - self.word(seqno, FREE) {
            FREE => State::Free,
            CLAIMED => State::Claimed,
            COMPLETED => State::Completed,
            _ => State::Passed,
        }
    }
}
