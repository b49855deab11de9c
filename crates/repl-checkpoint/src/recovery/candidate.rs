//! Unsealing what a store keeps.

use super::CorruptReason;
use crate::chain;
use crate::checkpoint::Checkpoint;
use crate::codec::Codec;
use crate::envelope::{Header, UnsealError};
use crate::ids::{Generation, StoreId};
use crate::store::Candidate;

impl Candidate {
    /// Checks and decodes the checkpoint, and applies its deltas. Returns it with the header of its
    /// newest record.
    ///
    /// # Errors
    /// [`CorruptReason`] says why it cannot be used: it could not be read, it is damaged, or it is
    /// not of this codec and store.
    pub fn unseal(
        self,
        codec: &dyn Codec,
        store: StoreId,
    ) -> Result<(Header, Checkpoint), CorruptReason> {
        let (header, checkpoint) = chain::unseal(codec, store, &self.bytes?, &self.deltas)?;
        check_generation(self.generation, header)?;
        Ok((header, checkpoint))
    }
}

/// Checks that a header is of the generation that its file name or place says.
pub(crate) fn check_generation(
    expected: Option<Generation>,
    header: Header,
) -> Result<(), UnsealError> {
    let found = header.generation;
    match expected.filter(|expected| *expected != found) {
        None => Ok(()),
        Some(expected) => Err(UnsealError::OtherGeneration { expected, found }),
    }
}
