//! Errors of sealing a checkpoint and of unsealing bytes.

mod delta;

use std::error::Error;
use std::fmt;

use repl_core::ShardId;

use crate::checkpoint::InvalidCheckpoint;
use crate::codec::CodecError;
use crate::ids::{Generation, StoreId};

use super::VERSION;

pub use self::delta::DeltaError;

/// A checkpoint could not be sealed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SealError {
    /// The checkpoint is not valid, so it would be refused when it is read.
    Invalid(InvalidCheckpoint),
    /// The codec cannot encode the checkpoint.
    Codec {
        /// The codec.
        codec: &'static str,
        /// The error of the codec.
        source: CodecError,
    },
    /// The confirmed generation is not an earlier one.
    Confirmed {
        /// The number of this save.
        generation: Generation,
        /// The generation that it names as confirmed.
        confirmed: Generation,
    },
    /// The generation that a delta builds on is not an earlier one.
    Base {
        /// The number of this save.
        generation: Generation,
        /// The generation that it builds on.
        base: Generation,
    },
    /// A shard that a delta removes is out of order, or has changed as well.
    Removed {
        /// The shard.
        shard: ShardId,
    },
    /// The name of the codec does not fit the header.
    CodecName {
        /// The name.
        codec: &'static str,
    },
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Invalid(_) => f.write_str("the checkpoint is not valid"),
            SealError::Codec { codec, .. } => {
                write!(f, "the codec {codec:?} cannot encode the checkpoint")
            }
            SealError::Confirmed { generation, confirmed } => write!(
                f,
                "generation {generation} names {confirmed} as confirmed, which is not an earlier \
                 one"
            ),
            SealError::Base { generation, base } => write!(
                f,
                "generation {generation} builds on generation {base}, which is not an earlier one"
            ),
            SealError::Removed { shard } => {
                write!(f, "removed shard {shard} is out of order, or has changed as well")
            }
            SealError::CodecName { codec } => {
                write!(f, "codec name {codec:?}: a name is 1 to 8 characters of a-z, 0-9 and '-'")
            }
        }
    }
}

impl Error for SealError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SealError::Invalid(source) => Some(source),
            SealError::Codec { source, .. } => Some(source),
            SealError::Confirmed { .. }
            | SealError::Base { .. }
            | SealError::Removed { .. }
            | SealError::CodecName { .. } => None,
        }
    }
}

impl From<InvalidCheckpoint> for SealError {
    fn from(source: InvalidCheckpoint) -> Self {
        SealError::Invalid(source)
    }
}

/// Bytes are not a checkpoint of this store, or are damaged.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnsealError {
    /// There are no bytes.
    Empty,
    /// The first bytes are not those of a checkpoint.
    Magic,
    /// Another format, which this version does not read.
    Version {
        /// The version.
        version: String,
    },
    /// The header is cut off or damaged.
    Header,
    /// The payload is shorter or longer than the header says.
    Length {
        /// The length that the header says.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
    /// The checksum of the payload does not match.
    Checksum {
        /// The checksum that the header says.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// Whole, but written with another codec.
    OtherCodec {
        /// The codec that was given.
        expected: &'static str,
        /// The codec that wrote the bytes.
        found: String,
    },
    /// Whole, but of another store.
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the bytes.
        found: StoreId,
    },
    /// Whole, but not the generation that its file name or place says.
    OtherGeneration {
        /// The generation that its name or place says.
        expected: Generation,
        /// The generation that its header says.
        found: Generation,
    },
    /// Whole, but the codec refuses its payload.
    Payload(CodecError),
    /// Whole, but the checkpoint in it is not valid.
    Invalid(InvalidCheckpoint),
    /// A delta is damaged, or does not fit what it builds on.
    Delta {
        /// The generation of the delta; 0 if its header is damaged.
        generation: Generation,
        /// What is wrong with it.
        source: DeltaError,
    },
    /// Something other than 0xff follows the last record of a slot.
    Rest {
        /// The offset in the slot.
        at: u64,
    },
    /// The checksum behind the checkpoint in a slot is not that of its header: the two are of
    /// different saves, so a part of a write is missing.
    Mixed,
}

impl fmt::Display for UnsealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnsealError::Empty => f.write_str("it is empty"),
            UnsealError::Magic => f.write_str("it does not begin with \"repl-checkpoint v\""),
            UnsealError::Version { version } => write!(
                f,
                "its format version is {version:?}, and this program reads version {VERSION}: use \
                 the release that wrote it"
            ),
            UnsealError::Header => f.write_str("its header line is damaged"),
            UnsealError::Length { expected, found } => {
                write!(f, "its payload has {found} bytes, and its header says {expected}")
            }
            UnsealError::Checksum { expected, found } => {
                write!(
                    f,
                    "the checksum of its payload is {found:08x}, and its header says {expected:08x}"
                )
            }
            UnsealError::OtherCodec { expected, found } => write!(
                f,
                "it was written with the codec {found:?}, and the codec {expected:?} was given"
            ),
            UnsealError::OtherStore { expected, found } => write!(
                f,
                "it belongs to store {found}, and store {expected} was opened: open it with its \
                 own id, or give this store a directory of its own"
            ),
            UnsealError::OtherGeneration { expected, found } => write!(
                f,
                "it is generation {found}, and its name or place says generation {expected}"
            ),
            UnsealError::Payload(_) => f.write_str("its payload cannot be decoded"),
            UnsealError::Invalid(_) => f.write_str("its payload is not a valid checkpoint"),
            UnsealError::Delta { generation, .. } => {
                write!(f, "the delta of generation {generation} cannot be applied")
            }
            UnsealError::Rest { at } => {
                write!(f, "something other than 0xff follows its last record, at byte {at}")
            }
            UnsealError::Mixed => {
                f.write_str("the header and the rest are of two saves: part of a write is missing")
            }
        }
    }
}

impl Error for UnsealError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            UnsealError::Payload(source) => Some(source),
            UnsealError::Invalid(source) => Some(source),
            UnsealError::Delta { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl UnsealError {
    /// Returns whether the bytes are damaged, so that recovery may fall back to an older
    /// checkpoint.
    ///
    /// Otherwise they are of another store, another codec or another version, and falling back
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
            | UnsealError::Invalid(_)
            | UnsealError::Delta { .. }
            | UnsealError::Rest { .. }
            | UnsealError::Mixed => true,
        }
    }
}
