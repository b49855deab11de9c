//! The real window of a shard, with room for bugs in its answers.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use repl_core::{ApplyWindow, ClaimError, CompleteError, Completion, SeqNo};
use repl_harness::stress::{Claim, Window};

use crate::planted::{Bug, PlantedHandle};

pub(crate) struct PlantedWindow<B> {
    real: ApplyWindow,
    handle: PlantedHandle<B>,
    calls: AtomicU64,
}

pub(crate) struct PlantedClaim<B: Bug> {
    /// `None` for a claim that the bug allowed, and once it is completed.
    real: Option<repl_core::Claim>,
    handle: PlantedHandle<B>,
    call: u64,
}

impl<B: Bug> PlantedWindow<B> {
    pub(crate) fn new(real: ApplyWindow, handle: PlantedHandle<B>) -> Self {
        handle.follow_real();
        PlantedWindow { real, handle, calls: AtomicU64::new(0) }
    }

    fn followed<T>(&self, result: T) -> T {
        self.handle.follow_real();
        result
    }
}

impl<B: Bug> Window for PlantedWindow<B> {
    type Claim = PlantedClaim<B>;

    fn try_claim(&self, seqno: SeqNo) -> Result<PlantedClaim<B>, ClaimError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let real = match self.real.try_claim(seqno) {
            Ok(claim) => Some(claim),
            Err(ClaimError::Claimed) if B::CLAIMS_TWICE && call % 16 == 7 => None,
            Err(ClaimError::AlreadyCompleted) if B::CLAIMS_COMPLETED && call % 16 == 7 => None,
            Err(error) => return Err(error),
        };
        // The real window may depend on a real mark that was not copied yet.
        self.handle.follow_real();
        Ok(PlantedClaim { real, handle: self.handle.clone(), call })
    }

    fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError> {
        self.followed(self.real.complete(seqno))
    }

    fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, CompleteError> {
        self.followed(self.real.skip(range))
    }
}

impl<B: Bug> Claim for PlantedClaim<B> {
    fn complete(mut self) -> Result<Completion, CompleteError> {
        let at_once = Ok(Completion::Completed { mark: self.handle.mark.applied() });
        let Some(claim) = self.real.take() else { return at_once };
        if B::LOSES_COMPLETIONS && self.call % 16 == 3 {
            drop(claim);
            return at_once;
        }
        let next = claim.seqno() + 1;
        let completion = claim.complete();
        if B::PASSES_GAPS && self.call % 16 == 3 {
            self.handle.real.advance(next);
        }
        self.handle.follow_real();
        completion
    }
}

impl<B: Bug> Drop for PlantedClaim<B> {
    fn drop(&mut self) {
        if B::KEEPS_DROPPED_CLAIMS {
            std::mem::forget(self.real.take());
        }
    }
}
