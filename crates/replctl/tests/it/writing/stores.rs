//! Stores, whole and damaged.

use std::fs;
use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, OnCorrupt, Recovered, SlotStore, StoreId, Track, peek,
    recover,
};
use repl_core::{EpochStart, LogId, NewShard, ShardId};

use crate::support::Unknown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Files,
    Slots,
}

const ID: StoreId = StoreId(7);
const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

fn open(path: &Path, kind: Kind) -> Recovered {
    let store: Box<dyn CheckpointStore> = match kind {
        Kind::Files => Box::new(FileStore::open(path, ID).unwrap()),
        Kind::Slots => Box::new(SlotStore::open(path, ID).unwrap()),
    };
    let epochs = [EpochStart { epoch: 0, first: 1 }, EpochStart { epoch: 3, first: 40 }];
    let one = NewShard::new(ONE)
        .with_log(LogId(0x0123_4567_89ab_cdef))
        .with_epochs(repl_core::Epochs::new(epochs).unwrap());
    let track = Track::all().or_start([one, NewShard::new(TWO)]);
    recover(store, JsonCodec, track, OnCorrupt::Fail).unwrap()
}

fn save(follower: &mut Recovered, mark: u64) {
    follower.state.advance(ONE, mark);
    follower.state.advance(TWO, 7);
    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
}

/// Makes a store of two shards, the first at 42, and returns it open.
pub(super) fn make(path: &Path, kind: Kind) -> Recovered {
    let mut follower = open(path, kind);
    (40..=42).for_each(|mark| save(&mut follower, mark));
    follower
}

/// The same with completed ranges above the mark, closed.
pub(super) fn make_with_ranges(path: &Path, kind: Kind) {
    let mut follower = open(path, kind);
    let shard = follower.state.shard(ONE).unwrap();
    shard.complete(44);
    shard.complete(46..=50);
    (40..=42).for_each(|mark| save(&mut follower, mark));
}

/// Changes a digit in the header of the newest checkpoint that is whole.
pub(super) fn damage_newest(path: &Path) {
    let newest = peek(path).unwrap();
    let mut bytes = fs::read(&newest.path).unwrap();
    let text = format!(" generation={:020} ", newest.header.generation).into_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(text.len()).position(|found| found == text) {
        at += found + text.len();
        bytes[at - 2] ^= 0x10;
    }
    fs::write(&newest.path, bytes).unwrap();
}

/// Takes the last byte away. The header stays right.
pub(super) fn cut_off(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

/// Makes the files of another store.
pub(super) fn make_of(id: StoreId, path: &Path) {
    let store = FileStore::open(path, id).unwrap();
    let mut follower = recover(store, JsonCodec, &[ONE, TWO], OnCorrupt::Fail).unwrap();
    save(&mut follower, 42);
}

pub(super) fn make_of_other_codec(path: &Path) {
    let store = FileStore::open(path, ID).unwrap();
    let mut follower = recover(store, Unknown, &[ONE, TWO], OnCorrupt::Fail).unwrap();
    save(&mut follower, 42);
}
