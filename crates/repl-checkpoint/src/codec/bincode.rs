//! bincode, in the fixed-width little-endian layout of bincode 1.
//!
//! Read through the crate `bincode`. Written by hand: the layout is the fields in their order, and
//! what serde makes of so small an encoder depends on what the compiler happens to inline. A test
//! holds the two to the same bytes.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::serde::decode_from_slice;

use super::{Codec, CodecError};
use crate::checkpoint::{Checkpoint, ShardCheckpoint};

/// The fixed-width little-endian layout of bincode 1: see docs/format.md for it byte by byte.
///
/// The crate `bincode` is no longer maintained. The layout is plain enough to outlive it: the crate
/// wincode reads the same bytes, which a test holds to.
///
/// A store keeps the codec that it began with. To change it, save what the old one holds into a new
/// directory:
/// ```
/// use repl_checkpoint::{BincodeCodec, CheckpointStore, FileStore, JsonCodec, Save, StoreId};
/// # use repl_checkpoint::{OnCorrupt, recover};
/// # let (old, new) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// # let store = FileStore::open(old.path(), StoreId::UNNAMED)?;
/// # let mut follower = recover(store, JsonCodec, &[repl_core::ShardId(1)], OnCorrupt::Fail)?;
/// # follower.checkpointer.checkpoint(|_| std::io::Result::Ok(()))?;
/// # drop(follower);
///
/// let mut from = FileStore::open(old.path(), StoreId::UNNAMED)?;
/// let newest = from.load()?.into_iter().next().ok_or("nothing was saved")?;
/// let (header, checkpoint) = repl_checkpoint::open(&JsonCodec, from.store_id(), &newest.bytes?)?;
/// let bytes = repl_checkpoint::seal(&BincodeCodec, header, &checkpoint)?;
/// let mut to = FileStore::open(new.path(), from.store_id())?;
/// to.save(Save { generation: header.generation, confirmed: header.confirmed, bytes: &bytes })?;
/// # drop(to);
/// # let store = FileStore::open(new.path(), StoreId::UNNAMED)?;
/// # let found = recover(store, BincodeCodec, &[], OnCorrupt::Fail)?.found;
/// # assert_eq!(found.unnamed, [repl_core::ShardId(1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BincodeCodec;

/// Bounds what damaged lengths can claim. A checkpoint of 1 GiB has 19 million shards.
const LIMIT: usize = 1 << 30;

fn config() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::legacy().with_limit::<LIMIT>()
}

impl Codec for BincodeCodec {
    fn name(&self) -> &'static str {
        "bincode"
    }

    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        out.extend_from_slice(&checkpoint.next_incarnation.0.to_le_bytes());
        out.extend_from_slice(&(checkpoint.shards.len() as u64).to_le_bytes());
        for shard in &checkpoint.shards {
            let row = fixed_row(shard);
            if shard.completed.is_empty() && shard.epochs.is_empty() {
                out.extend_from_slice(&row);
                continue;
            }
            out.extend_from_slice(&row[..COUNTS]);
            pairs(out, shard.completed.iter().map(|range| (range.first, range.last)));
            pairs(out, shard.epochs.iter().map(|start| (start.epoch, start.first)));
        }
        match out.len() - start {
            0..=LIMIT => Ok(()),
            length => Err(CodecError::new(format!("{length} bytes are more than {LIMIT}"))),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        let (checkpoint, read) = decode_from_slice(bytes, config()).map_err(CodecError::new)?;
        match bytes.len() - read {
            0 => Ok(checkpoint),
            trailing => Err(CodecError::new(format!("{trailing} bytes follow the checkpoint"))),
        }
    }
}

/// Where the counts of ranges and of epochs begin in the row of a shard that has none.
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

/// How many, then both numbers of each.
fn pairs(out: &mut Vec<u8>, pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
    out.extend_from_slice(&(pairs.len() as u64).to_le_bytes());
    for (first, second) in pairs {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&second.to_le_bytes());
    }
}
