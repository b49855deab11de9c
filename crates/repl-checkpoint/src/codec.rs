//! Codecs turn the rows of a checkpoint into bytes and back.

use std::error::Error;
use std::fmt;

use repl_core::Incarnation;

use crate::checkpoint::{Checkpoint, Rows, ShardCheckpoint};

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "json")]
mod json;

#[cfg(feature = "bincode")]
pub use self::bincode::BincodeCodec;
#[cfg(feature = "json")]
pub use self::json::JsonCodec;

/// Turns a [`Checkpoint`] into bytes and back, row by row.
///
/// A codec knows no path, no generation and no checksum; these are in the envelope around its
/// bytes. An implementation must be
/// - exact: `decode` returns what was encoded,
/// - deterministic: equal checkpoints are encoded to equal bytes,
/// - strict: `decode` refuses unknown fields and trailing bytes, never panics, and allocates in
///   proportion to the bytes that it was given, not to a length that these claim.
///
/// It need not check that a checkpoint is valid: its callers do.
///
/// A codec with a serde format may, with the feature `serde`, encode the [`Rows`] as they are, and
/// decode a whole `Checkpoint` to pass on its shards:
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use repl_checkpoint::{Checkpoint, Codec, CodecError, Rows, ShardCheckpoint};
/// use repl_core::Incarnation;
///
/// struct CompactJson;
///
/// impl Codec for CompactJson {
///     fn name(&self) -> &'static str {
///         "compact"
///     }
///
///     fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
///         serde_json::to_writer(out, rows).map_err(CodecError::new)
///     }
///
///     fn decode(
///         &self,
///         bytes: &[u8],
///         row: &mut dyn FnMut(ShardCheckpoint),
///     ) -> Result<Incarnation, CodecError> {
///         let checkpoint: Checkpoint = serde_json::from_slice(bytes).map_err(CodecError::new)?;
///         let mut again = Vec::with_capacity(bytes.len());
///         self.encode(&mut checkpoint.rows(), &mut again)?;
///         if again != bytes {
///             return Err(CodecError::new("not as written")); // spaces, for one
///         }
///         checkpoint.shards.into_iter().for_each(row);
///         Ok(checkpoint.next_incarnation)
///     }
/// }
///
/// let mut bytes = Vec::new();
/// CompactJson.encode(&mut Checkpoint::default().rows(), &mut bytes)?;
/// assert_eq!(Checkpoint::decode(&CompactJson, &bytes)?, Checkpoint::default());
/// # Ok::<(), CodecError>(())
/// ```
pub trait Codec: Send + Sync {
    /// The name in the header of every checkpoint: 1 to 8 characters of `a-z`, `0-9` and `-`.
    fn name(&self) -> &'static str;

    /// Appends the bytes of a checkpoint to `out`: its next incarnation and all of its rows.
    ///
    /// # Errors
    /// [`CodecError`] if this format cannot hold the checkpoint.
    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes the checkpoint that `bytes` hold: calls `row` with each row in turn, and returns the
    /// next incarnation.
    ///
    /// After an error the caller drops the rows that it got.
    ///
    /// # Errors
    /// [`CodecError`] if `bytes` are not exactly one checkpoint in this format.
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError>;
}

impl<T: Codec + ?Sized> Codec for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        (**self).encode(rows, out)
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        (**self).decode(bytes, row)
    }
}

/// The bytes of a short row. A guess that spares growing, and bounds what is reserved by the bytes
/// given.
const SHORT_ROW: usize = 21;

impl Checkpoint {
    /// Decodes the checkpoint that `bytes` hold, without an envelope, and does not validate it.
    ///
    /// # Errors
    /// [`CodecError`] if `bytes` are not exactly one checkpoint in the format of `codec`.
    pub fn decode(codec: &dyn Codec, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut shards = Vec::with_capacity(bytes.len() / SHORT_ROW);
        let next_incarnation = codec.decode(bytes, &mut |row| shards.push(row))?;
        Ok(Checkpoint { next_incarnation, shards })
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
