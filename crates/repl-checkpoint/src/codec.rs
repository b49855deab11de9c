//! Codecs turn a [`Checkpoint`] into bytes and back.

use std::error::Error;
use std::fmt;

use crate::checkpoint::Checkpoint;

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "json")]
mod json;

#[cfg(feature = "bincode")]
pub use self::bincode::BincodeCodec;
#[cfg(feature = "json")]
pub use self::json::JsonCodec;

/// Turns a [`Checkpoint`] into bytes and back.
///
/// A codec knows no path, no generation and no checksum; these are in the envelope around its
/// bytes. An implementation must be
/// - exact: `decode` returns what was encoded,
/// - deterministic: equal checkpoints are encoded to equal bytes,
/// - strict: `decode` refuses unknown fields and trailing bytes, never panics, and allocates in
///   proportion to the bytes that it was given, not to a length that these claim.
///
/// It need not check that a checkpoint is valid: its callers do.
pub trait Codec: Send + Sync {
    /// The name in the header of every checkpoint: 1 to 8 characters of `a-z`, `0-9` and `-`.
    fn name(&self) -> &'static str;

    /// Appends the bytes of `checkpoint` to `out`.
    ///
    /// # Errors
    /// [`CodecError`] if this format cannot hold the checkpoint.
    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes the checkpoint that `bytes` hold.
    ///
    /// # Errors
    /// [`CodecError`] if `bytes` are not exactly one checkpoint in this format.
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

/// A codec could not encode a checkpoint, or refused to decode one.
#[derive(Debug)]
pub struct CodecError(Box<dyn Error + Send + Sync>);

impl CodecError {
    /// Wraps the error of a format library, or a message.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        CodecError(reason.into())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// The codec of this crate with this name, if its feature is on.
pub(crate) fn known_codec(name: &str) -> Option<&'static dyn Codec> {
    let known: &[&'static dyn Codec] = &[
        #[cfg(feature = "json")]
        &JsonCodec,
        #[cfg(feature = "bincode")]
        &BincodeCodec,
    ];
    known.iter().copied().find(|codec| codec.name() == name)
}
