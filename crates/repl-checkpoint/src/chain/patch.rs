//! What the deltas of a chain change, taken together.

use std::collections::BTreeMap;

use repl_core::{Incarnation, SeqNo, ShardId};

use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::codec::Codec;
use crate::envelope::{DeltaError, DeltaLine, Header, Link, SealedDelta, UnsealError};
use crate::ids::Generation;

pub(super) struct Patch {
    pub(super) changes: BTreeMap<ShardId, Change>,
    /// The header of the last delta.
    pub(super) header: Header,
    /// The generation of the first delta, and the next incarnation that it says.
    pub(super) first: (Generation, Incarnation),
    /// The next incarnation that the last delta says.
    pub(super) next_incarnation: Incarnation,
}

/// What becomes of one shard.
#[derive(Default)]
pub(super) struct Change {
    /// The generation of a delta that removes it and needs it in the checkpoint.
    needs: Option<Generation>,
    /// The first row of it, for the check against the row in the checkpoint.
    first: Option<(Generation, Incarnation, SeqNo)>,
    /// The incarnation and the mark of the newest row.
    newest: Option<(Incarnation, SeqNo)>,
    /// `None` if it is removed in the end.
    pub(super) row: Option<ShardCheckpoint>,
}

impl Patch {
    /// Decodes deltas, of which the first builds on a checkpoint of this header and checksum.
    pub(super) fn of(
        codec: &dyn Codec,
        base: Header,
        crc: u32,
        deltas: &[impl AsRef<[u8]>],
    ) -> Result<Self, UnsealError> {
        let Header { store, generation, .. } = base;
        let mut link = Link { codec: codec.name().to_owned(), store, generation, crc };
        let mut patch = Patch {
            changes: BTreeMap::new(),
            header: base,
            first: (0, Incarnation(0)),
            next_incarnation: Incarnation(0),
        };
        for (i, bytes) in deltas.iter().enumerate() {
            let header = DeltaLine::of(bytes.as_ref()).map(|(line, _)| line.delta.header);
            let generation = header.map_or(0, |header| header.generation);
            let in_delta = in_delta(generation);
            let delta = SealedDelta::of(bytes.as_ref()).map_err(&in_delta)?;
            if !link.is_base_of(&delta.line) {
                return Err(in_delta(DeltaError::Link));
            }
            link.follow(&delta.line, delta.crc);
            patch.header = delta.line.delta.header;
            let next = patch.add(codec, &delta).map_err(in_delta)?;
            if i == 0 {
                patch.first = (generation, next);
            }
        }
        Ok(patch)
    }

    /// Adds one delta, and returns the next incarnation that it says.
    fn add(
        &mut self,
        codec: &dyn Codec,
        delta: &SealedDelta<'_>,
    ) -> Result<Incarnation, DeltaError> {
        let generation = self.header.generation;
        let changed = Checkpoint::decode(codec, delta.payload).map_err(UnsealError::Payload)?;
        changed.validate().map_err(UnsealError::Invalid)?;
        let next = changed.next_incarnation;
        check_next(self.next_incarnation, next)?;
        self.next_incarnation = next;
        for &shard in &delta.removed {
            if changed.shard(shard).is_some() {
                return Err(DeltaError::RemovedAndChanged { shard });
            }
            let change = self.changes.entry(shard).or_insert_with(|| Change::needing(generation));
            // An older change has left no row: it was removed before.
            if change.row.take().is_none() && change.needs != Some(generation) {
                return Err(DeltaError::NotThere { shard });
            }
        }
        for row in changed.shards {
            self.changes.entry(row.shard).or_default().set(generation, row)?;
        }
        Ok(next)
    }
}

impl Change {
    fn needing(generation: Generation) -> Self {
        Change { needs: Some(generation), ..Change::default() }
    }

    /// Replaces the shard whole.
    fn set(&mut self, generation: Generation, row: ShardCheckpoint) -> Result<(), DeltaError> {
        let found = (row.incarnation, row.mark);
        match self.newest.replace(found) {
            Some(before) => check_row(row.shard, before, found)?,
            None => self.first = Some((generation, found.0, found.1)),
        }
        self.row = Some(row);
        Ok(())
    }

    /// Checks it against the row in the checkpoint, or that there is none.
    pub(super) fn check(
        &self,
        shard: ShardId,
        base: Option<&ShardCheckpoint>,
    ) -> Result<(), UnsealError> {
        match (base, self.needs, self.first) {
            (None, Some(generation), _) => {
                Err(in_delta(generation)(DeltaError::NotThere { shard }))
            }
            (Some(base), _, Some((generation, incarnation, mark))) => {
                let checked = check_row(shard, (base.incarnation, base.mark), (incarnation, mark));
                checked.map_err(in_delta(generation))
            }
            _ => Ok(()),
        }
    }
}

/// Checks that incarnations do not fall, nor marks within one incarnation.
fn check_row(
    shard: ShardId,
    before: (Incarnation, SeqNo),
    found: (Incarnation, SeqNo),
) -> Result<(), DeltaError> {
    if found.0 < before.0 {
        let (before, found) = (before.0, found.0);
        return Err(DeltaError::LowerIncarnation { shard, before, found });
    }
    if found < before {
        let (before, found) = (before.1, found.1);
        return Err(DeltaError::LowerMark { shard, before, found });
    }
    Ok(())
}

/// Checks that the next incarnation does not fall.
pub(super) fn check_next(before: Incarnation, found: Incarnation) -> Result<(), DeltaError> {
    if found < before {
        return Err(DeltaError::LowerNextIncarnation { before, found });
    }
    Ok(())
}

pub(super) fn in_delta(generation: Generation) -> impl Fn(DeltaError) -> UnsealError {
    move |source| UnsealError::Delta { generation, source }
}
