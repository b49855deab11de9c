//! Offsets in sealed bytes, as docs/format.md has them.

use std::ops::Range;

/// The header of an envelope, and of a delta.
pub(crate) const HEADER: usize = 197;
pub(crate) const DELTA: usize = 272;
/// The checksum of the payload, and of the header.
const PAYLOAD_CRC: Range<usize> = 172..180;
pub(crate) const CRC: Range<usize> = 188..196;

/// Corrects both checksums of an envelope.
pub(crate) fn with_right_checksums(bytes: Vec<u8>) -> Vec<u8> {
    corrected(bytes, HEADER, PAYLOAD_CRC)
}

/// Corrects both checksums of a delta.
pub(crate) fn delta_with_right_checksums(bytes: Vec<u8>) -> Vec<u8> {
    corrected(bytes, DELTA, 247..255)
}

fn corrected(mut bytes: Vec<u8>, header: usize, payload: Range<usize>) -> Vec<u8> {
    let crc = crc32c::crc32c(&bytes[header..]);
    bytes[payload].copy_from_slice(format!("{crc:08x}").as_bytes());
    let own = header - 9..header - 1;
    let crc = crc32c::crc32c(&bytes[..own.start]);
    bytes[own].copy_from_slice(format!("{crc:08x}").as_bytes());
    bytes
}

/// The length of a closing checksum.
pub(crate) const CLOSING: usize = 10;

/// A record as it is in a slot: behind it the checksum of its header once more, in a line of its
/// own.
pub(crate) fn closed(record: &[u8]) -> Vec<u8> {
    let end = record.iter().position(|byte| *byte == b'\n').unwrap();
    [record, b"\n", &record[end - 8..=end]].concat()
}

/// The envelope in a slot without deltas.
pub(crate) fn used(slot: &[u8]) -> &[u8] {
    let end = slot.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
    &slot[..end.saturating_sub(CLOSING)]
}
