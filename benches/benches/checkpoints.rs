//! Encoding, decoding and saving checkpoints: ours, the baseline, and the bare work.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use benches::rounds::{contender, criterion, rounds};
use benches::{bare, baseline, dense_ids, state_of, wide_ids};
use criterion::{Criterion, criterion_group, criterion_main};
use repl_checkpoint::{
    BincodeCodec, Checkpoint, CheckpointStore, FileStore, Header, JsonCodec, Save, StoreId,
};

const SHARDS: u64 = 65_536;

/// Encoding and sealing, vs copying and checksumming the same bytes.
fn encode(c: &mut Criterion) {
    let checkpoint = Checkpoint::of(&state_of(&dense_ids(SHARDS)).snapshot());
    let header = Header { generation: 1, ..Header::default() };
    let sealed = checkpoint.seal(&BincodeCodec, header).unwrap();
    rounds(
        c,
        "bincode_seal_65536",
        vec![
            contender("ours", |b| {
                b.iter(|| black_box(&checkpoint).seal(&BincodeCodec, header).unwrap());
            }),
            contender("memcpy_crc32c", |b| {
                b.iter(|| bare::copy_and_checksum(black_box(&sealed)));
            }),
        ],
    );
}

/// Opening and decoding with every check, vs `serde_json` into the baseline's map.
fn decode(c: &mut Criterion) {
    for (name, ids) in [("dense", dense_ids(SHARDS)), ("wide", wide_ids(SHARDS))] {
        let snapshot = state_of(&ids).snapshot();
        let header = Header { generation: 1, ..Header::default() };
        let sealed = Checkpoint::of(&snapshot).seal(&JsonCodec, header).unwrap();
        let map: HashMap<u64, u64> = snapshot.iter().map(|(id, mark)| (id.0, mark)).collect();
        let json = baseline::Marks::encode(&map).unwrap();
        rounds(
            c,
            &format!("json_open_65536_{name}"),
            vec![
                contender("ours", |b| {
                    b.iter(|| {
                        Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, black_box(&sealed))
                            .unwrap()
                    });
                }),
                contender("baseline", |b| {
                    b.iter(|| baseline::Marks::decode(black_box(&json)).unwrap());
                }),
            ],
        );
    }
}

/// A save of 1,024 shards, vs its bare system calls.
fn save(c: &mut Criterion) {
    let checkpoint = Checkpoint::of(&state_of(&dense_ids(1024)).snapshot());
    let bytes = checkpoint.seal(&JsonCodec, Header::default()).unwrap();
    // In the build folder, as the folder for temporary files may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut store = FileStore::open(dir.path().join("ours"), StoreId::UNNAMED).unwrap();
    let mut generation = 0;
    let mut bare = bare::Saves::new(&dir.path().join("bare")).unwrap();
    rounds(
        c,
        "file_save_1024",
        vec![
            contender("ours", |b| {
                b.iter(|| save_next(&mut store, &mut generation, &bytes));
            }),
            contender("bare_system_calls", |b| {
                b.iter(|| bare.save(&bytes).unwrap());
            }),
        ],
    );
}

fn save_next(store: &mut impl CheckpointStore, generation: &mut u64, bytes: &[u8]) {
    *generation += 1;
    let save = Save { generation: *generation, confirmed: *generation - 1, bytes, base: None };
    store.save(save).unwrap();
}

/// Longer measurements, as syncs take milliseconds and vary.
fn slow() -> Criterion {
    criterion().measurement_time(Duration::from_secs(1))
}

criterion_group! { name = bytes; config = criterion(); targets = encode, decode }
criterion_group! { name = saves; config = slow(); targets = save }
criterion_main!(bytes, saves);
