//! The state of the sequence numbers just above a mark: one word each, in a ring.
//!
//! The slot of seqno `s` is `s % len`; the word in it is the *lap* `s / len` and a state. A slot
//! goes to the next lap without being cleared: whoever claims or completes `s + len` has seen a
//! mark of at least `s`, so nobody needs to know any more how `s` stands. Laps only rise. So who
//! comes late with `s` finds a later lap, and changes nothing: an acknowledgement can be late, but
//! never lost nor taken for another's.
//!
//! # Orderings
//! Completing is a `Release`, finding a seqno completed an `Acquire`: who moves the mark over it
//! passes on what its applier wrote; with either `Relaxed` it does not (the loom twin
//! `a_slot_completed_or_looked_at_relaxed_publishes_nothing`). Claiming is `Acquire` and letting a
//! claim go `Release`: who claims next sees what the one before did. Who moves the mark is settled
//! in `window.rs`.

use crate::ids::SeqNo;
use crate::sync::{AtomicU64, Ordering};

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const COMPLETED: u64 = 2;
const STATE_BITS: u32 = 2;

/// How a seqno stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Claimed,
    Completed,
    /// The mark has passed it.
    Passed,
}

pub(super) struct Ring {
    slots: Box<[AtomicU64]>,
    len_log2: u32,
}

impl Ring {
    /// Below this a lap and its state do not fit into a word.
    const MIN_LEN: u64 = 1 << STATE_BITS;
    /// 128 KiB. Seqnos beyond are kept as ranges. Loom's models come to the end of a short one.
    const MAX_LEN: u64 = if cfg!(loom) { Self::MIN_LEN } else { 1 << 14 };

    /// A ring for at least `capacity` seqnos above the mark, as far as a ring goes.
    pub(super) fn new(capacity: u64) -> Self {
        let len = capacity.clamp(Self::MIN_LEN, Self::MAX_LEN).next_power_of_two();
        let slots = (0..len).map(|_| AtomicU64::new(FREE)).collect();
        Ring { slots, len_log2: len.ilog2() }
    }

    /// How far above the mark it reaches.
    #[inline]
    pub(super) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    #[inline]
    pub(super) fn state(&self, seqno: SeqNo) -> State {
        self.state_of(seqno, self.slot(seqno).load(Ordering::Acquire))
    }

    /// Takes a free seqno; otherwise says how it stands.
    pub(super) fn claim(&self, seqno: SeqNo) -> Result<(), State> {
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

    /// Lets a claim go. One that was completed meanwhile, or that the mark has passed, stays so.
    pub(super) fn release(&self, seqno: SeqNo) {
        let (claimed, free) = (self.word(seqno, CLAIMED), self.word(seqno, FREE));
        let _ =
            self.slot(seqno).compare_exchange(claimed, free, Ordering::Release, Ordering::Relaxed);
    }

    /// Returns how it stood before.
    #[inline]
    pub(super) fn complete(&self, seqno: SeqNo) -> State {
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

    /// How `seqno` stands where `word` is in its slot.
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
