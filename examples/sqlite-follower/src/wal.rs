//! Parses the format of a `-wal` file, without any I/O.
//!
//! See <https://sqlite.org/fileformat2.html#walformat>. A log is a header followed by frames, one
//! page each. The checksum of a frame continues that of the frame before, and the first that of the
//! header, so one checksum covers everything before it. A frame belongs to the log only if it has
//! the salts of the header. The frames after those are of an earlier log in the same file.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The size of a log header in bytes.
pub(crate) const HEADER_SIZE: usize = 32;
/// The size of a frame header in bytes.
pub(crate) const FRAME_HEADER_SIZE: usize = 24;

const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// Two words that identify a log among all logs of the same file. With each restart SQLite raises
/// the first by one and chooses the second at random.
pub(crate) type Salts = [u32; 2];

/// The cumulative checksum up to the end of a header or a frame.
pub(crate) type Checksum = [u32; 2];

/// A place in a log, identified together with the log and all content before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogPoint {
    /// The log.
    pub(crate) salts: Salts,
    /// The number of frames before the place, which is the number of the last one.
    pub(crate) frame: u32,
    /// The checksum of that frame, or of the header if `frame` is 0.
    pub(crate) checksum: Checksum,
}

/// The header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalHeader {
    pub(crate) page_size: u32,
    /// 0 for the first log of the file, one more with each restart.
    pub(crate) checkpoint_seq: u32,
    pub(crate) salts: Salts,
    pub(crate) checksum: Checksum,
    /// The byte order of the words in checksums.
    big_endian: bool,
}

/// The reason why bytes are not a log header.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum HeaderError {
    #[error("it has {0} bytes, but a header has {HEADER_SIZE}")]
    Short(usize),
    #[error("it begins with {0:#010x}, which is not the magic number of a WAL")]
    Magic(u32),
    #[error("it has format version {0}, but only {VERSION} is known")]
    Version(u32),
    #[error("its page size {0} is not a power of two from 512 to 65536")]
    PageSize(u32),
    #[error("its checksum does not match")]
    Checksum,
}

impl WalHeader {
    /// Parses and verifies the header at the start of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<WalHeader, HeaderError> {
        let Some(bytes) = bytes.get(..HEADER_SIZE) else {
            return Err(HeaderError::Short(bytes.len()));
        };
        let magic = word(bytes, 0);
        if magic & !1 != MAGIC {
            return Err(HeaderError::Magic(magic));
        }
        let big_endian = magic & 1 == 1;
        if word(bytes, 4) != VERSION {
            return Err(HeaderError::Version(word(bytes, 4)));
        }
        let page_size = word(bytes, 8);
        if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) {
            return Err(HeaderError::PageSize(page_size));
        }
        let checksum = [word(bytes, 24), word(bytes, 28)];
        if add_to_checksum(big_endian, [0, 0], &bytes[..24]) != checksum {
            return Err(HeaderError::Checksum);
        }
        Ok(WalHeader {
            page_size,
            checkpoint_seq: word(bytes, 12),
            salts: [word(bytes, 16), word(bytes, 20)],
            checksum,
            big_endian,
        })
    }

    /// The place before the first frame.
    pub(crate) fn start(&self) -> LogPoint {
        LogPoint { salts: self.salts, frame: 0, checksum: self.checksum }
    }

    /// The size of a frame in bytes.
    pub(crate) fn frame_size(&self) -> usize {
        FRAME_HEADER_SIZE + self.page_size as usize
    }

    /// The offset in the file after the first `frame` frames.
    pub(crate) fn offset_after(&self, frame: u32) -> u64 {
        HEADER_SIZE as u64 + u64::from(frame) * self.frame_size() as u64
    }

    /// Parses the frame in `bytes` if it continues the checksum `before`.
    ///
    /// `None` means that the log ends here. The bytes may be a frame of an earlier log, one that is
    /// being written, or anything else.
    pub(crate) fn next_frame<'a>(&self, before: Checksum, bytes: &'a [u8]) -> Option<Frame<'a>> {
        let bytes = bytes.get(..self.frame_size())?;
        let header = FrameHeader::parse(bytes)?;
        if header.salts != self.salts || header.page == 0 {
            return None;
        }
        let checksum = add_to_checksum(self.big_endian, before, &bytes[..8]);
        let checksum = add_to_checksum(self.big_endian, checksum, &bytes[FRAME_HEADER_SIZE..]);
        (checksum == header.checksum).then_some(Frame { header, data: &bytes[FRAME_HEADER_SIZE..] })
    }
}

/// The part of a frame before its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The number of the page, counted from 1.
    pub(crate) page: u32,
    /// The size of the database in pages after the transaction if this frame commits it, else 0.
    pub(crate) commit_size: u32,
    pub(crate) salts: Salts,
    pub(crate) checksum: Checksum,
}

impl FrameHeader {
    /// Parses the frame header at the start of `bytes` without verifying it; `None` if too short.
    pub(crate) fn parse(bytes: &[u8]) -> Option<FrameHeader> {
        let bytes = bytes.get(..FRAME_HEADER_SIZE)?;
        Some(FrameHeader {
            page: word(bytes, 0),
            commit_size: word(bytes, 4),
            salts: [word(bytes, 8), word(bytes, 12)],
            checksum: [word(bytes, 16), word(bytes, 20)],
        })
    }
}

/// A verified frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    pub(crate) data: &'a [u8],
}

/// The big-endian word at `at`. All integers of the format are big-endian.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Continues a checksum: a Fibonacci-weighted sum over pairs of words. `bytes` is a multiple of 8
/// long.
fn add_to_checksum(big_endian: bool, [mut s0, mut s1]: Checksum, bytes: &[u8]) -> Checksum {
    let read = |b: &[u8]| {
        let b = [b[0], b[1], b[2], b[3]];
        if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
    };
    for pair in bytes.chunks_exact(8) {
        s0 = s0.wrapping_add(read(&pair[..4])).wrapping_add(s1);
        s1 = s1.wrapping_add(read(&pair[4..])).wrapping_add(s0);
    }
    [s0, s1]
}

#[cfg(test)]
#[path = "wal_tests.rs"]
mod tests;
