//! Why a checkpoint cannot be sealed, or bytes cannot be opened.

use super::{Generation, StoreId};
use crate::checkpoint::InvalidCheckpoint;
use crate::codec::CodecError;

/// A checkpoint could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It would be refused when it is read.
    #[error("the checkpoint is not valid: {0}")]
    Invalid(#[from] InvalidCheckpoint),
    /// The codec cannot hold it.
    #[error("the codec {codec:?} cannot encode the checkpoint: {source}")]
    Codec {
        /// The codec.
        codec: &'static str,
        /// Its own error.
        source: CodecError,
    },
    /// A save cannot be confirmed by a later one.
    #[error("generation {generation} names {confirmed}, which is not before it, as confirmed")]
    Confirmed {
        /// The number of this save.
        generation: Generation,
        /// The generation that it names.
        confirmed: Generation,
    },
    /// The codec's name does not fit the header.
    #[error("codec name {codec:?}: a name is 1 to 8 characters of a-z, 0-9 and '-'")]
    CodecName {
        /// The name.
        codec: &'static str,
    },
}

/// Bytes are not a checkpoint of this store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// There is not one byte.
    #[error("it is empty")]
    Empty,
    /// The first bytes are not those of a checkpoint.
    #[error("it does not begin with \"repl-checkpoint v\"")]
    Magic,
    /// A format that this version does not read.
    #[error("its format version is {version:?}, and this program reads version 1: upgrade it")]
    Version {
        /// The version.
        version: String,
    },
    /// The header is cut off, not what rendering its fields gives, or at odds with itself.
    #[error("its header line is damaged")]
    Header,
    /// The payload is shorter or longer than the header says.
    #[error("its payload has {found} bytes, and its header says {expected}")]
    Length {
        /// What the header says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The checksum does not fit.
    #[error("its checksum is {found:08x}, and its header says {expected:08x}")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// Whole, but of another codec.
    #[error("it was written with the codec {found:?}, and the codec {expected:?} was given")]
    OtherCodec {
        /// The codec that was given.
        expected: &'static str,
        /// The codec of the bytes.
        found: String,
    },
    /// Whole, but of another store.
    #[error("it belongs to store {found}, and store {expected} was opened")]
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the bytes.
        found: StoreId,
    },
    /// Whole, but not the generation that its place says.
    #[error("it is generation {found}, and its place says generation {expected}")]
    OtherGeneration {
        /// What its place says.
        expected: Generation,
        /// What it says itself.
        found: Generation,
    },
    /// Whole, but the codec refuses its payload.
    #[error("its payload cannot be decoded: {0}")]
    Payload(#[source] CodecError),
    /// Whole, but the checkpoint in it is not valid.
    #[error("its payload is not valid: {0}")]
    Invalid(#[source] InvalidCheckpoint),
}

impl UnsealError {
    /// Whether the bytes are damaged, so that an older checkpoint may take their place. Otherwise
    /// they are somebody else's, or of a newer version: to fall back would hide a mistake.
    pub fn is_damage(&self) -> bool {
        match self {
            UnsealError::Version { .. }
            | UnsealError::OtherCodec { .. }
            | UnsealError::OtherStore { .. } => false,
            UnsealError::Empty
            | UnsealError::Magic
            | UnsealError::Header
            | UnsealError::Length { .. }
            | UnsealError::Checksum { .. }
            | UnsealError::OtherGeneration { .. }
            | UnsealError::Payload(_)
            | UnsealError::Invalid(_) => true,
        }
    }
}
