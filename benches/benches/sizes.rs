//! Snapshots, encoding and saves over the number of shards.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;

use benches::rounds::{contender, criterion_over_sizes, rounds_at};
use benches::{bare, baseline, dense_ids, state_of};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use repl_checkpoint::{
    BincodeCodec, Checkpoint, CheckpointStore, FileStore, Header, JsonCodec, Save, StoreId,
};

/// The powers of 16 up to a million.
const SHARDS: [u64; 6] = [1, 16, 256, 4096, 65_536, 1_048_576];

fn snapshot(c: &mut Criterion) {
    for shards in SHARDS {
        let ids = dense_ids(shards);
        let ours = state_of(&ids);
        let theirs = baseline::Marks::new(&ids);
        rounds_at(
            c,
            "snapshot_over_shards",
            shards,
            vec![
                contender("ours", |b| b.iter(|| ours.snapshot())),
                contender("baseline", |b| b.iter(|| theirs.snapshot())),
            ],
        );
    }
}

/// Encoding and sealing, vs `serde_json` of the baseline's map, without a checksum, and vs copying
/// and checksumming the bytes of bincode.
fn encode(c: &mut Criterion) {
    for shards in SHARDS {
        let snapshot = state_of(&dense_ids(shards)).snapshot();
        let checkpoint = Checkpoint::of(&snapshot);
        let map: HashMap<u64, u64> = snapshot.iter().map(|(id, mark)| (id.0, mark)).collect();
        let header = Header { generation: 1, ..Header::default() };
        let sealed = checkpoint.seal(&BincodeCodec, header).unwrap();
        rounds_at(
            c,
            "encode_over_shards",
            shards,
            vec![
                contender("json", |b| {
                    b.iter(|| black_box(&checkpoint).seal(&JsonCodec, header).unwrap());
                }),
                contender("bincode", |b| {
                    b.iter(|| black_box(&checkpoint).seal(&BincodeCodec, header).unwrap());
                }),
                contender("baseline", |b| {
                    b.iter(|| baseline::Marks::encode(black_box(&map)).unwrap());
                }),
                contender("memcpy_crc32c", |b| {
                    b.iter(|| bare::copy_and_checksum(black_box(&sealed)));
                }),
            ],
        );
    }
}

/// Saving sealed checkpoints, vs the bare system calls.
fn save(c: &mut Criterion) {
    for shards in SHARDS {
        let checkpoint = Checkpoint::of(&state_of(&dense_ids(shards)).snapshot());
        let json = checkpoint.seal(&JsonCodec, Header::default()).unwrap();
        let bincode = checkpoint.seal(&BincodeCodec, Header::default()).unwrap();
        // In the build folder, as the folder for temporary files may be in memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |name: &str| dir.path().join(name);
        rounds_at(
            c,
            "save_over_shards",
            shards,
            vec![
                contender("json", save_ours(&at("json"), &json)),
                contender("bare_json", save_bare(&at("bare_json"), &json)),
                contender("bincode", save_ours(&at("bincode"), &bincode)),
                contender("bare_bincode", save_bare(&at("bare_bincode"), &bincode)),
            ],
        );
    }
}

fn save_ours<'a>(dir: &Path, bytes: &'a [u8]) -> impl FnMut(&mut Bencher<'_>) + 'a {
    let mut store = FileStore::open(dir, StoreId::UNNAMED).unwrap();
    let mut generation = 0;
    move |b| {
        b.iter(|| {
            generation += 1;
            let save = Save { generation, confirmed: generation - 1, bytes, base: None };
            store.save(save).unwrap();
        });
    }
}

fn save_bare<'a>(dir: &Path, bytes: &'a [u8]) -> impl FnMut(&mut Bencher<'_>) + 'a {
    let mut saves = bare::Saves::new(dir).unwrap();
    move |b| b.iter(|| saves.save(bytes).unwrap())
}

criterion_group! {
    name = sizes;
    config = criterion_over_sizes();
    targets = snapshot, encode, save
}
criterion_main!(sizes);
