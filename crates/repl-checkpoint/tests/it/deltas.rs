//! Deltas: how they are applied, and how a `SlotStore` saves and finds them.

mod applying;
mod damage;
mod power;
mod random;
mod records;
mod refused;
mod saving;
mod seen;

use repl_checkpoint::{
    Checkpoint, Generation, JsonCodec, OnCorrupt, RecoverError, Recovered, SlotStore, Source,
    recover,
};
use repl_core::ShardId;

use crate::protocol::open_slots;
use crate::support::deltas::{save_delta, save_whole};
use crate::support::faulty::Faulty;
use crate::support::marks;

const FILE: &str = "/disk/marks/marks.slots";
const PAGE: usize = 4096;
const SECTOR: usize = 512;
const ONE: ShardId = ShardId(1);
/// Enough shards for an envelope of some sectors.
const SHARDS: u64 = 60;

/// All shards, of which the first has the mark of a generation.
fn all(generation: Generation) -> Checkpoint {
    let others = (2..=SHARDS).map(|id| (id, 7));
    marks(&[(1, generation * 10)].into_iter().chain(others).collect::<Vec<_>>())
}

/// The first shard alone.
fn first(generation: Generation) -> Checkpoint {
    marks(&[(1, generation * 10)])
}

/// A store whose process has saved the generations 1 and 2 whole, and deltas up to `newest`.
///
/// 3 and 5 are behind 1 in slot 2, and 4 is behind 2 in slot 0. Slot 1 holds 1.
fn with_deltas(newest: Generation) -> (Faulty, SlotStore<Faulty>) {
    let disk = Faulty::new();
    let mut store = open_slots(&disk).unwrap();
    for generation in 1..=newest.min(2) {
        save_whole(&mut store, generation, &all(generation)).unwrap();
    }
    for generation in 3..=newest {
        save_delta(&mut store, generation, &first(generation), &[]).unwrap();
    }
    disk.arm(None);
    (disk, store)
}

fn file(disk: &Faulty) -> Vec<u8> {
    disk.bytes(FILE).unwrap()
}

fn slot_size(file: &[u8]) -> usize {
    (file.len() - PAGE) / 3
}

/// The offset of a slot.
fn slot_at(file: &[u8], slot: usize) -> usize {
    PAGE + slot * slot_size(file)
}

/// The generation and the offset in the file of each record in a slot, by the text of its header.
fn records(file: &[u8], slot: usize) -> Vec<(Generation, usize)> {
    let start = slot_at(file, slot);
    let at = (start..start + slot_size(file)).step_by(SECTOR);
    let record = |at: usize| {
        let text = String::from_utf8_lossy(&file[at..at + SECTOR]).into_owned();
        let is_record = text.starts_with("repl-checkpoint v2") && at == start
            || text.starts_with("repl-checkpoint delta v2");
        let (_, rest) = text.split_once(" generation=").filter(|_| is_record)?;
        Some((rest[..20].parse().unwrap(), at))
    };
    at.filter_map(record).collect()
}

/// The generations in each slot.
fn layout(disk: &Faulty) -> [Vec<Generation>; 3] {
    let file = file(disk);
    std::array::from_fn(|slot| records(&file, slot).into_iter().map(|(g, _)| g).collect())
}

fn with_file(bytes: &[u8]) -> Faulty {
    let disk = Faulty::new();
    disk.mkdir("/disk/marks");
    disk.put(FILE, bytes);
    disk
}

fn try_recovered(bytes: &[u8], on_corrupt: OnCorrupt) -> Result<Recovered, RecoverError> {
    let shards: Vec<ShardId> = (1..=SHARDS).map(ShardId).collect();
    recover(open_slots(&with_file(bytes)).unwrap(), JsonCodec, &shards, on_corrupt)
}

/// The generation that is found in a file, and the number of damaged ones above it. Checks marks.
fn found_in(bytes: &[u8], on_corrupt: OnCorrupt) -> (Generation, usize) {
    let found = try_recovered(bytes, on_corrupt).unwrap();
    let (generation, damaged) = match &found.report.source {
        Source::Fresh => panic!("nothing found"),
        Source::Resumed { generation } => (*generation, 0),
        Source::FellBack { generation, damaged } => (*generation, damaged.len()),
    };
    assert_eq!(found.state.applied_seqno(ONE), Some(generation * 10));
    let others = (2..=SHARDS).map(|id| found.state.applied_seqno(ShardId(id)));
    assert!(others.into_iter().all(|mark| mark == Some(7)));
    (generation, damaged)
}
