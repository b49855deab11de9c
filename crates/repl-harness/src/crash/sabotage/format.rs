//! Envelopes that check less than they should: file bytes and what the real envelope makes of them.

use repl_checkpoint::{Checkpoint, Codec, CodecError, JsonCodec};

use super::Sabotage;

/// Where the digits of the checksum stand, and where the payload begins: docs/format.md.
const CHECKSUM: usize = 171;
const PAYLOAD: usize = 180;
/// Where the digits of the payload's length stand.
const LENGTH: std::ops::Range<usize> = 143..163;

/// What goes into the file in place of `sealed`.
pub(crate) fn write_wrong(wrong: Sabotage, sealed: &[u8]) -> Vec<u8> {
    let mut bytes = sealed.to_vec();
    if wrong == Sabotage::HeaderUnchecked && bytes.len() >= PAYLOAD {
        let crc = crc32c::crc32c(&bytes[PAYLOAD..]);
        put_checksum(&mut bytes, crc);
    }
    bytes
}

/// What the real envelope is given in place of the bytes of a file.
pub(crate) fn read_wrong(wrong: Sabotage, file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    if bytes.len() < PAYLOAD {
        return bytes;
    }
    match wrong {
        Sabotage::NoChecksum => put_right_checksum(&mut bytes),
        Sabotage::HeaderUnchecked => {
            let said = bytes[CHECKSUM..PAYLOAD - 1].to_vec();
            let found = format!("{:08x}", crc32c::crc32c(&bytes[PAYLOAD..]));
            if said == found.as_bytes() {
                put_right_checksum(&mut bytes);
            }
        }
        Sabotage::LengthUnchecked => {
            let said = std::str::from_utf8(&bytes[LENGTH]).ok().and_then(|s| s.parse().ok());
            let end = said.and_then(|length: usize| length.checked_add(PAYLOAD));
            bytes.truncate(end.unwrap_or(bytes.len()));
        }
        _ => {}
    }
    bytes
}

fn put_right_checksum(bytes: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..CHECKSUM]), &bytes[PAYLOAD..]);
    put_checksum(bytes, crc);
}

fn put_checksum(bytes: &mut [u8], crc: u32) {
    bytes[CHECKSUM..PAYLOAD].copy_from_slice(format!("{crc:08x}\n").as_bytes());
}

/// A codec that writes marks which nobody has applied.
pub(crate) struct Ahead;

impl Codec for Ahead {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }

    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut ahead = checkpoint.clone();
        ahead.shards.iter_mut().for_each(|shard| shard.mark += 1);
        JsonCodec.encode(&ahead, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        JsonCodec.decode(bytes)
    }
}
