//! Errors of sealing a checkpoint and of unsealing bytes.

use crate::checkpoint::InvalidCheckpoint;
use crate::codec::CodecError;
use crate::ids::{Generation, StoreId};

/// A checkpoint could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The checkpoint is not valid, so it would be refused when it is read.
    #[error("the checkpoint is not valid")]
    Invalid(#[from] InvalidCheckpoint),
    /// The codec cannot encode the checkpoint.
    #[error("the codec {codec:?} cannot encode the checkpoint")]
    Codec {
        /// The codec.
        codec: &'static str,
        /// The error of the codec.
        source: CodecError,
    },
    /// The confirmed generation is not an earlier one.
    #[error("generation {generation} names {confirmed} as confirmed, which is not an earlier one")]
    Confirmed {
        /// The number of this save.
        generation: Generation,
        /// The generation that it names as confirmed.
        confirmed: Generation,
    },
    /// The name of the codec does not fit the header.
    #[error("codec name {codec:?}: a name is 1 to 8 characters of a-z, 0-9 and '-'")]
    CodecName {
        /// The name.
        codec: &'static str,
    },
}

/// Bytes are not a checkpoint of this store, or are damaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// There are no bytes.
    #[error("it is empty")]
    Empty,
    /// The first bytes are not those of a checkpoint.
    #[error("it does not begin with \"repl-checkpoint v\"")]
    Magic,
    /// A newer format, which this version does not read.
    #[error("its format version is {version:?}, and this program reads version 1: upgrade it")]
    Version {
        /// The version.
        version: String,
    },
    /// The header is cut off or damaged.
    #[error("its header line is damaged")]
    Header,
    /// The payload is shorter or longer than the header says.
    #[error("its payload has {found} bytes, and its header says {expected}")]
    Length {
        /// The length that the header says.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
    /// The checksum does not match.
    #[error("its checksum is {found:08x}, and its header says {expected:08x}")]
    Checksum {
        /// The checksum that the header says.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// Whole, but written with another codec.
    #[error("it was written with the codec {found:?}, and the codec {expected:?} was given")]
    OtherCodec {
        /// The codec that was given.
        expected: &'static str,
        /// The codec that wrote the bytes.
        found: String,
    },
    /// Whole, but of another store.
    #[error(
        "it belongs to store {found}, and store {expected} was opened: open it with its own id, or \
        give this store a directory of its own"
    )]
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the bytes.
        found: StoreId,
    },
    /// Whole, but not the generation that its file name or place says.
    #[error("it is generation {found}, and its name or place says generation {expected}")]
    OtherGeneration {
        /// The generation that its name or place says.
        expected: Generation,
        /// The generation that its header says.
        found: Generation,
    },
    /// Whole, but the codec refuses its payload.
    #[error("its payload cannot be decoded")]
    Payload(#[source] CodecError),
    /// Whole, but the checkpoint in it is not valid.
    #[error("its payload is not a valid checkpoint")]
    Invalid(#[source] InvalidCheckpoint),
}

impl UnsealError {
    /// Returns whether the bytes are damaged, so that recovery may fall back to an older
    /// checkpoint.
    ///
    /// Otherwise they are of another store, another codec or a newer version, and falling back
    /// would hide a mistake.
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
