//! Saves after one mark has moved, vs the bare work and a durable commit of that row in embedded
//! databases; saves after every mark has moved; and finding what changed.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::databases::{Fjall, Redb, Sqlite};
use benches::rounds::{
    Contender, ROUNDS, ROUNDS_OF_SAVES, contender, criterion, criterion_over_sizes, rounds,
    rounds_of,
};
use benches::{bare, dense_ids, random, state_of};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use repl_checkpoint::{JsonCodec, OnCorrupt, Recovered, SlotStore, StoreId, recover};
use repl_core::{NewShard, ReplicationState, ShardId, Snapshot};
use tempfile::TempDir;

const SIZES: [u64; 3] = [1024, 65_536, 1_048_576];
const PAGE: usize = 4096;

/// In the build folder, as the folder for temporary files may be in memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The whole comparison of the marks of two snapshots of one state.
fn slices(now: &Snapshot, old: &Snapshot) -> bool {
    now.marks() == old.marks()
}

/// What changed between two snapshots, vs a comparison of their marks alone.
fn changes(c: &mut Criterion) {
    for shards in SIZES {
        let state = state_of(&dense_ids(shards));
        let (old, same) = (state.snapshot(), state.snapshot());
        state.advance(ShardId(shards / 2), 1_000_000_000);
        let moved = state.snapshot();
        let with_added = state_of(&dense_ids(shards - 1));
        let before = with_added.snapshot();
        with_added.add_shard(NewShard::new(ShardId(shards * 2))).unwrap();
        let added = with_added.snapshot();
        let of = |now: &Snapshot, old: &Snapshot| {
            assert_eq!(black_box(now).changes_since(black_box(old)).count(), 1);
        };
        let both = |b: &mut Bencher<'_>| b.iter(|| assert!(slices(black_box(&same), &old)));
        let ours = contender("ours", |b| b.iter(|| of(&moved, &old)));
        rounds(c, &format!("changes_moved_{shards}"), vec![ours, contender("slices", both)]);
        let ours = contender("ours", |b| b.iter(|| of(&added, &before)));
        rounds(c, &format!("changes_added_{shards}"), vec![ours, contender("slices", both)]);
    }
}

/// A follower of many shards, in a `SlotStore`, whose next save may be a delta.
struct Follower {
    inner: Recovered,
    ids: Vec<ShardId>,
    at: u64,
}

impl Follower {
    fn new(dir: &TempDir, shards: u64) -> Self {
        let ids = dense_ids(shards);
        let store = SlotStore::open(dir.path().join("slots"), StoreId::UNNAMED).unwrap();
        let inner = recover(store, JsonCodec, &ids, OnCorrupt::Fail).unwrap();
        let mut follower = Follower { inner, ids, at: 1_000_000 };
        follower.move_all();
        (0..2).for_each(|_| follower.save());
        follower
    }

    fn move_one(&mut self, random: u64) {
        self.at += 1;
        let place = usize::try_from(random % self.ids.len() as u64).unwrap();
        self.inner.state.advance(self.ids[place], self.at);
    }

    fn move_all(&mut self) {
        self.at += 1;
        move_all(&self.inner.state, &self.ids, self.at);
    }

    fn save(&mut self) {
        self.inner.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}

fn move_all(state: &ReplicationState, ids: &[ShardId], at: u64) {
    for id in ids {
        state.advance(*id, at);
    }
}

/// Moves one mark and saves, vs the same move, a snapshot, a comparison of the marks, and a bare
/// write of one page.
fn one_moved(c: &mut Criterion, sizes: &[u64], number_of_rounds: u32) {
    for &shards in sizes {
        let dir = folder();
        let mut follower = Follower::new(&dir, shards);
        let mut number = random();
        let state = Arc::clone(&follower.inner.state);
        let (old, same) = (state.snapshot(), state.snapshot());
        let page = vec![b' '; PAGE];
        let mut whole_bare = bare::InPlace::new(&dir.path().join("whole_bare"), PAGE).unwrap();
        let mut write = bare::InPlace::new(&dir.path().join("write"), PAGE).unwrap();
        let (other, mut place) = (state_of(&follower.ids), random());
        let mut at = 1_000_000;
        let pass = || {
            black_box(other.snapshot());
            assert!(slices(black_box(&same), black_box(&old)));
        };
        let mut contenders = vec![
            contender("ours", |b| {
                b.iter(|| {
                    follower.move_one(number());
                    follower.save();
                });
            }),
            contender("bare", |b| {
                b.iter(|| {
                    at += 1;
                    other.advance(ShardId(place() % shards), at);
                    pass();
                    whole_bare.save(&page).unwrap();
                });
            }),
            contender("pwrite_fdatasync", |b| b.iter(|| write.save(&page).unwrap())),
        ];
        if shards == 1024 {
            let mut sqlite = Sqlite::new(dir.path(), &old).unwrap();
            let mut redb = Redb::new(dir.path()).unwrap();
            let mut fjall = Fjall::new(dir.path()).unwrap();
            redb.commit(&old).unwrap();
            fjall.commit(&old).unwrap();
            contenders.push(row("sqlite", shards, move |row| sqlite.commit(row).unwrap()));
            contenders.push(row("redb", shards, move |row| redb.commit(row).unwrap()));
            contenders.push(row("fjall", shards, move |row| fjall.commit(row).unwrap()));
        }
        // Last, so that what a database does in the background ends before the next round of saves.
        contenders.push(contender("snapshot_and_slices", |b| b.iter(pass)));
        rounds_of(c, number_of_rounds, &format!("save_one_moved_{shards}"), contenders);
    }
}

fn one_of_few_moved(c: &mut Criterion) {
    one_moved(c, &SIZES[..1], ROUNDS_OF_SAVES);
}

fn one_of_many_moved(c: &mut Criterion) {
    one_moved(c, &SIZES[1..], ROUNDS);
}

/// A database that commits one row.
fn row<'a>(name: &'a str, shards: u64, mut commit: impl FnMut(&Snapshot) + 'a) -> Contender<'a> {
    let (mut number, mut at) = (random(), 1_000_000);
    contender(name, move |b| {
        b.iter(|| {
            at += 1;
            commit(&Snapshot::from_iter([(ShardId(number() % shards), at)]));
        });
    })
}

/// Moves every mark and saves.
fn all_moved(c: &mut Criterion) {
    for shards in SIZES {
        let dir = folder();
        let mut follower = Follower::new(&dir, shards);
        let ours = contender("ours", |b| {
            b.iter(|| {
                follower.move_all();
                follower.save();
            });
        });
        rounds(c, &format!("save_all_moved_{shards}"), vec![ours]);
    }
}

/// Longer measurements, as syncs take milliseconds and vary, and fewer samples.
fn slow() -> Criterion {
    criterion().measurement_time(Duration::from_millis(500)).sample_size(10)
}

criterion_group! { name = passes; config = criterion(); targets = changes }
criterion_group! { name = short; config = criterion_over_sizes(); targets = one_of_few_moved }
criterion_group! { name = saves; config = slow(); targets = one_of_many_moved, all_moved }
criterion_main!(passes, short, saves);
