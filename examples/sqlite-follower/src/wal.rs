//! Parses the format of a `-wal` file (<https://sqlite.org/fileformat2.html#walformat>).
//!
//! A log is a header followed by frames, one page each. The checksum of a frame continues that of
//! the frame before, so it covers everything before it. A frame belongs to the log only if it has
//! the salts of the header. The frames after those are of an earlier log in the same file.

use serde::{Deserialize, Serialize};

/// Sizes in bytes.
pub(crate) const HEADER_SIZE: usize = 32;
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
pub(crate) struct LogPoint {
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

impl WalHeader {
    /// Parses the header at the start of `bytes`; `None` if it is not valid.
    pub(crate) fn parse(bytes: &[u8]) -> Option<WalHeader> {
        let [magic, version, page_size, checkpoint_seq, first, second, sum0, sum1] = words(bytes)?;
        let (big_endian, checksum) = (magic & 1 == 1, [sum0, sum1]);
        let is_valid = magic & !1 == MAGIC
            && version == VERSION
            && page_size.is_power_of_two()
            && (512..=65536).contains(&page_size)
            && add_to_checksum(big_endian, [0, 0], &bytes[..24]) == checksum;
        let salts = [first, second];
        is_valid.then_some(WalHeader { page_size, checkpoint_seq, salts, checksum, big_endian })
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

    /// Parses the frame in `bytes` if it continues the checksum `before`; `None` ends the log.
    pub(crate) fn next_frame(&self, before: Checksum, bytes: &[u8]) -> Option<FrameHeader> {
        let bytes = bytes.get(..self.frame_size())?;
        let header = FrameHeader::parse(bytes)?;
        if header.salts != self.salts || header.page == 0 {
            return None;
        }
        let checksum = add_to_checksum(self.big_endian, before, &bytes[..8]);
        let checksum = add_to_checksum(self.big_endian, checksum, &bytes[FRAME_HEADER_SIZE..]);
        (checksum == header.checksum).then_some(header)
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
        let [page, commit_size, first, second, sum0, sum1] = words(bytes)?;
        let (salts, checksum) = ([first, second], [sum0, sum1]);
        Some(FrameHeader { page, commit_size, salts, checksum })
    }
}

/// The words at the start of `bytes`; `None` if too short. All integers of the format are
/// big-endian.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    bytes.as_chunks::<4>().0.first_chunk::<N>().map(|words| words.map(u32::from_be_bytes))
}

/// Continues a checksum: a Fibonacci-weighted sum over pairs of words. `bytes` is a multiple of 8
/// long.
fn add_to_checksum(big_endian: bool, [mut s0, mut s1]: Checksum, bytes: &[u8]) -> Checksum {
    let word = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    for [first, second] in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        s0 = s0.wrapping_add(word(*first)).wrapping_add(s1);
        s1 = s1.wrapping_add(word(*second)).wrapping_add(s0);
    }
    [s0, s1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, SHARD};

    /// The checksum of the format, word by word as in the specification.
    fn specified_checksum(words: &[u32]) -> Checksum {
        let (mut s0, mut s1) = (0_u32, 0_u32);
        for pair in words.chunks(2) {
            s0 = s0.wrapping_add(pair[0].wrapping_add(s1));
            s1 = s1.wrapping_add(pair[1].wrapping_add(s0));
        }
        [s0, s1]
    }

    #[test]
    fn a_log_with_big_endian_checksums_is_read() {
        let words = [MAGIC | 1, VERSION, 4096, 7, 11, 13];
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        bytes.extend(specified_checksum(&words).iter().flat_map(|w| w.to_be_bytes()));
        let header = WalHeader::parse(&bytes).unwrap();
        assert_eq!((header.checkpoint_seq, header.salts), (7, [11, 13]));

        let mut little = bytes;
        little[3] = 0x82;
        assert_eq!(WalHeader::parse(&little), None, "another byte order");
    }

    #[test]
    fn every_flipped_bit_ends_the_log_at_its_frame() {
        let database = Fixture::new(512);
        database.run("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)");
        let log = std::fs::read(database.layout.log(SHARD)).unwrap();
        let header = WalHeader::parse(&log).unwrap();
        for bit in 0..log.len() * 8 {
            let mut log = log.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            if bit / 8 < HEADER_SIZE {
                assert_eq!(WalHeader::parse(&log), None, "bit {bit}");
            } else {
                let (mut checksum, mut whole) = (header.checksum, 0);
                let mut frames = log[HEADER_SIZE..].chunks(header.frame_size());
                while let Some(frame) = frames.next().and_then(|f| header.next_frame(checksum, f)) {
                    (checksum, whole) = (frame.checksum, whole + 1);
                }
                assert_eq!(whole, (bit / 8 - HEADER_SIZE) / header.frame_size(), "bit {bit}");
            }
        }
    }
}
