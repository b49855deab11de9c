//! A chain: a sealed checkpoint and the deltas that build on it, read in one pass.
//!
//! 1. Check the envelope of the checkpoint.
//! 2. Decode the deltas into a patch: for each shard that they touch, what the checkpoint must say
//!    of it, and what it becomes.
//! 3. Decode the rows of the checkpoint, and merge the patch into them as they pass.

mod merge;
mod patch;

use repl_core::Incarnation;

use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::codec::Codec;
use crate::envelope::{Header, Sealed, UnsealError, sealed_by};
use crate::ids::StoreId;

use self::merge::Merge;
use self::patch::Patch;

/// Decodes a checkpoint with its deltas: calls `row` with each row in turn, and returns the header
/// of the newest record and the next incarnation. The rows are not validated.
pub(crate) fn decode(
    codec: &dyn Codec,
    store: StoreId,
    bytes: &[u8],
    deltas: &[impl AsRef<[u8]>],
    row: &mut dyn FnMut(ShardCheckpoint),
) -> Result<(Header, Incarnation), UnsealError> {
    let sealed = sealed_by(codec, store, bytes)?; // 1
    let payload = UnsealError::Payload;
    if deltas.is_empty() {
        return Ok((sealed.header, codec.decode(sealed.payload, row).map_err(payload)?));
    }
    let Sealed { header, crc, .. } = sealed;
    let patch = Patch::of(codec, header, crc, deltas)?; // 2
    let (header, next) = (patch.header, patch.next_incarnation);
    let mut merge = Merge::new(patch);
    let before =
        codec.decode(sealed.payload, &mut |base| merge.push(base, row)).map_err(payload)?; // 3
    merge.end(before, row)?;
    Ok((header, next))
}

/// Checks and decodes a checkpoint with its deltas.
pub(crate) fn unseal(
    codec: &dyn Codec,
    store: StoreId,
    bytes: &[u8],
    deltas: &[impl AsRef<[u8]>],
) -> Result<(Header, Checkpoint), UnsealError> {
    if deltas.is_empty() {
        return Checkpoint::unseal(codec, store, bytes);
    }
    let mut shards = Vec::new();
    let (header, next_incarnation) =
        decode(codec, store, bytes, deltas, &mut |row| shards.push(row))?;
    let checkpoint = Checkpoint { next_incarnation, shards };
    checkpoint.validate().map_err(UnsealError::Invalid)?;
    Ok((header, checkpoint))
}
