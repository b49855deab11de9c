//! Deltas, sealed by hand.

use std::path::PathBuf;

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Codec, CorruptReason, DeltaHeader, Generation, Header,
    JsonCodec, Save, SaveError, ShardCheckpoint,
};
use repl_core::{Incarnation, SeqNo, ShardId};

use super::{STORE, header, sealed, shard};

/// A shard of an incarnation.
pub(crate) fn row(id: u64, incarnation: u64, mark: SeqNo) -> ShardCheckpoint {
    ShardCheckpoint { incarnation: Incarnation(incarnation), ..shard(id, mark) }
}

pub(crate) fn rows(next_incarnation: u64, shards: &[ShardCheckpoint]) -> Checkpoint {
    Checkpoint { next_incarnation: Incarnation(next_incarnation), shards: shards.to_vec() }
}

/// The checksum in the header of a record.
pub(crate) fn link(record: &[u8]) -> u32 {
    let end = record.iter().position(|byte| *byte == b'\n').unwrap();
    u32::from_str_radix(std::str::from_utf8(&record[end - 8..end]).unwrap(), 16).unwrap()
}

pub(crate) fn ids(ids: &[u64]) -> Vec<ShardId> {
    ids.iter().copied().map(ShardId).collect()
}

/// A record on a base.
pub(crate) fn delta_on(
    base: (Generation, u32),
    generation: Generation,
    changed: &Checkpoint,
    removed: &[u64],
) -> Vec<u8> {
    let delta = DeltaHeader { header: header(generation), base: base.0, link: base.1 };
    changed.rows().seal_delta(&JsonCodec, delta, &ids(removed)).unwrap()
}

/// A checkpoint and the deltas on it.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) bytes: Vec<u8>,
    pub(crate) deltas: Vec<Vec<u8>>,
    newest: Generation,
}

impl Chain {
    pub(crate) fn new(generation: Generation, checkpoint: &Checkpoint) -> Self {
        let bytes = sealed(generation, checkpoint);
        Chain { bytes, deltas: Vec::new(), newest: generation }
    }

    /// What the next delta builds on.
    pub(crate) fn base(&self) -> (Generation, u32) {
        (self.newest, link(self.deltas.last().unwrap_or(&self.bytes)))
    }

    pub(crate) fn then(mut self, changed: &Checkpoint, removed: &[u64]) -> Self {
        let generation = self.newest + 2;
        self.deltas.push(delta_on(self.base(), generation, changed, removed));
        self.newest = generation;
        self
    }

    pub(crate) fn unseal_as(
        &self,
        codec: &dyn Codec,
    ) -> Result<(Header, Checkpoint), CorruptReason> {
        let candidate = Candidate {
            path: PathBuf::new(),
            generation: None,
            bytes: Ok(self.bytes.clone()),
            deltas: self.deltas.clone(),
        };
        candidate.unseal(codec, STORE)
    }

    pub(crate) fn unseal(&self) -> Result<(Header, Checkpoint), CorruptReason> {
        self.unseal_as(&JsonCodec)
    }
}

/// Saves a whole checkpoint.
pub(crate) fn save_whole(
    store: &mut impl CheckpointStore,
    generation: Generation,
    checkpoint: &Checkpoint,
) -> Result<(), SaveError> {
    let (confirmed, bytes) = (generation - 1, sealed(generation, checkpoint));
    store.save(Save { generation, confirmed, bytes: &bytes, base: None })
}

/// Saves a delta on what the store offers.
pub(crate) fn save_delta(
    store: &mut impl CheckpointStore,
    generation: Generation,
    changed: &Checkpoint,
    removed: &[u64],
) -> Result<(), SaveError> {
    let base = store.delta_base().unwrap();
    let bytes = delta_on((base.generation, base.link), generation, changed, removed);
    let (confirmed, base) = (generation - 1, Some(base.generation));
    store.save(Save { generation, confirmed, bytes: &bytes, base })
}
