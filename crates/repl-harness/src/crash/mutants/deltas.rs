//! Mutants of deltas.

use std::collections::BTreeMap;

use repl_checkpoint::{Checkpoint, Codec, DeltaHeader, Header, Save, ShardCheckpoint, StoreId};
use repl_core::ShardId;

use super::Mutant;
use crate::crash::layout::UNUSED;
use crate::crash::padded::PLAIN;
use crate::crash::records::{
    ALIGN, CLOSING, DELTA, OF_DELTA, checksum, closed, closing, delta_at, envelope_length,
    is_delta, next_record, number, put_checksum, records,
};

/// The bytes of the id of a removed shard.
const ID: usize = 21;

/// Whether the records in a slot are given to the store in another way than they are there.
pub(super) fn changes_chains(mutant: Mutant) -> bool {
    use Mutant::{ClosingUnchecked, DamagedDeltaSkipped, DeltaUnchecked, LinkUnchecked};
    matches!(mutant, ClosingUnchecked | DamagedDeltaSkipped | DeltaUnchecked | LinkUnchecked)
}

/// The chain in a slot as a reader sees it that checks less than the real one.
pub(super) fn read_mutated_chain(mutant: Mutant, slot: &mut [u8]) {
    if mutant == Mutant::ClosingUnchecked {
        for record in records(slot) {
            let right = closing(&slot[record.clone()]);
            slot[record.end..][..CLOSING].copy_from_slice(&right);
        }
        return;
    }
    let Some(end) = envelope_length(slot).filter(|end| end + CLOSING <= slot.len()) else { return };
    // The checksum of the record before, as it was and as it is, and its generation.
    let (mut was, mut now) = (checksum(slot).to_vec(), checksum(slot).to_vec());
    let Some(mut generation) = number(slot, 84..104) else { return };
    let mut at = next_record(end);
    while let Some(record) = delta_at(slot, at) {
        let own = checksum(&slot[record.clone()]).to_vec();
        let crc = crc32c::crc32c(&slot[record.start + DELTA..record.end]);
        let payload = format!("{crc:08x}").into_bytes();
        let behind = slot[record.end..][..CLOSING].to_vec();
        let is_closed = behind == closing(&slot[record.clone()]);
        let delta = &mut slot[closed(&record)];
        let is_linked = delta[OF_DELTA.link] == *was;
        let is_whole = delta[OF_DELTA.payload] == *payload;
        was = own;
        if mutant == Mutant::DamagedDeltaSkipped && !is_whole {
            let next = next_record(record.end).min(slot.len());
            slot.copy_within(next.., at);
            let rest = slot.len() - (next - at);
            slot[rest..].fill(UNUSED);
            continue;
        }
        if is_linked || mutant == Mutant::LinkUnchecked {
            delta[OF_DELTA.link].copy_from_slice(&now);
            delta[OF_DELTA.base].copy_from_slice(format!("{generation:020}").as_bytes());
        }
        if mutant == Mutant::DeltaUnchecked {
            delta[OF_DELTA.payload].copy_from_slice(&payload);
        }
        put_checksum(delta);
        if !is_closed {
            delta[record.len()..].copy_from_slice(&behind);
        }
        now = checksum(delta).to_vec();
        generation = number(delta, OF_DELTA.generation).unwrap_or(generation);
        at = next_record(record.end);
    }
}

/// What is written of a record in place, with unused bytes for its closing checksum.
pub(super) fn without_closing(bytes: &[u8]) -> Vec<u8> {
    let mut without = bytes.to_vec();
    let end = bytes.iter().rposition(|b| *b != UNUSED).map_or(0, |last| last + 1);
    without[end.saturating_sub(CLOSING)..end].fill(UNUSED);
    without
}

/// The bytes that are written of a checkpoint, if the unused ones over older deltas are not.
pub(super) fn without_unused(bytes: &[u8]) -> usize {
    if is_delta(bytes) {
        return bytes.len();
    }
    let used = bytes.iter().rposition(|b| *b != UNUSED).map_or(0, |last| last + 1);
    used.next_multiple_of(ALIGN).min(bytes.len())
}

/// The rows of the last save, and deltas that hold other ones than they should.
#[derive(Default)]
pub(super) struct Rows(BTreeMap<ShardId, ShardCheckpoint>);

impl Rows {
    /// The record to save in place of this one; `None` for the same.
    pub(super) fn instead(
        &mut self,
        mutant: Mutant,
        store: StoreId,
        link: Option<u32>,
        save: &Save<'_>,
    ) -> Option<Vec<u8>> {
        let Some(base) = save.base else {
            let (_, checkpoint) = Checkpoint::unseal(&PLAIN, store, save.bytes).ok()?;
            self.0 = checkpoint.shards.into_iter().map(|row| (row.shard, row)).collect();
            return None;
        };
        let count = usize::try_from(number(save.bytes, OF_DELTA.removed)?).ok()?;
        let (ids, payload) = save.bytes.get(DELTA..)?.split_at_checked(count * ID)?;
        let id = |line: &[u8]| number(line, 0..ID - 1).map(ShardId);
        let mut removed: Vec<ShardId> = ids.chunks(ID).filter_map(id).collect();
        let mut shards = Vec::new();
        let next_incarnation = PLAIN.decode(payload, &mut |row| shards.push(row)).ok()?;
        let before = self.0.clone();
        self.0.retain(|shard, _| !removed.contains(shard));
        self.0.extend(shards.iter().map(|row| (row.shard, row.clone())));
        match mutant {
            Mutant::DeltaOfNewest => shards.retain(|row| before.get(&row.shard) != Some(row)),
            _ => removed.clear(),
        }
        let Save { generation, confirmed, .. } = *save;
        let header = Header { store, generation, confirmed };
        let delta = DeltaHeader { header, base, link: link? };
        let changed = Checkpoint { next_incarnation, shards };
        changed.rows().seal_delta(&PLAIN, delta, &removed).ok()
    }
}

/// Whether deltas hold other rows than they should.
pub(super) fn changes_rows(mutant: Mutant) -> bool {
    matches!(mutant, Mutant::DeltaOfNewest | Mutant::RemovalsDropped)
}

/// Where a delta is written: a sector behind its place.
pub(super) fn behind(offset: u64) -> u64 {
    offset + ALIGN as u64
}
