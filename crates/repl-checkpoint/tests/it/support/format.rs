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

/// The bytes up to the last that is not 0xff: what a slot with an envelope alone holds.
pub(crate) fn used(slot: &[u8]) -> &[u8] {
    &slot[..slot.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1)]
}
