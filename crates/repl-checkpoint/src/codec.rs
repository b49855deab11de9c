//! How a [`Checkpoint`] becomes bytes and back.

use std::error::Error;

use crate::checkpoint::Checkpoint;

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "json")]
mod json;

#[cfg(feature = "bincode")]
pub use self::bincode::BincodeCodec;
#[cfg(feature = "json")]
pub use self::json::JsonCodec;

/// Turns a [`Checkpoint`] into bytes and back. Knows no path, no generation and no checksum: the
/// envelope around its bytes does.
///
/// An implementation must be exact (what `decode` gives equals what was encoded), deterministic
/// (equal checkpoints give equal bytes) and strict: `decode` refuses unknown fields and trailing
/// bytes, never panics on any bytes, and never allocates in proportion to a length that it has only
/// read. It need not check the order of shards: whoever calls it does.
pub trait Codec: Send + Sync {
    /// Stands in the header of every file: 1 to 8 characters of `a-z`, `0-9` and `-`.
    fn name(&self) -> &'static str;

    /// Appends the bytes of `checkpoint` to `out`.
    ///
    /// # Errors
    /// Where this format cannot hold it.
    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a checkpoint back from exactly `bytes`.
    ///
    /// # Errors
    /// Where `bytes` are not one checkpoint in this format.
    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError>;
}

impl<T: Codec + ?Sized> Codec for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError> {
        (**self).encode(checkpoint, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        (**self).decode(bytes)
    }
}

/// A codec could not encode, or refused to decode.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CodecError(Box<dyn Error + Send + Sync>);

impl CodecError {
    /// Wraps the format's own error, or a message.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        CodecError(reason.into())
    }
}
