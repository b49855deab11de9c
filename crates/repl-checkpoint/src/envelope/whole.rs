//! The header line of an envelope, which is checked without its payload.

use super::line::{Fields, Line};
use super::{Header, UnsealError, VERSION};

pub(super) const MAGIC: &str = "repl-checkpoint v";
/// The bytes of the header line.
pub(crate) const HEADER_LENGTH: usize = 197;

/// The fields of the header line of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WholeLine<'a> {
    pub(crate) codec: &'a str,
    pub(crate) header: Header,
    /// The number of bytes after the header.
    pub(crate) length: u64,
    /// The checksum of these bytes.
    pub(crate) payload: u32,
}

impl<'a> WholeLine<'a> {
    /// The header at the beginning of `bytes` and its checksum; `None` unless it is byte for byte
    /// what rendering its fields gives.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<(Self, u32)> {
        let line = bytes.get(..HEADER_LENGTH)?;
        let mut fields = Fields::after(line, MAGIC, VERSION)?;
        let codec = fields.codec()?;
        let store = fields.store()?;
        let generation = fields.number(" generation=")?;
        let confirmed = fields.number(" confirmed=")?;
        let header = Header { store, generation, confirmed };
        let length = fields.number(" length=")?;
        let payload = fields.checksum(" payload=")?;
        let crc = fields.end()?;
        let found = WholeLine { codec, header, length, payload };
        header.is_in_order().then_some((found, crc))
    }

    /// The header line, and its checksum.
    pub(super) fn render(&self) -> ([u8; HEADER_LENGTH], u32) {
        let mut line = Line::new(MAGIC, VERSION);
        line.codec(self.codec);
        line.store(self.header.store);
        line.number(" generation=", self.header.generation);
        line.number(" confirmed=", self.header.confirmed);
        line.number(" length=", self.length);
        line.checksum(" payload=", self.payload);
        line.finished()
    }
}

/// Checks the header at the beginning of `bytes`, and returns it with its checksum.
pub(crate) fn verify_header(bytes: &[u8]) -> Result<(WholeLine<'_>, u32), UnsealError> {
    if bytes.is_empty() {
        return Err(UnsealError::Empty);
    }
    let after_magic = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(UnsealError::Magic)?;
    let version = after_magic.split(|b| *b == b' ').next().unwrap_or_default();
    if version != VERSION.as_bytes() {
        return Err(other_version(bytes, version));
    }
    WholeLine::of(bytes).ok_or(UnsealError::Header)
}

/// Tells another version from a damaged digit, with which the checksum still fits this version.
fn other_version(bytes: &[u8], version: &[u8]) -> UnsealError {
    let is_number = (1..=8).contains(&version.len()) && version.iter().all(u8::is_ascii_digit);
    let mut as_this_version = bytes[..bytes.len().min(HEADER_LENGTH)].to_vec();
    let digits = MAGIC.len()..MAGIC.len() + version.len();
    if is_number {
        as_this_version.splice(digits, VERSION.bytes());
    }
    if !is_number || (version.len() == VERSION.len() && WholeLine::of(&as_this_version).is_some()) {
        return UnsealError::Header;
    }
    UnsealError::Version { version: String::from_utf8_lossy(version).into_owned() }
}

/// Why a file of `length` bytes is no checkpoint, as far as `head`, its first bytes, tells;
/// `None` if all of it has to be read.
pub(crate) fn cut_off(head: &[u8], length: u64) -> Option<UnsealError> {
    let expected = match verify_header(head) {
        Ok((line, _)) => line.length,
        Err(error) => return Some(error),
    };
    let found = length.saturating_sub(HEADER_LENGTH as u64);
    (expected != found).then_some(UnsealError::Length { expected, found })
}
