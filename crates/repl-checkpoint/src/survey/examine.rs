//! One candidate, checked as recovery checks it.

use std::path::Path;
use std::sync::Arc;

use repl_core::{Incarnation, Snapshot};

use super::{CheckpointCounts, Surveyed};
use crate::checkpoint::{Rows, ShardCheckpoint, Track};
use crate::codec::{Codec, CodecError, known_codec};
use crate::disk::{Disk, OsDisk};
use crate::envelope::{DeltaHeader, DeltaLine, HEADER_LENGTH, Header, UnsealError, WholeLine};
use crate::ids::StoreId;
use crate::recovery::{CorruptReason, open_candidate};
use crate::slot_store::Location;
use crate::store::Candidate;

/// What all candidates at a path must be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) store: StoreId,
    pub(super) codec: String,
}

impl Identity {
    /// The identity in the header at an offset of a file, if that header is right.
    pub(super) fn at(path: &Path, offset: u64) -> Option<Self> {
        let head = OsDisk.read_at(path, offset, HEADER_LENGTH).ok()?;
        let (line, _) = WholeLine::of(&head)?;
        Some(Identity { store: line.header.store, codec: line.codec.to_owned() })
    }

    /// Checks a candidate. Returns its marks too, if it is whole.
    pub(super) fn examine(
        this: Option<&Self>,
        candidate: Candidate,
        location: &Location,
    ) -> (Surveyed, Option<Arc<Snapshot>>) {
        let path = candidate.path.clone();
        let deltas: Vec<DeltaHeader> = candidate
            .deltas
            .iter()
            .filter_map(|delta| Some(DeltaLine::of(delta)?.0.delta))
            .collect();
        let of_deltas: usize = candidate.deltas.iter().map(Vec::len).sum();
        let length = candidate.bytes.as_ref().map_or(0, |bytes| bytes.len() + of_deltas) as u64;
        // Without a header that is right, no codec gets at its payload.
        let store = this.map(|identity| identity.store).unwrap_or_default();
        let name = this.map_or("json", |identity| &identity.codec);
        let codec = known_codec(name).unwrap_or(&UnknownCodec);
        let opened = open_candidate(candidate, codec, store, &Track::all());
        let header = match &opened {
            // What is damaged is behind records that are a candidate of their own.
            Err(CorruptReason::Unseal(UnsealError::Rest { .. })) => None,
            _ => newest_header(&path, location.offset, &deltas),
        };
        let damaged_at =
            opened.as_ref().err().and_then(|reason| place_of(reason, location, &deltas));
        let marks = opened.as_ref().ok().map(|found| Arc::clone(&found.content.marks));
        let checked = opened.map(|found| counts(&found.content.marks));
        let (slot, offset) = (location.slot, location.offset);
        (Surveyed { path, slot, offset, length, header, deltas, checked, damaged_at }, marks)
    }
}

/// The header of the newest record, as far as it is right.
fn newest_header(path: &Path, offset: u64, deltas: &[DeltaHeader]) -> Option<Header> {
    if let Some(delta) = deltas.last() {
        return Some(delta.header);
    }
    let head = OsDisk.read_at(path, offset, HEADER_LENGTH).ok()?;
    Some(WholeLine::of(&head)?.0.header)
}

/// Where a file is damaged.
fn place_of(reason: &CorruptReason, location: &Location, deltas: &[DeltaHeader]) -> Option<u64> {
    let CorruptReason::Unseal(reason) = reason else { return None };
    let payload = location.offset + HEADER_LENGTH as u64;
    match reason {
        UnsealError::Length { expected, found } => {
            Some(payload.saturating_add(*expected.min(found)))
        }
        UnsealError::Checksum { .. } | UnsealError::Payload(_) | UnsealError::Invalid(_) => {
            Some(payload)
        }
        UnsealError::Rest { at } => Some(location.offset + at),
        UnsealError::Delta { generation, .. } => {
            let i = deltas.iter().position(|delta| delta.header.generation == *generation)?;
            location.deltas.get(i).copied()
        }
        UnsealError::Empty
        | UnsealError::Magic
        | UnsealError::Version { .. }
        | UnsealError::Header
        | UnsealError::OtherCodec { .. }
        | UnsealError::OtherStore { .. }
        | UnsealError::OtherGeneration { .. }
        | UnsealError::Mixed => Some(location.offset),
    }
}

fn counts(marks: &Snapshot) -> CheckpointCounts {
    let mut counts = CheckpointCounts {
        shards: marks.len(),
        next_incarnation: marks.next_incarnation(),
        ..CheckpointCounts::default()
    };
    for entry in marks.entries() {
        counts.ranges += entry.applied_set.range_count();
        counts.epochs += entry.epochs.as_slice().len();
    }
    counts
}

/// Stands in for a codec that is not of this crate: what it has written is refused by name, once
/// its envelope was checked.
struct UnknownCodec;

impl Codec for UnknownCodec {
    fn name(&self) -> &'static str {
        "json or bincode"
    }

    fn encode(&self, _: &mut Rows<'_>, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::new("it is not known"))
    }

    fn decode(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        Err(CodecError::new("it is not known"))
    }
}
