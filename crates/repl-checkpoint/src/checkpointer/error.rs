//! Why a checkpoint failed.

use repl_core::{SeqNo, ShardId};

use crate::envelope::SealError;
use crate::store::SaveError;

/// A checkpoint failed: the floors stand still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError<E> {
    /// The engine could not make its data durable; nothing was saved.
    #[error("the engine failed to flush: {0}; no marks were saved")]
    Flush(E),
    /// The engine lowered a mark below what it had said before was durable; nothing was saved.
    #[error(
        "shard {shard}: the flush lowered the mark to {lowered}, but {saved} was saved before; no \
         marks were saved; if the engine lost data, reset the shard"
    )]
    BelowLastSave {
        /// The shard.
        shard: ShardId,
        /// The mark saved before.
        saved: SeqNo,
        /// The mark that the flush left.
        lowered: SeqNo,
    },
    /// The codec refused; nothing was saved.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed: its error says what is known of the disk.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// Generation `u64::MAX` was used; nothing was saved.
    #[error(
        "no generation number is left above 18446744073709551615, that of a file in the store: \
         nobody saves so often, so move that one file away, and no other"
    )]
    NoGenerationLeft,
}

impl<E> CheckpointError<E> {
    /// Whether the store refuses further saves until it is opened again.
    pub fn is_poisoning(&self) -> bool {
        matches!(self, CheckpointError::Save(error) if error.is_poisoning())
    }
}
