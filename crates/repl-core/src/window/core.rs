//! What a window and its claims share. Why it is right is argued in `window.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::open::Open;
use super::outcome::{ClaimError, Completion, WindowError, WindowFull};
use super::ring::{Ring, State};
use crate::ids::SeqNo;
use crate::ranges::SeqRange;
use crate::reached::WaitError;
use crate::shard::Shard;
use crate::sync::{AtomicU64, Mutex, Ordering, locked};

/// What a window and its claims share.
pub(crate) struct Core {
    shard: Shard,
    capacity: u64,
    ring: Ring,
    /// No seqno above this one is or was completed in a range or claimed from afar.
    far: AtomicU64,
    far_claims: Mutex<BTreeSet<SeqNo>>,
    /// No seqno above this one was ever completed in the ring. Written before the slot is: who
    /// finds the slot completed, or is told of it, finds this too.
    highest: AtomicU64,
}

/// Where a claim is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Near,
    Far,
}

impl Core {
    /// For a shard that has no window yet.
    pub(super) fn attached(shard: Shard, capacity: u64) -> Result<Arc<Open>, WindowError> {
        let core = Arc::new(Core {
            shard,
            capacity,
            ring: Ring::new(capacity),
            far: AtomicU64::new(0),
            far_claims: Mutex::default(),
            highest: AtomicU64::new(0),
        });
        let cell = core.shard.cell();
        if cell.is_removed() {
            return Err(WindowError::Removed);
        }
        if !cell.attach(&core) {
            return Err(WindowError::AlreadyOpen);
        }
        if cell.is_removed() {
            cell.detach(&raw const *core);
            return Err(WindowError::Removed);
        }
        // From now on whoever completes a range notes it here.
        core.note_far(cell.highest_in_a_range().unwrap_or(0));
        Ok(Open::new(core))
    }

    pub(super) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// How far up anything may be completed in the ring.
    pub(super) fn highest(&self) -> SeqNo {
        self.highest.load(Ordering::Relaxed)
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Where the claim is kept.
    pub(super) fn claim(&self, seqno: SeqNo) -> Result<Place, ClaimError> {
        let cell = self.shard.cell();
        let mut at = cell.applied();
        loop {
            if cell.is_removed() {
                return Err(ClaimError::Ended(WaitError::Removed));
            }
            let distance = self.distance(seqno, at)?.ok_or(ClaimError::AlreadyCompleted)?;
            if distance > self.ring.len() {
                if self.claim_far(seqno)? {
                    return Ok(Place::Far);
                }
                at = cell.applied(); // it has come near
                continue;
            }
            if seqno > self.far.load(Ordering::Acquire) {
                return self.claim_near(seqno);
            }
            return locked(&self.far_claims, |claims| {
                if self.contains(seqno) {
                    return Err(ClaimError::AlreadyCompleted);
                }
                if claims.contains(&seqno) {
                    return Err(ClaimError::Claimed);
                }
                self.claim_near(seqno)
            });
        }
    }

    fn claim_near(&self, seqno: SeqNo) -> Result<Place, ClaimError> {
        match self.ring.claim(seqno) {
            Err(State::Claimed) => Err(ClaimError::Claimed),
            Err(_) => Err(ClaimError::AlreadyCompleted),
            Ok(()) if seqno <= self.shard.applied() => {
                self.ring.release(seqno);
                Err(ClaimError::AlreadyCompleted)
            }
            Ok(()) => Ok(Place::Near),
        }
    }

    /// False where the seqno is near.
    fn claim_far(&self, seqno: SeqNo) -> Result<bool, ClaimError> {
        locked(&self.far_claims, |claims| {
            if self.contains(seqno) {
                return Err(ClaimError::AlreadyCompleted);
            }
            if claims.contains(&seqno) {
                return Err(ClaimError::Claimed);
            }
            self.far.fetch_max(seqno, Ordering::AcqRel);
            let far = seqno.saturating_sub(self.shard.cell().meet()) > self.ring.len();
            if far {
                claims.insert(seqno);
            }
            Ok(far)
        })
    }

    pub(super) fn release(&self, seqno: SeqNo, place: Place) {
        match place {
            Place::Near => self.ring.release(seqno),
            Place::Far => self.forget_far_claim(seqno),
        }
    }

    pub(super) fn complete_claimed(&self, seqno: SeqNo, place: Place) -> Completion {
        let completion = self.complete_after(self.shard.applied(), seqno);
        if let Place::Far = place {
            self.forget_far_claim(seqno);
        }
        completion
    }

    fn forget_far_claim(&self, seqno: SeqNo) {
        locked(&self.far_claims, |claims| claims.remove(&seqno));
    }

    #[inline]
    pub(super) fn complete(&self, seqno: SeqNo) -> Result<Completion, WindowFull> {
        let at = self.shard.applied();
        if self.shard.is_removed() {
            return Ok(Completion::Removed);
        }
        Ok(match self.distance(seqno, at)? {
            None => Completion::AlreadyCompleted { mark: at },
            Some(_) => self.complete_after(at, seqno),
        })
    }

    /// Completes a seqno that the window reaches from a mark that was seen.
    #[inline]
    fn complete_after(&self, at: SeqNo, seqno: SeqNo) -> Completion {
        let cell = self.shard.cell();
        if cell.is_removed() {
            return Completion::Removed;
        }
        if seqno <= at {
            return Completion::AlreadyCompleted { mark: at };
        }
        if seqno - at > 1 {
            return self.complete_out_of_order(at, seqno);
        }
        let (from, at) = self.raise(seqno);
        let mark = self.follow_from(at);
        if from < seqno {
            Completion::Completed { mark }
        } else {
            Completion::AlreadyCompleted { mark }
        }
    }

    fn complete_out_of_order(&self, at: SeqNo, seqno: SeqNo) -> Completion {
        if self.is_in_a_range(seqno) {
            return Completion::AlreadyCompleted { mark: self.shard.applied() };
        }
        if seqno - at > self.ring.len() {
            return self.complete_far(SeqRange::new(seqno, seqno));
        }
        if seqno > self.highest.load(Ordering::Relaxed) {
            self.highest.fetch_max(seqno, Ordering::Relaxed);
        }
        let was = self.ring.complete(seqno); // 1.
        let at = self.shard.cell().meet(); // 2.
        let mark = if at >= seqno - 1 { self.follow_on(at) } else { at }; // 3.
        match was {
            State::Free | State::Claimed => Completion::Completed { mark },
            State::Completed | State::Passed => Completion::AlreadyCompleted { mark },
        }
    }

    pub(super) fn skip(&self, range: SeqRange) -> Result<Completion, WindowFull> {
        let cell = self.shard.cell();
        let at = cell.applied();
        if cell.is_removed() {
            return Ok(Completion::Removed);
        }
        if range.is_empty() || range.last <= at || cell.ranges_cover(range) {
            return Ok(Completion::AlreadyCompleted { mark: at });
        }
        if range.first.saturating_sub(at) > self.capacity {
            return Err(self.full(range.first));
        }
        Ok(self.complete_far(range))
    }

    fn complete_far(&self, range: SeqRange) -> Completion {
        self.complete_range(range);
        let cell = self.shard.cell();
        if cell.is_removed() {
            Completion::Removed // perhaps before the range was recorded
        } else {
            Completion::Completed { mark: cell.applied() }
        }
    }

    pub(super) fn complete_range(&self, range: SeqRange) {
        self.note_far(range.last);
        self.shard.cell().complete_in_window(range);
        self.follow();
    }

    /// That ranges reach so far.
    pub(crate) fn note_far(&self, seqno: SeqNo) {
        self.far.fetch_max(seqno, Ordering::AcqRel);
    }

    fn is_in_a_range(&self, seqno: SeqNo) -> bool {
        seqno <= self.far.load(Ordering::Acquire)
            && self.shard.cell().ranges_cover(SeqRange::new(seqno, seqno))
    }

    pub(super) fn contains(&self, seqno: SeqNo) -> bool {
        let cell = self.shard.cell();
        let at = cell.applied();
        seqno <= at
            || (seqno - at <= self.ring.len()
                && matches!(self.ring.state(seqno), State::Completed | State::Passed))
            || self.is_in_a_range(seqno)
            || seqno <= cell.applied() // it left the ranges as the mark passed it
    }

    /// How far above the mark a seqno lies that is left to be done; `None` where it is completed,
    /// as far as that is known without looking into the ring.
    #[inline]
    fn distance(&self, seqno: SeqNo, at: SeqNo) -> Result<Option<u64>, WindowFull> {
        match seqno.checked_sub(at) {
            None | Some(0) => Ok(None),
            Some(distance) if distance <= self.capacity => Ok(Some(distance)),
            Some(_) if self.is_in_a_range(seqno) => Ok(None),
            Some(_) => Err(self.full(seqno)),
        }
    }

    fn full(&self, seqno: SeqNo) -> WindowFull {
        WindowFull { seqno, resume_at: seqno - self.capacity }
    }
}
