//! An envelope that is read piece by piece, as all of it need not be in memory.

use super::{CHECKED_HEADER, HEADER_LENGTH, Header, Parsed};

/// The pieces of an envelope that were read so far.
pub(crate) struct Pieces {
    header: Header,
    /// The length of the payload that the header says, and the one that was read.
    length: u64,
    read: u64,
    /// The checksum that the header says, and the one of what was read.
    expected: u32,
    crc: u32,
}

impl Pieces {
    /// Begins with the first piece; `None` if that does not hold a whole header.
    pub(crate) fn begin(first: &[u8]) -> Option<Self> {
        let Parsed { header, length, crc: expected, .. } = Parsed::of(first)?;
        let (checked, payload) = (first.get(..CHECKED_HEADER)?, first.get(HEADER_LENGTH..)?);
        let crc = crc32c::crc32c(checked);
        let mut pieces = Pieces { header, length, read: 0, expected, crc };
        pieces.add(payload);
        Some(pieces)
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, piece);
        self.read += piece.len() as u64;
    }

    /// The header, if the envelope is whole.
    pub(crate) fn header(&self) -> Option<Header> {
        (self.read == self.length && self.crc == self.expected).then_some(self.header)
    }
}
