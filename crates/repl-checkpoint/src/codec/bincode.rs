//! bincode, in the fixed-width little-endian layout of bincode 1.
//!
//! The crate `bincode` reads what is of variable length. This file writes all of it, and reads rows
//! without lists: the layout is the fields in their order, and the speed of a serde format for that
//! depends on what the compiler happens to inline. Tests compare the two byte by byte.

use bincode::config::{Configuration, Fixint, LittleEndian};
use bincode::serde::decode_from_slice;

use repl_core::{Incarnation, LogId, ShardId};
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};
use crate::checkpoint::{Rows, ShardCheckpoint};

/// Encodes a checkpoint in the fixed-width little-endian layout of bincode 1.
///
/// docs/format.md has the layout byte by byte. The crate `bincode` is no longer maintained, but the
/// layout is plain enough to outlive it: a test reads the same bytes with the crate wincode.
///
/// A store keeps its codec. To change it, save the newest checkpoint into a new directory:
/// ```
/// use repl_checkpoint::{BincodeCodec, CheckpointStore, FileStore, Header, JsonCodec, Save};
/// # use repl_checkpoint::{OnCorrupt, StoreId, recover};
/// # let (old, new) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// # let store = FileStore::open(old.path(), StoreId::UNNAMED)?;
/// # let mut follower = recover(store, JsonCodec, &[repl_core::ShardId(1)], OnCorrupt::Fail)?;
/// # follower.checkpointer.checkpoint(|_| Ok(()))?;
/// # drop(follower);
///
/// let mut from = FileStore::open(old.path(), StoreId::UNNAMED)?;
/// let newest = from.load()?.into_iter().next().ok_or("nothing was saved")?;
/// let (header, checkpoint) = newest.unseal(&JsonCodec, from.store_id())?;
/// let bytes = checkpoint.seal(&BincodeCodec, header)?;
/// let mut to = FileStore::open(new.path(), from.store_id())?;
/// let Header { generation, confirmed, .. } = header;
/// to.save(Save { generation, confirmed, bytes: &bytes, base: None })?;
/// # drop(to);
/// # let store = FileStore::open(new.path(), StoreId::UNNAMED)?;
/// # let report = recover(store, BincodeCodec, &[], OnCorrupt::Fail)?.report;
/// # assert_eq!(report.orphaned, [repl_core::ShardId(1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BincodeCodec;

/// The length of the longest payload, written or read. A checkpoint of 1 GiB has 19 million shards.
const LIMIT: usize = 1 << 30;

/// Without bincode's own limit: it counts what is read, and that is never more than what is given.
fn config() -> Configuration<LittleEndian, Fixint> {
    bincode::config::legacy()
}

fn check_length(length: usize) -> Result<(), CodecError> {
    if length <= LIMIT {
        return Ok(());
    }
    Err(CodecError::new(format!("{length} bytes are more than {LIMIT}")))
}

impl Codec for BincodeCodec {
    fn name(&self) -> &'static str {
        "bincode"
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        out.reserve(HEAD + rows.len() * (COUNTS + 16));
        out.extend_from_slice(&rows.next_incarnation().0.to_le_bytes());
        out.extend_from_slice(&(rows.len() as u64).to_le_bytes());
        while let Some(shard) = rows.next() {
            let row = fixed_row(shard);
            if shard.completed.is_empty() && shard.epochs.is_empty() {
                out.extend_from_slice(&row);
                continue;
            }
            out.extend_from_slice(&row[..COUNTS]);
            pairs(out, shard.completed.iter().map(|range| (range.first(), range.last())));
            pairs(out, shard.epochs.iter().map(|start| (start.epoch, start.first)));
        }
        check_length(out.len() - start)
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        check_length(bytes.len())?;
        let mut rest = bytes;
        let (next_incarnation, count): (Incarnation, u64) = read(&mut rest)?;
        for _ in 0..count {
            if let Some((plain, after)) = plain_row(rest) {
                row(plain);
                rest = after;
            } else {
                row(read(&mut rest)?);
            }
        }
        match rest.len() {
            0 => Ok(next_incarnation),
            trailing => Err(CodecError::new(format!("{trailing} bytes follow the checkpoint"))),
        }
    }
}

/// Reads a value, and goes on to the bytes after it.
fn read<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, CodecError> {
    let (value, read) = decode_from_slice(rest, config()).map_err(CodecError::new)?;
    *rest = rest.get(read..).unwrap_or_default();
    Ok(value)
}

/// The length of the next incarnation and the number of shards.
const HEAD: usize = 16;
/// The offset of the counts of ranges and of epochs in the row of a shard without any.
const COUNTS: usize = 40;

/// Shard, log, incarnation, mark, no ranges, no epochs.
fn fixed_row(shard: &ShardCheckpoint) -> [u8; COUNTS + 16] {
    let mut bytes = [0; COUNTS + 16];
    bytes[..8].copy_from_slice(&shard.shard.0.to_le_bytes());
    bytes[8..24].copy_from_slice(&shard.log.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&shard.incarnation.0.to_le_bytes());
    bytes[32..COUNTS].copy_from_slice(&shard.mark.to_le_bytes());
    bytes
}

/// The row of a shard without ranges and epochs, and the bytes after it; `None` if the first row of
/// `bytes` is another.
///
/// Most rows are of this kind, and serde takes several times as long for one.
#[inline]
fn plain_row(bytes: &[u8]) -> Option<(ShardCheckpoint, &[u8])> {
    let (row, after) = bytes.split_first_chunk::<{ COUNTS + 16 }>()?;
    let (fixed, counts) = row.split_at(COUNTS);
    if counts != [0; 16] {
        return None;
    }
    let number = |at: usize| Some(u64::from_le_bytes(*fixed.get(at..)?.first_chunk()?));
    let row = ShardCheckpoint {
        shard: ShardId(number(0)?),
        log: LogId(u128::from_le_bytes(*fixed.get(8..)?.first_chunk()?)),
        incarnation: Incarnation(number(24)?),
        mark: number(32)?,
        completed: Box::default(),
        epochs: Box::default(),
    };
    Some((row, after))
}

/// The number of pairs, then both numbers of each.
fn pairs(out: &mut Vec<u8>, pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
    out.extend_from_slice(&(pairs.len() as u64).to_le_bytes());
    for (first, second) in pairs {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&second.to_le_bytes());
    }
}
