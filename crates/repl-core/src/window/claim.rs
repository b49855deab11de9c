//! One seqno in the hands of one applier.

use std::fmt;
use std::sync::Arc;

use super::core::Place;
use super::open::Open;
use super::outcome::Completion;
use crate::ids::SeqNo;

/// A seqno of an [`ApplyWindow`](super::ApplyWindow), given to one applier alone: complete it after
/// applying. Dropped without being completed the seqno is free again.
#[must_use = "dropping a claim frees its seqno"]
pub struct Claim {
    /// `None` once completed.
    core: Option<Arc<Open>>,
    seqno: SeqNo,
    place: Place,
}

impl Claim {
    pub(super) fn new(core: Arc<Open>, seqno: SeqNo, place: Place) -> Self {
        Claim { core: Some(core), seqno, place }
    }

    /// The seqno.
    pub fn seqno(&self) -> SeqNo {
        self.seqno
    }

    /// Completes the seqno, and moves the mark over what is contiguous then.
    ///
    /// [`Completion::AlreadyCompleted`] where a skip or an advance of the shard overtook the claim.
    pub fn complete(mut self) -> Completion {
        match self.core.take() {
            Some(core) => core.complete_claimed(self.seqno, self.place),
            None => Completion::Removed,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            core.release(self.seqno, self.place);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.seqno).finish()
    }
}
