//! The envelope around a codec's bytes: one ASCII header line of fixed width, then the payload.
//!
//! It detects damage, torn writes and checkpoints of another store.
//!
//! ```text
//! repl-checkpoint v1 codec=json     store=<32 hex digits> generation=<20 digits>
//!     confirmed=<20 digits> length=<20 digits> crc32c=<8 hex digits>
//! ```
//! The checksum covers the header up to its own digits, and the payload. The rest of the header
//! must be byte for byte what rendering its fields gives. docs/format.md has every offset.

mod delta;
mod error;
mod line;
mod pieces;

use crate::checkpoint::{Checkpoint, Rows};
use crate::codec::{Codec, CodecError};
use crate::ids::{Generation, StoreId};

use self::line::name_of;

pub use self::delta::DeltaHeader;
pub use self::error::{SealError, UnsealError};
pub(crate) use self::pieces::Pieces;

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
        match self.is_in_order() {
            true => Ok(()),
            false => Err(SealError::Confirmed { generation, confirmed }),
        }
    }
}

const MAGIC: &str = "repl-checkpoint v";
const VERSION: &str = "1";
/// The digits of the length.
const LENGTH_DIGITS: std::ops::Range<usize> = 143..163;
const CRC_DIGITS: usize = 8;
/// Up to the digits of the checksum.
const CHECKED_HEADER: usize = 171;
/// With the digits of the checksum and the line break.
const HEADER_LENGTH: usize = CHECKED_HEADER + CRC_DIGITS + 1;

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
        let (header, payload) = payload_of(codec, store, bytes)?;
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
        let length = payload.len() as u64;
        let checked = render(name, &header, length);
        let crc = checksum(checked.as_bytes(), payload);
        bytes[..CHECKED_HEADER].copy_from_slice(checked.as_bytes());
        bytes[CHECKED_HEADER..HEADER_LENGTH].copy_from_slice(format!("{crc:08x}\n").as_bytes());
        Ok(bytes)
    }
}

/// Appends the rows that are left, if all rows are valid.
fn encoded(mut rows: Rows<'_>, codec: &dyn Codec, bytes: &mut Vec<u8>) -> Result<(), SealError> {
    let before = bytes.len();
    let encoded = codec.encode(&mut rows, bytes);
    rows.validate()?;
    let kept = encoded.and_then(|()| match bytes.len() >= before {
        true => Ok(()),
        false => Err(CodecError::new("it removed bytes that it had not written")),
    });
    kept.map_err(|source| SealError::Codec { codec: codec.name(), source })
}

/// Checks the envelope, and that it is of this codec and store; returns its header and the payload.
pub(crate) fn payload_of<'a>(
    codec: &dyn Codec,
    store: StoreId,
    bytes: &'a [u8],
) -> Result<(Header, &'a [u8]), UnsealError> {
    let (header, found_codec, payload) = verify(bytes)?;
    if found_codec != codec.name() {
        let found = found_codec.to_owned();
        return Err(UnsealError::OtherCodec { expected: codec.name(), found });
    }
    if header.store != store {
        return Err(UnsealError::OtherStore { expected: store, found: header.store });
    }
    Ok((header, payload))
}

/// Checks the envelope alone; returns its header, the name of the codec and the payload.
pub(crate) fn verify(bytes: &[u8]) -> Result<(Header, &str, &[u8]), UnsealError> {
    if bytes.is_empty() {
        return Err(UnsealError::Empty);
    }
    let after_magic = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(UnsealError::Magic)?;
    let version = after_magic.split(|b| *b == b' ').next().unwrap_or_default();
    if version != VERSION.as_bytes() {
        return Err(other_version(bytes, version));
    }
    let parsed = Parsed::of(bytes).ok_or(UnsealError::Header)?;
    let payload = &bytes[HEADER_LENGTH..];
    if payload.len() as u64 != parsed.length {
        let (expected, found) = (parsed.length, payload.len() as u64);
        return Err(UnsealError::Length { expected, found });
    }
    let found = checksum(&bytes[..CHECKED_HEADER], payload);
    if found != parsed.crc {
        return Err(UnsealError::Checksum { expected: parsed.crc, found });
    }
    Ok((parsed.header, parsed.codec, payload))
}

/// Tells a newer version from a damaged digit, with which the checksum still fits version 1.
fn other_version(bytes: &[u8], version: &[u8]) -> UnsealError {
    let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
    let mut as_version_1 = bytes.to_vec();
    as_version_1.splice(MAGIC.len()..MAGIC.len() + version.len(), VERSION.bytes());
    if !is_number || (version.len() == VERSION.len() && verify(&as_version_1).is_ok()) {
        return UnsealError::Header;
    }
    UnsealError::Version { version: String::from_utf8_lossy(version).into_owned() }
}

/// The header of bytes that are whole, with any codec and of any store.
pub(crate) fn header_of(bytes: &[u8]) -> Option<Header> {
    verify(bytes).ok().map(|(header, _, _)| header)
}

/// Why a file of `length` bytes is no whole checkpoint, as far as `head`, its first bytes, tells;
/// `None` if all of it has to be read.
pub(crate) fn cut_off(head: &[u8], length: u64) -> Option<UnsealError> {
    if length_at(head).is_some_and(|claimed| claimed as u64 == length) {
        return None;
    }
    let expected = match verify(head) {
        Err(UnsealError::Length { expected, .. }) => expected,
        Err(error) => return Some(error),
        Ok((_, _, payload)) => payload.len() as u64,
    };
    Some(UnsealError::Length { expected, found: length - HEADER_LENGTH as u64 })
}

/// The length that an envelope at the beginning of `bytes` claims, header included. The rest of the
/// header may be damaged.
pub(crate) fn length_at(bytes: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(bytes.get(LENGTH_DIGITS)?).ok()?;
    digits.parse::<usize>().ok()?.checked_add(HEADER_LENGTH)
}

struct Parsed<'a> {
    header: Header,
    codec: &'a str,
    length: u64,
    crc: u32,
}

impl<'a> Parsed<'a> {
    /// `None` unless the header is byte for byte what rendering its fields gives.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(bytes.get(..HEADER_LENGTH)?).ok()?;
        let rest = line.strip_prefix(MAGIC)?.strip_prefix(VERSION)?;
        let (codec, rest) = rest.strip_prefix(" codec=")?.split_at_checked(8)?;
        let (store, rest) = rest.strip_prefix(" store=")?.split_at_checked(32)?;
        let (generation, rest) = rest.strip_prefix(" generation=")?.split_at_checked(20)?;
        let (confirmed, rest) = rest.strip_prefix(" confirmed=")?.split_at_checked(20)?;
        let (length, rest) = rest.strip_prefix(" length=")?.split_at_checked(20)?;
        let crc = rest.strip_prefix(" crc32c=")?.strip_suffix('\n')?;
        let parsed = Parsed {
            header: Header {
                store: StoreId(u128::from_str_radix(store, 16).ok()?),
                generation: generation.parse().ok()?,
                confirmed: confirmed.parse().ok()?,
            },
            codec: codec.trim_end_matches(' '),
            length: length.parse().ok()?,
            crc: u32::from_str_radix(crc, 16).ok()?,
        };
        let again = render(parsed.codec, &parsed.header, parsed.length);
        let canonical = line == format!("{again}{:08x}\n", parsed.crc);
        (canonical && parsed.header.is_in_order()).then_some(parsed)
    }
}

/// Renders the header up to the digits of the checksum.
fn render(codec: &str, header: &Header, length: u64) -> String {
    let Header { store, generation, confirmed } = header;
    format!(
        "{MAGIC}{VERSION} codec={codec:<8} store={store} generation={generation:020} \
         confirmed={confirmed:020} length={length:020} crc32c="
    )
}

fn checksum(checked_header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(checked_header), payload)
}
