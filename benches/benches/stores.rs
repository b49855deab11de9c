//! Saves to a `SlotStore`, vs the bare calls and a `FileStore`; and whole checkpoints, vs durable
//! commits of the same marks in embedded databases.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::time::Duration;

use benches::databases::{Fjall, Redb, Sqlite};
use benches::rounds::{Contender, contender, criterion, rounds};
use benches::{bare, dense_ids, state_of};
use criterion::{Criterion, criterion_group, criterion_main};
use repl_checkpoint::{
    Checkpoint, CheckpointStore, FileStore, Header, JsonCodec, NoSync, OnCorrupt, Recovered, Save,
    SlotStore, StoreId, recover,
};
use repl_core::{ReplicationState, ShardId, Snapshot};
use tempfile::TempDir;

const SIZES: [u64; 3] = [16, 1024, 65_536];

/// In the build folder, as the folder for temporary files may be in memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Saves of the same sealed bytes.
fn save(c: &mut Criterion) {
    for shards in SIZES {
        let checkpoint = Checkpoint::of(&state_of(&dense_ids(shards)).snapshot());
        let bytes = checkpoint.seal(&JsonCodec, Header::default()).unwrap();
        let dir = folder();
        let mut slots = SlotStore::open(dir.path().join("slots"), StoreId::UNNAMED).unwrap();
        let mut files = FileStore::open(dir.path().join("files"), StoreId::UNNAMED).unwrap();
        let mut bare = bare::InPlace::new(&dir.path().join("bare"), bytes.len()).unwrap();
        let (mut slot_generation, mut file_generation) = (0, 0);
        rounds(
            c,
            &format!("slot_save_{shards}"),
            vec![
                contender("ours", |b| {
                    b.iter(|| save_next(&mut slots, &mut slot_generation, &bytes));
                }),
                contender("pwrite_fdatasync", |b| {
                    b.iter(|| bare.save(&bytes).unwrap());
                }),
                contender("file_store", |b| {
                    b.iter(|| save_next(&mut files, &mut file_generation, &bytes));
                }),
            ],
        );
    }
}

fn save_next(store: &mut impl CheckpointStore, generation: &mut u64, bytes: &[u8]) {
    *generation += 1;
    let save = Save { generation: *generation, confirmed: *generation - 1, bytes, base: None };
    store.save(save).unwrap();
}

/// Saves without syncs, vs a write of the same bytes.
fn unsynced(c: &mut Criterion) {
    let dir = folder();
    let checkpoint = Checkpoint::of(&state_of(&dense_ids(16)).snapshot());
    let bytes = checkpoint.seal(&JsonCodec, Header::default()).unwrap();
    let path = dir.path().join("slots");
    let mut slots = SlotStore::open_on(NoSync, &path, StoreId::UNNAMED).unwrap();
    let mut bare = bare::InPlace::new(&dir.path().join("bare"), bytes.len()).unwrap();
    let mut generation = 0;
    let contenders = vec![
        contender("ours", |b| b.iter(|| save_next(&mut slots, &mut generation, &bytes))),
        contender("pwrite", |b| b.iter(|| bare.write(&bytes).unwrap())),
    ];
    rounds(c, "unsynced_16", contenders);
}

/// Moves every mark and makes it durable. Ours includes snapshot, encode, seal and save.
fn commit(c: &mut Criterion) {
    for shards in SIZES {
        let dir = folder();
        let ids = dense_ids(shards);
        let slots = SlotStore::open(dir.path().join("slots"), StoreId::UNNAMED).unwrap();
        let mut slots = recover(slots, JsonCodec, &ids, OnCorrupt::Fail).unwrap();
        let files = FileStore::open(dir.path().join("files"), StoreId::UNNAMED).unwrap();
        let mut files = recover(files, JsonCodec, &ids, OnCorrupt::Fail).unwrap();
        let state = state_of(&ids);
        let mut sqlite = Sqlite::new(dir.path(), &state.snapshot()).unwrap();
        let mut redb = Redb::new(dir.path()).unwrap();
        let mut fjall = Fjall::new(dir.path()).unwrap();
        let (mut slots_at, mut files_at) = (1_000_000, 1_000_000);
        let contenders = vec![
            contender("ours", |b| b.iter(|| checkpoint(&mut slots, &ids, &mut slots_at))),
            contender("file_store", |b| b.iter(|| checkpoint(&mut files, &ids, &mut files_at))),
            database("sqlite", &ids, |marks| sqlite.commit(marks).unwrap()),
            database("redb", &ids, |marks| redb.commit(marks).unwrap()),
            database("fjall", &ids, |marks| fjall.commit(marks).unwrap()),
        ];
        rounds(c, &format!("commit_{shards}"), contenders);
    }
}

fn checkpoint(follower: &mut Recovered, ids: &[ShardId], at: &mut u64) {
    move_all(&follower.state, ids, at);
    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
}

/// A database that commits a snapshot of all marks.
fn database<'a>(
    name: &'a str,
    ids: &'a [ShardId],
    mut commit: impl FnMut(&Snapshot) + 'a,
) -> Contender<'a> {
    let state = state_of(ids);
    let mut at = 1_000_000;
    contender(name, move |b| {
        b.iter(|| {
            move_all(&state, ids, &mut at);
            commit(&state.snapshot());
        });
    })
}

fn move_all(state: &ReplicationState, ids: &[ShardId], at: &mut u64) {
    *at += 1;
    for id in ids {
        state.advance(*id, *at);
    }
}

/// Longer measurements, as syncs take milliseconds and vary.
fn slow() -> Criterion {
    criterion().measurement_time(Duration::from_secs(1))
}

/// Fewer samples, as a commit may take a large part of a second.
fn slower() -> Criterion {
    slow().sample_size(10)
}

criterion_group! { name = saves; config = slow(); targets = save, unsynced }
criterion_group! { name = commits; config = slower(); targets = commit }
criterion_main!(saves, commits);
