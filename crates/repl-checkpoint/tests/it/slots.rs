//! The guarantees of a `SlotStore`, which writes its slots in place.

mod damage;
mod failing;
mod lengths;
mod moving;
mod power;
mod protocol;
mod refused;

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Generation, JsonCodec, OnCorrupt, RecoverError, Recovered, Source,
    recover,
};
use repl_core::{SeqNo, ShardId};

use crate::protocol::{open_slots as opened, save};
use crate::support::faulty::Faulty;
use crate::support::format::used;
use crate::support::{STORE, loaded};

type Slots = repl_checkpoint::SlotStore<Faulty>;

const FILE: &str = "/disk/marks/marks.slots";
const PAGE: usize = 4096;
const ONE: ShardId = ShardId(1);

/// A store in which this process has saved generations 1 to `newest`: 1 fills all slots of a new
/// file, 2 goes to slot 0, 3 to slot 1, 4 to slot 2.
fn with_saves(newest: Generation) -> (Faulty, Slots) {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    for generation in 1..=newest {
        save(&mut store, generation).unwrap();
    }
    disk.arm(None);
    (disk, store)
}

/// The disk after these saves, with the store closed.
fn after_saves(newest: Generation) -> Faulty {
    with_saves(newest).0
}

fn file(disk: &Faulty) -> Vec<u8> {
    disk.bytes(FILE).unwrap()
}

/// A disk with this slot file and nothing else.
fn with_file(bytes: &[u8]) -> Faulty {
    let disk = Faulty::new();
    disk.mkdir("/disk/marks");
    disk.put(FILE, bytes);
    disk
}

/// The generation in each slot, or `None` if the slot is damaged.
fn slots(bytes: &[u8]) -> Vec<Option<Generation>> {
    let size = (bytes.len() - PAGE) / 3;
    let generation = |slot: &[u8]| {
        Checkpoint::unseal(&JsonCodec, STORE, used(slot)).ok().map(|(header, _)| header.generation)
    };
    bytes[PAGE..].chunks(size).map(generation).collect()
}

fn try_recovered(disk: &Faulty, on_corrupt: OnCorrupt) -> Result<Recovered, RecoverError> {
    disk.arm(None);
    let found = recover(opened(disk).unwrap(), JsonCodec, &[ONE], on_corrupt);
    assert!(!disk.paths().iter().any(|p| p.contains("temp")), "a temp file outlived an open");
    found
}

fn recovered(disk: &Faulty) -> Recovered {
    try_recovered(disk, OnCorrupt::Fail).unwrap()
}

/// The recovered generation, or 0 for none, and the number of damaged ones reported above it.
/// Checks that the mark is the one saved as this generation.
fn found(recovered: &Recovered) -> (Generation, usize) {
    let found = match &recovered.report.source {
        Source::Fresh => (0, 0),
        Source::Resumed { generation } => (*generation, 0),
        Source::FellBack { generation, damaged } => (*generation, damaged.len()),
    };
    assert_eq!(mark(recovered), found.0 * 10);
    found
}

fn mark(recovered: &Recovered) -> SeqNo {
    recovered.state.applied_seqno(ONE).unwrap()
}

/// The generation that the next process finds, and the number of damaged ones above it.
fn found_on(disk: &Faulty) -> (Generation, usize) {
    found(&recovered(disk))
}

/// The whole generations that a load returns, in its order.
fn whole(store: &mut impl CheckpointStore) -> Vec<Generation> {
    let found = loaded(store).unwrap().into_iter();
    let opened = found.map(|c| Checkpoint::unseal(&JsonCodec, STORE, &c.bytes.unwrap()));
    opened.filter_map(|opened| Some(opened.ok()?.0.generation)).collect()
}
