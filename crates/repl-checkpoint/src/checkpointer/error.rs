//! Why a checkpoint failed.

use std::error::Error;
use std::fmt;

use repl_core::{SeqNo, ShardId};

use crate::envelope::SealError;
use crate::observe::Outcome;
use crate::remote_store::RemoteError;
use crate::store::SaveError;

/// A checkpoint failed; the floors did not move.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The engine's `flush` failed; nothing was saved.
    ///
    /// Downcast the box to get the error that `flush` returned.
    Flush(Box<dyn Error + Send + Sync>),
    /// The flush lowered a mark below the last save; nothing was saved.
    BelowLastSave {
        /// The shard.
        shard: ShardId,
        /// The mark saved before.
        saved: SeqNo,
        /// The mark that the flush left.
        lowered: SeqNo,
    },
    /// A later attempt has begun, or the store was opened again; nothing was saved.
    ///
    /// Saving its older marks could bring removed shards back.
    Superseded,
    /// The attempt is of another checkpointer; nothing was saved.
    OtherCheckpointer,
    /// The checkpoint could not be sealed; nothing was saved.
    Seal(SealError),
    /// The store failed to save; its error says what a crash may leave.
    Save(SaveError),
    /// A remote store failed to save; its error says what it may hold.
    Remote(RemoteError),
    /// An earlier save is in doubt, or the store is closed; nothing was tried.
    Poisoned {
        /// The error of that save and its causes.
        doubt: String,
    },
    /// Generation `u64::MAX` is in use; nothing was saved.
    NoGenerationLeft,
}

impl CheckpointError {
    /// Returns whether no save is tried until the store is [opened again], or, with a remote one,
    /// whether it [is lost] to this process.
    ///
    /// [opened again]: crate::Checkpointer::reopen
    /// [is lost]: RemoteError::is_final
    pub fn is_poisoning(&self) -> bool {
        match self {
            CheckpointError::Save(error) => error.is_poisoning(),
            CheckpointError::Remote(error) => error.is_final(),
            CheckpointError::Poisoned { .. } => true,
            _ => false,
        }
    }

    /// What became of the checkpoint.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            CheckpointError::Flush(_) => Outcome::FlushFailed,
            CheckpointError::Save(error) if error.is_poisoning() => Outcome::InDoubt,
            CheckpointError::Remote(RemoteError::InDoubt { .. }) => Outcome::InDoubt,
            CheckpointError::Save(_) | CheckpointError::Remote(_) => Outcome::Failed,
            CheckpointError::Poisoned { .. } => Outcome::Poisoned,
            _ => Outcome::Refused,
        }
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::Flush(_) => {
                f.write_str("the engine failed to flush; no marks were saved")
            }
            CheckpointError::BelowLastSave { shard, saved, lowered } => write!(
                f,
                "shard {shard}: the flush lowered the mark to {lowered}, but {saved} was saved \
                 before; no marks were saved; if the engine lost data, reset the shard"
            ),
            CheckpointError::Superseded => f.write_str(
                "a later checkpoint was begun, or the store was opened again; no marks were \
                 saved: begin again",
            ),
            CheckpointError::OtherCheckpointer => f.write_str(
                "the attempt was begun by another checkpointer; no marks were saved: save it there",
            ),
            CheckpointError::Seal(error) => error.fmt(f),
            CheckpointError::Save(error) => error.fmt(f),
            CheckpointError::Remote(error) => error.fmt(f),
            CheckpointError::Poisoned { doubt } => {
                write!(f, "not tried: open the store again with `reopen` first ({doubt})")
            }
            CheckpointError::NoGenerationLeft => f.write_str(
                "no generation number is left above 18446744073709551615, that of a file in the \
                 store: no follower saves that often, so move that one file away, and no other, \
                 and restart",
            ),
        }
    }
}

impl Error for CheckpointError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CheckpointError::Flush(source) => Some(&**source),
            CheckpointError::Seal(error) => error.source(),
            CheckpointError::Save(error) => error.source(),
            CheckpointError::Remote(error) => error.source(),
            _ => None,
        }
    }
}

impl From<SealError> for CheckpointError {
    fn from(error: SealError) -> Self {
        CheckpointError::Seal(error)
    }
}

impl From<SaveError> for CheckpointError {
    fn from(error: SaveError) -> Self {
        CheckpointError::Save(error)
    }
}
