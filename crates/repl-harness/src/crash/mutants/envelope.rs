//! Mutants of the envelope: they check less than the real one.

use repl_checkpoint::{Codec, CodecError, JsonCodec, Rows, ShardCheckpoint};
use repl_core::Incarnation;

use super::Mutant;
use crate::crash::layout::PAYLOAD;

/// The offset of the digits of the header's checksum: docs/format.md.
const CHECKSUM: usize = 188;
/// The digits of the payload's checksum, and of its length.
const PAYLOAD_CHECKSUM: std::ops::Range<usize> = 172..180;
const LENGTH: std::ops::Range<usize> = 143..163;

/// The bytes that the real envelope is given in place of a file's.
pub(crate) fn read_mutated(mutant: Mutant, file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    if bytes.len() < PAYLOAD {
        return bytes;
    }
    match mutant {
        Mutant::NoChecksum => {
            let crc = crc32c::crc32c(&bytes[PAYLOAD..]);
            bytes[PAYLOAD_CHECKSUM].copy_from_slice(format!("{crc:08x}").as_bytes());
            put_header_checksum(&mut bytes);
        }
        Mutant::HeaderUnchecked => put_header_checksum(&mut bytes),
        Mutant::LengthUnchecked => {
            let length = std::str::from_utf8(&bytes[LENGTH]).ok().and_then(|s| s.parse().ok());
            let end = length.and_then(|length: usize| length.checked_add(PAYLOAD));
            bytes.truncate(end.unwrap_or(bytes.len()));
        }
        _ => {}
    }
    bytes
}

fn put_header_checksum(bytes: &mut [u8]) {
    let crc = crc32c::crc32c(&bytes[..CHECKSUM]);
    bytes[CHECKSUM..PAYLOAD].copy_from_slice(format!("{crc:08x}\n").as_bytes());
}

/// A codec that writes marks ahead of the applied ones.
pub(crate) struct AheadCodec;

impl Codec for AheadCodec {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut ahead = rows.to_checkpoint();
        ahead.shards.iter_mut().for_each(|shard| shard.mark += 1);
        JsonCodec.encode(&mut ahead.rows(), out)
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes, row)
    }
}
