//! The envelope around a codec's bytes: one ASCII header line of fixed width, then the payload.
//!
//! It detects damage, torn writes and checkpoints of another store.
//!
//! ```text
//! repl-checkpoint v2 codec=json     store=<32 hex digits> generation=<20 digits>
//!     confirmed=<20 digits> length=<20 digits> payload=<8 hex digits> crc32c=<8 hex digits>
//! ```
//! `crc32c` covers the header up to its own digits, so that a header is checked without its
//! payload; `payload` covers the payload. The header must be byte for byte what rendering its
//! fields gives. docs/format.md has every offset.

mod delta;
mod error;
mod line;
mod whole;

use crate::checkpoint::{Checkpoint, Rows};
use crate::codec::{Codec, CodecError};
use crate::ids::{Generation, StoreId};

pub(crate) use self::line::digits_of;
use self::line::name_of;

pub use self::delta::DeltaHeader;
pub(crate) use self::delta::{DELTA_HEADER, DeltaLine, Link, SealedDelta};
pub use self::error::{DeltaError, SealError, UnsealError};
pub(crate) use self::whole::{HEADER_LENGTH, WholeLine, cut_off, verify_header};

/// The identity of a saved checkpoint: its store and generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// The store that the checkpoint belongs to.
    pub store: StoreId,
    /// The number of this save.
    pub generation: Generation,
    /// The newest generation that was known to be durable when this save began; 0 for none.
    pub confirmed: Generation,
}

impl Header {
    /// Whether the confirmed generation is an earlier one, or there is none.
    fn is_in_order(&self) -> bool {
        self.confirmed == 0 || self.confirmed < self.generation
    }

    fn check_order(&self) -> Result<(), SealError> {
        let Header { generation, confirmed, .. } = *self;
        if self.is_in_order() {
            return Ok(());
        }
        Err(SealError::Confirmed { generation, confirmed })
    }
}

const VERSION: &str = "2";

impl Checkpoint {
    /// Encodes the checkpoint with `codec` and seals it in an envelope.
    ///
    /// The bytes are what a store saves, or what an engine puts into its own transaction. Equal
    /// arguments give equal bytes. Costs one pass to encode and one to checksum.
    ///
    /// # Errors
    /// [`SealError`]: nothing is sealed that [`unseal`](Checkpoint::unseal) would refuse.
    pub fn seal(&self, codec: &dyn Codec, header: Header) -> Result<Vec<u8>, SealError> {
        self.rows().seal(codec, header)
    }

    /// Checks and decodes the bytes that [`seal`](Checkpoint::seal) returned.
    ///
    /// Every prefix, every single-bit flip and every extension of sealed bytes is refused.
    ///
    /// # Errors
    /// [`UnsealError`] names the first check that failed.
    pub fn unseal(
        codec: &dyn Codec,
        store: StoreId,
        bytes: &[u8],
    ) -> Result<(Header, Checkpoint), UnsealError> {
        let Sealed { header, payload, .. } = sealed_by(codec, store, bytes)?;
        let checkpoint = Checkpoint::decode(codec, payload).map_err(UnsealError::Payload)?;
        checkpoint.validate().map_err(UnsealError::Invalid)?;
        Ok((header, checkpoint))
    }
}

impl Rows<'_> {
    /// Encodes the rows that are left with `codec` and seals them in an envelope, as
    /// [`Checkpoint::seal`] does.
    ///
    /// # Errors
    /// [`SealError`]: nothing is sealed that [`unseal`](Checkpoint::unseal) would refuse.
    pub fn seal(self, codec: &dyn Codec, header: Header) -> Result<Vec<u8>, SealError> {
        self.seal_with_room(codec, header, 0)
    }

    /// The same with room for `room` bytes, which spares growing.
    pub(crate) fn seal_with_room(
        self,
        codec: &dyn Codec,
        header: Header,
        room: usize,
    ) -> Result<Vec<u8>, SealError> {
        let name = name_of(codec)?;
        header.check_order()?;
        let mut bytes = Vec::with_capacity(HEADER_LENGTH.max(room));
        bytes.resize(HEADER_LENGTH, b' ');
        encoded(self, codec, &mut bytes)?;
        let payload = bytes.get(HEADER_LENGTH..).unwrap_or_default();
        let line = WholeLine {
            codec: name,
            header,
            length: payload.len() as u64,
            payload: crc32c::crc32c(payload),
        };
        bytes[..HEADER_LENGTH].copy_from_slice(&line.render().0);
        Ok(bytes)
    }
}

/// Appends the rows that are left, if all rows are valid.
fn encoded(mut rows: Rows<'_>, codec: &dyn Codec, bytes: &mut Vec<u8>) -> Result<(), SealError> {
    let before = bytes.len();
    let encoded = codec.encode(&mut rows, bytes);
    rows.validate()?;
    let kept = encoded.and_then(|()| {
        if bytes.len() >= before {
            return Ok(());
        }
        Err(CodecError::new("it removed bytes that it had not written"))
    });
    kept.map_err(|source| SealError::Codec { codec: codec.name(), source })
}

/// An envelope that passes all checks.
pub(crate) struct Sealed<'a> {
    pub(crate) header: Header,
    pub(crate) codec: &'a str,
    /// The checksum of the header.
    pub(crate) crc: u32,
    pub(crate) payload: &'a [u8],
}

/// Checks the envelope, and that it is of this codec and store.
pub(crate) fn sealed_by<'a>(
    codec: &dyn Codec,
    store: StoreId,
    bytes: &'a [u8],
) -> Result<Sealed<'a>, UnsealError> {
    let sealed = verify(bytes)?;
    if sealed.codec != codec.name() {
        let found = sealed.codec.to_owned();
        return Err(UnsealError::OtherCodec { expected: codec.name(), found });
    }
    if sealed.header.store != store {
        return Err(UnsealError::OtherStore { expected: store, found: sealed.header.store });
    }
    Ok(sealed)
}

/// Checks the envelope alone.
pub(crate) fn verify(bytes: &[u8]) -> Result<Sealed<'_>, UnsealError> {
    let (line, crc) = verify_header(bytes)?;
    let payload = &bytes[HEADER_LENGTH..];
    check_payload(payload, line.length, line.payload)?;
    Ok(Sealed { header: line.header, codec: line.codec, crc, payload })
}

/// Checks the length and the checksum of what follows a header.
fn check_payload(payload: &[u8], length: u64, expected: u32) -> Result<(), UnsealError> {
    if payload.len() as u64 != length {
        return Err(UnsealError::Length { expected: length, found: payload.len() as u64 });
    }
    match crc32c::crc32c(payload) {
        found if found == expected => Ok(()),
        found => Err(UnsealError::Checksum { expected, found }),
    }
}
