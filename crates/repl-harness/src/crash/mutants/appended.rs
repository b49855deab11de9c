//! Mutants that append a delta to a chain that must not be written to.

use std::ops::Range;

use repl_checkpoint::{Candidate, Checkpoint, DeltaHeader, Disk, Generation, Header, Save};
use repl_checkpoint::{SaveError, StoreId};
use repl_core::ShardId;

use crate::crash::disk::SimDisk;
use crate::crash::layout::{PAGE, SLOTS, UNUSED, slot_file};
use crate::crash::padded::PLAIN;
use crate::crash::records::{
    ALIGN, DELTA, OF_DELTA, checksum, closing, generation_of, next_record, number, put_checksum,
    records,
};
use crate::crash::watched::hash_chain;

/// A record behind a chain of a slot file.
pub(super) struct Appended {
    /// Its offset in the file.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    /// The hash of the chain with it.
    pub(super) chain: u128,
}

/// A chain that is whole.
struct There<'a> {
    slot: &'a [u8],
    start: usize,
    records: Vec<Range<usize>>,
    generation: Generation,
}

impl There<'_> {
    /// The whole chains of a slot file, one of each generation, the newest first.
    fn all(file: &[u8]) -> Vec<There<'_>> {
        let size = file.len().saturating_sub(PAGE) / SLOTS;
        let slots = file.get(PAGE..).unwrap_or_default().chunks_exact(size.max(1)).take(SLOTS);
        let there = |(i, slot)| {
            let (start, records) = (PAGE + i * size, records(slot));
            generation_of(slot).map(|generation| There { slot, start, records, generation })
        };
        let mut all: Vec<_> = slots.enumerate().filter_map(there).collect();
        all.sort_by_key(|there| std::cmp::Reverse((there.generation, there.start)));
        all.dedup_by_key(|there| there.generation);
        all
    }

    fn envelope_and_deltas(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut all = self.records.iter().map(|record| self.slot[record.clone()].to_vec());
        (all.next().unwrap_or_default(), all.collect())
    }

    /// Appends a delta, with what is behind it, if it has room.
    fn with(&self, record: &[u8], behind: &[u8]) -> Option<Appended> {
        let at = next_record(self.records.last()?.end);
        let (envelope, mut deltas) = self.envelope_and_deltas();
        deltas.push(record.to_vec());
        let chain = hash_chain(&envelope, &deltas);
        let bytes = [record, behind].concat();
        let fits = next_record(at + record.len()) <= self.slot.len();
        fits.then_some(Appended { at: (self.start + at) as u64, bytes, chain })
    }
}

/// A delta behind the newest checkpoint in place of the one before it; `None` if it does not fit
/// there. `bytes` are those of the record and what is behind it.
pub(super) fn on_newest(file: &[u8], bytes: &[u8]) -> Option<Appended> {
    let there = There::all(file).into_iter().next()?;
    let mut moved = bytes.to_vec();
    moved[OF_DELTA.link].copy_from_slice(checksum(&there.slot[there.records.last()?.clone()]));
    moved[OF_DELTA.base].copy_from_slice(format!("{:020}", there.generation).as_bytes());
    put_checksum(&mut moved);
    let length = usize::try_from(number(&moved, OF_DELTA.length)?).ok()?.checked_add(DELTA)?;
    let (record, behind) = moved.split_at_checked(length)?;
    there.with(record, behind)
}

/// What is written at an offset of a slot file, and unused bytes up to the end of that slot.
pub(super) fn to_end_of_slot(file: &[u8], offset: u64, bytes: &[u8]) -> Vec<u8> {
    let size = (file.len().saturating_sub(PAGE) / SLOTS).max(1);
    let at = usize::try_from(offset).unwrap_or(PAGE).saturating_sub(PAGE) % size;
    let mut all = bytes.to_vec();
    all.resize(bytes.len().max(size.saturating_sub(at)), UNUSED);
    all
}

/// A whole checkpoint as a delta behind the checkpoint before the newest, with its closing checksum
/// and unused bytes; `None` if there is none, or it does not fit.
pub(super) fn on_found(file: &[u8], store: StoreId, save: &Save<'_>) -> Option<Appended> {
    let there = There::all(file).into_iter().nth(1)?;
    let (bytes, deltas) = there.envelope_and_deltas();
    let base = Candidate { path: slot_file(), generation: None, bytes: Ok(bytes), deltas };
    let (_, base) = base.unseal(&PLAIN, store).ok()?;
    let (_, mut changed) = Checkpoint::unseal(&PLAIN, store, save.bytes).ok()?;
    let is_gone = |shard: &ShardId| changed.shard(*shard).is_none();
    let removed: Vec<ShardId> = base.shards.iter().map(|row| row.shard).filter(is_gone).collect();
    changed.shards.retain(|row| base.shard(row.shard) != Some(row));
    let Save { generation, confirmed, .. } = *save;
    let last = checksum(&there.slot[there.records.last()?.clone()]);
    let link = u32::from_str_radix(std::str::from_utf8(last).ok()?, 16).ok()?;
    let header = Header { store, generation, confirmed };
    let delta = DeltaHeader { header, base: there.generation, link };
    let record = changed.rows().seal_delta(&PLAIN, delta, &removed).ok()?;
    let mut behind = closing(&record);
    let length = (record.len() + behind.len()).next_multiple_of(ALIGN) - record.len();
    behind.resize(length, UNUSED);
    there.with(&record, &behind)
}

/// Writes it into the file that was found, and syncs that.
pub(super) fn write(disk: &SimDisk, appended: &Appended) -> Result<(), SaveError> {
    let in_doubt = |source| SaveError::InDoubt { act: "append to", path: slot_file(), source };
    let file = disk.open_write(&slot_file()).map_err(in_doubt)?;
    let mut written = 0;
    while written < appended.bytes.len() {
        let rest = &appended.bytes[written..];
        written += disk.write_at(&file, appended.at + written as u64, rest).map_err(in_doubt)?;
    }
    disk.sync_data(&file).map_err(in_doubt)
}
