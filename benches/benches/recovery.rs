//! Recovery of many shards, vs decoding the bytes that were saved into a map: the file is in the page
//! cache, and the map's bytes are in memory.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::collections::HashMap;
use std::path::Path;

use benches::rounds::{ROUNDS_OVER_SIZES, contender, criterion, rounds_of};
use benches::{dense_ids, mark};
use bincode::serde::decode_from_slice;
use criterion::{BatchSize, Bencher, Criterion, criterion_group, criterion_main};
use repl_checkpoint::{
    BincodeCodec, CheckpointStore, Codec, FileStore, OnCorrupt, Rows, ShardCheckpoint, SlotStore,
    StoreId, Track, recover,
};
use repl_core::{Incarnation, SeqNo, ShardId};
use serde::de::DeserializeOwned;

const SHARDS: u64 = 1 << 20;

/// Saves in a new store, so that each slot holds a checkpoint. Returns the payload of the last.
fn saved(store: impl CheckpointStore + 'static, ids: &[ShardId]) -> Vec<u8> {
    let mut follower = recover(store, BincodeCodec, ids, OnCorrupt::Fail).unwrap();
    for save in 0..3 {
        for (i, id) in (0..).zip(ids) {
            follower.state.advance(*id, mark(i) + save);
        }
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
    let mut payload = Vec::new();
    let snapshot = follower.state.snapshot();
    BincodeCodec.encode(&mut Rows::of(&snapshot), &mut payload).unwrap();
    payload
}

/// Recovers from a store that `open` opens. Dropping the state is not measured.
fn recovering<S: CheckpointStore + 'static>(
    open: impl Fn() -> S,
    track: impl Fn() -> Track,
) -> impl FnMut(&mut Bencher<'_>) {
    move |b| {
        let recovered = |()| recover(open(), BincodeCodec, track(), OnCorrupt::Fail).unwrap();
        b.iter_batched(|| (), recovered, BatchSize::PerIteration);
    }
}

/// Makes a map of the marks. Dropping it is not measured.
fn mapping(map: impl Fn() -> HashMap<ShardId, SeqNo>) -> impl FnMut(&mut Bencher<'_>) {
    move |b| b.iter_batched(|| (), |()| map(), BatchSize::PerIteration)
}

/// Without room reserved: here that is faster than with it.
fn bincode_map(payload: &[u8]) -> HashMap<ShardId, SeqNo> {
    let (mut rest, mut marks) = (payload, HashMap::new());
    let (_, count): (Incarnation, u64) = read(&mut rest);
    for _ in 0..count {
        let row: ShardCheckpoint = read(&mut rest);
        marks.insert(row.shard, row.mark);
    }
    marks
}

fn read<T: DeserializeOwned>(rest: &mut &[u8]) -> T {
    let (value, length) = decode_from_slice(rest, bincode::config::legacy()).unwrap();
    *rest = &rest[length..];
    value
}

fn codec_map(payload: &[u8]) -> HashMap<ShardId, SeqNo> {
    let mut marks = HashMap::new();
    let mut insert = |row: ShardCheckpoint| {
        marks.insert(row.shard, row.mark);
    };
    BincodeCodec.decode(payload, &mut insert).unwrap();
    marks
}

fn recovery(c: &mut Criterion) {
    let ids = dense_ids(SHARDS);
    // In the build folder, as the folder for temporary files may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [in_slots, in_files] = ["slots", "files"].map(|name| dir.path().join(name));
    let slots = || slots(&in_slots);
    let files = || FileStore::open(&in_files, StoreId::UNNAMED).unwrap();
    let payload = saved(slots(), &ids);
    assert_eq!(saved(files(), &ids), payload);
    let by_id = || Track::only(&ids);
    let peers = || {
        [
            contender("bincode_map", mapping(|| bincode_map(&payload))),
            contender("codec_map", mapping(|| codec_map(&payload))),
        ]
    };
    let mut measured = |work, ours| {
        let contenders = [ours].into_iter().chain(peers()).collect();
        rounds_of(c, ROUNDS_OVER_SIZES, work, contenders);
    };
    measured("recover_slots_by_id", contender("ours", recovering(slots, by_id)));
    measured("recover_slots_all", contender("ours", recovering(slots, Track::all)));
    measured("recover_files_all", contender("ours", recovering(files, Track::all)));
}

fn slots(dir: &Path) -> SlotStore {
    SlotStore::open(dir, StoreId::UNNAMED).unwrap()
}

/// Fewer samples, and fewer rounds, as one recovery takes a tenth of a second.
fn slow() -> Criterion {
    criterion().sample_size(10)
}

criterion_group! { name = recoveries; config = slow(); targets = recovery }
criterion_main!(recoveries);
