//! An open window: shared by the window itself and its claims, and closed with the last of them.

use std::sync::Arc;

use crate::cell::Cell;
use crate::chunks::State;
use crate::ids::SeqNo;
use crate::outcome::{ClaimError, CompleteError, Completion, WindowError, WindowFull};
use crate::range_set::RangeSet;
use crate::seq_range::SeqRange;
use crate::shard::Shard;
use crate::sync::{interleave, locked};
use crate::window_state::WindowState;

/// The cell holds the state as well, and so does an advance from outside or a snapshot while it
/// looks; so the reference count of the state does not tell when the window closes.
pub(super) struct Guard {
    pub(super) shard: Shard,
    pub(super) state: Arc<WindowState>,
}

/// Where a claim is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Chunk,
    Overflow,
}

impl Guard {
    pub(super) fn open(shard: Shard, capacity: u64) -> Result<Arc<Self>, WindowError> {
        if capacity == 0 {
            return Err(WindowError::NoCapacity);
        }
        let state = Arc::new(WindowState::new(capacity));
        let cell = shard.cell();
        if cell.is_removed() {
            return Err(WindowError::Removed);
        }
        if !cell.attach(&state) {
            return Err(WindowError::AlreadyOpen);
        }
        // From now on a thread that completes a range notes it in the window.
        state.note_overflow(cell.highest_in_ranges().unwrap_or(0));
        Ok(Arc::new(Guard { shard, state }))
    }

    fn cell(&self) -> &Cell {
        self.shard.cell()
    }

    pub(super) fn capacity(&self) -> u64 {
        self.state.capacity()
    }

    /// Claims a seqno; returns where the claim is kept.
    pub(super) fn claim(&self, seqno: SeqNo) -> Result<Place, ClaimError> {
        let cell = self.cell();
        let mut at = cell.applied();
        loop {
            if cell.is_removed() {
                return Err(ClaimError::Removed);
            }
            match self.reach(seqno, at)? {
                None => return Err(ClaimError::AlreadyCompleted),
                Some(distance) if distance > self.state.reach() => {}
                Some(_) if self.state.may_be_in_overflow(seqno) => {
                    return locked(&self.state.overflow_claims, |claims| {
                        self.look_in_overflow(claims, seqno)?;
                        self.claim_in_chunk(at, seqno)
                    });
                }
                Some(_) => return self.claim_in_chunk(at, seqno),
            }
            if self.claim_in_overflow(seqno)? {
                return Ok(Place::Overflow);
            }
            at = cell.applied(); // it has come within reach of the chunks
        }
    }

    pub(super) fn claim_in_chunk(&self, at: SeqNo, seqno: SeqNo) -> Result<Place, ClaimError> {
        match self.state.chunks.claim(at, seqno) {
            Err(State::Claimed) => Err(ClaimError::Claimed),
            Err(_) => Err(ClaimError::AlreadyCompleted),
            Ok(()) if seqno <= self.cell().applied() => {
                self.release(seqno, Place::Chunk);
                Err(ClaimError::AlreadyCompleted)
            }
            Ok(()) => Ok(Place::Chunk),
        }
    }

    /// Returns false where the seqno has come within reach of the chunks.
    fn claim_in_overflow(&self, seqno: SeqNo) -> Result<bool, ClaimError> {
        locked(&self.state.overflow_claims, |claims| {
            self.look_in_overflow(claims, seqno)?;
            self.state.note_overflow(seqno);
            let in_overflow = seqno - self.cell().sync_load().min(seqno) > self.state.reach();
            if in_overflow {
                claims.insert(seqno.into());
            }
            Ok(in_overflow)
        })
    }

    fn look_in_overflow(&self, claims: &RangeSet, seqno: SeqNo) -> Result<(), ClaimError> {
        if self.contains(seqno) {
            return Err(ClaimError::AlreadyCompleted);
        }
        // A removal drops the ranges.
        if self.cell().is_removed() {
            return Err(ClaimError::Removed);
        }
        if claims.contains(seqno) { Err(ClaimError::Claimed) } else { Ok(()) }
    }

    pub(super) fn release(&self, seqno: SeqNo, place: Place) {
        match place {
            Place::Chunk => {
                self.state.chunks.release(seqno);
                self.state.chunks.drop_passed(self.cell().applied());
            }
            Place::Overflow => self.forget_overflow_claim(seqno),
        }
    }

    pub(super) fn complete_claimed(
        &self,
        seqno: SeqNo,
        place: Place,
    ) -> Result<Completion, CompleteError> {
        let completion = self.complete_from(self.cell().applied(), seqno);
        if let Place::Overflow = place {
            self.forget_overflow_claim(seqno);
        }
        completion
    }

    fn forget_overflow_claim(&self, seqno: SeqNo) {
        locked(&self.state.overflow_claims, |claims| claims.remove(seqno.into()));
    }

    #[inline]
    pub(super) fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError> {
        let at = self.cell().applied();
        if self.cell().is_removed() {
            return Err(CompleteError::Removed);
        }
        match self.reach(seqno, at)? {
            None => Ok(Completion::AlreadyCompleted { mark: at }),
            Some(_) => self.complete_from(at, seqno),
        }
    }

    /// Completes a seqno that the window reaches from a mark of `at`.
    #[inline]
    fn complete_from(&self, at: SeqNo, seqno: SeqNo) -> Result<Completion, CompleteError> {
        let cell = self.cell();
        if cell.is_removed() {
            return Err(CompleteError::Removed);
        }
        if seqno <= at {
            self.state.chunks.drop_passed(at);
            return Ok(Completion::AlreadyCompleted { mark: at });
        }
        if seqno - at > 1 {
            return self.complete_out_of_order(at, seqno);
        }
        let (from, at) = cell.raise_over_ranges(seqno);
        let mark = cell.advance_in_chunks(&self.state, at);
        Ok(if from < seqno {
            Completion::Completed { mark }
        } else {
            Completion::AlreadyCompleted { mark }
        })
    }

    pub(super) fn complete_out_of_order(
        &self,
        at: SeqNo,
        seqno: SeqNo,
    ) -> Result<Completion, CompleteError> {
        let cell = self.cell();
        if self.is_in_a_range(seqno) {
            return Ok(Completion::AlreadyCompleted { mark: cell.applied() });
        }
        if seqno - at > self.state.reach() {
            return self.complete_range(seqno.into());
        }
        // The flag comes before the bit: see `window_state.rs`.
        if !self.state.raise_highest(seqno) {
            cell.begin_above(&self.state, seqno);
        }
        let before = self.state.chunks.complete(at, seqno); // 1.
        interleave();
        let at = cell.sync_load(); // 2.
        let mark = if at >= seqno - 1 { cell.advance_prefix(&self.state, at) } else { at }; // 3.
        cell.ring();
        Ok(match before {
            State::Free | State::Claimed => Completion::Completed { mark },
            State::Completed | State::Passed => Completion::AlreadyCompleted { mark },
        })
    }

    pub(super) fn skip(&self, range: SeqRange) -> Result<Completion, CompleteError> {
        let cell = self.cell();
        let at = cell.applied();
        if cell.is_removed() {
            return Err(CompleteError::Removed);
        }
        let in_chunk = range.len() == 1 && self.state.is_completed_above(at, range.first());
        if range.is_empty() || range.last() <= at || in_chunk || cell.ranges_cover(range) {
            return Ok(Completion::AlreadyCompleted { mark: at });
        }
        self.state.distance(range.first(), at)?;
        self.complete_range(range)
    }

    fn complete_range(&self, range: SeqRange) -> Result<Completion, CompleteError> {
        let cell = self.cell();
        cell.complete_range(range);
        let mark = cell.advance_prefix(&self.state, cell.applied());
        if cell.is_removed() {
            return Err(CompleteError::Removed); // perhaps before the range was recorded
        }
        Ok(Completion::Completed { mark })
    }

    fn is_in_a_range(&self, seqno: SeqNo) -> bool {
        self.state.may_be_in_overflow(seqno) && self.cell().ranges_cover(seqno.into())
    }

    fn contains(&self, seqno: SeqNo) -> bool {
        let cell = self.cell();
        let at = cell.applied();
        seqno <= at
            || self.state.is_completed_above(at, seqno)
            || self.is_in_a_range(seqno)
            || seqno <= cell.applied() // it left the ranges as the mark passed it
    }

    /// How far above a mark of `at` a seqno lies that is left to be done; `None` where it is
    /// completed, as far as that is known without a look at the chunks.
    #[inline]
    fn reach(&self, seqno: SeqNo, at: SeqNo) -> Result<Option<u64>, WindowFull> {
        match self.state.distance(seqno, at) {
            Ok(0) => Ok(None),
            Ok(distance) => Ok(Some(distance)),
            Err(_) if self.is_in_a_range(seqno) => Ok(None),
            Err(full) => Err(full),
        }
    }
}

impl Drop for Guard {
    /// What is completed in chunks becomes ranges of the cell; then the shard may have another
    /// window.
    fn drop(&mut self) {
        let cell = self.cell();
        let mut completed = RangeSet::default();
        self.state.add_completed(cell.applied(), &mut completed);
        for range in completed.iter() {
            cell.complete_range(range);
        }
        cell.detach();
    }
}
