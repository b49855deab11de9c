//! What depends on the number of shards: looking one up, adding and removing, snapshots after
//! changes, and waiting.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::cell::Cell;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use benches::rounds::{contender, criterion_over_sizes, rounds_at};
use benches::{baseline, random, state_of, wide_ids};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use repl_core::{NewShard, ReplicationState, ShardId};
use tokio::sync::watch;

const SHARDS: [u64; 6] = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

/// The number of operations in one iteration.
const BATCH: usize = 256;

/// Ids in random order, many more than a cache holds of what they lead to.
struct Picks {
    ids: Vec<ShardId>,
    at: Cell<usize>,
}

impl Picks {
    fn of(ids: &[ShardId]) -> Self {
        let mut number = random();
        let mut pick = || ids[usize::try_from(number() % ids.len() as u64).unwrap()];
        Picks { ids: (0..1 << 16).map(|_| pick()).collect(), at: Cell::new(0) }
    }

    fn batch<T>(&self, mut f: impl FnMut(ShardId) -> T) {
        let at = self.at.get();
        self.at.set((at + BATCH) % self.ids.len());
        for id in &self.ids[at..at + BATCH] {
            black_box(f(*id));
        }
    }
}

/// Reads by id, while nothing else runs and while another thread adds a shard every millisecond.
fn read_by_id(c: &mut Criterion) {
    for shards in SHARDS {
        let ids = wide_ids(shards);
        let picks = Picks::of(&ids);
        let theirs = baseline::Marks::new(&ids);
        let state = state_of(&ids);
        let (adds, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|s| {
            s.spawn(|| add_every_millisecond(&state, &adds, &stop));
            let ours = |b: &mut Bencher<'_>, adding| {
                adds.store(adding, Ordering::Relaxed);
                b.iter(|| picks.batch(|id| state.applied_seqno(id)));
                adds.store(false, Ordering::Relaxed);
            };
            let theirs =
                || contender("baseline", |b| b.iter(|| picks.batch(|id| theirs.applied(id))));
            let quiet = vec![contender("ours", |b| ours(b, false)), theirs()];
            rounds_at(c, "read_by_id_over_shards", shards, quiet);
            let adding = contender("ours", |b| ours(b, true));
            let quiet = contender("quiet", |b| ours(b, false));
            rounds_at(c, "read_by_id_adding", shards, vec![adding, quiet, theirs()]);
            stop.store(true, Ordering::Relaxed);
        });
    }
}

fn add_every_millisecond(state: &ReplicationState, adds: &AtomicBool, stop: &AtomicBool) {
    // Above all ids of `wide_ids`, but for few.
    let mut next = (1..).map(|i| ShardId(u64::MAX - i * 7919));
    let mut added = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if adds.load(Ordering::Relaxed) {
            let new = next.next().unwrap();
            if state.add_shard(NewShard::new(new)).is_ok() {
                added.push(new);
            }
        } else if !added.is_empty() {
            state.remove_shards(&added);
            added.clear();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Adds a shard and removes another, both random.
fn add_remove(c: &mut Criterion) {
    for shards in SHARDS {
        let ids = wide_ids(shards);
        let state = state_of(&ids);
        let locked = baseline::Locked::new(&ids);
        let papaya: papaya::HashMap<ShardId, Arc<AtomicU64>> =
            ids.iter().map(|id| (*id, Arc::default())).collect();
        let ours = changes(&ids, |add, remove| {
            state.add_shard(NewShard::new(add)).unwrap();
            state.remove_shard(remove).unwrap();
        });
        let locked = changes(&ids, |add, remove| {
            locked.add(add);
            locked.remove(remove);
        });
        let papaya = changes(&ids, |add, remove| {
            papaya.pin().insert(add, Arc::default());
            papaya.pin().remove(&remove);
        });
        let all =
            vec![contender("ours", ours), contender("locked", locked), contender("papaya", papaya)];
        rounds_at(c, "add_remove_over_shards", shards, all);
    }
}

/// The same, vs a copy of the whole map: in larger maps it takes minutes.
fn add_remove_copied(c: &mut Criterion) {
    for shards in SHARDS.into_iter().filter(|shards| *shards <= 65_536) {
        let ids = wide_ids(shards);
        let state = state_of(&ids);
        let copied = baseline::Copied::new(&ids);
        let ours = changes(&ids, |add, remove| {
            state.add_shard(NewShard::new(add)).unwrap();
            state.remove_shard(remove).unwrap();
        });
        let copied = changes(&ids, |add, remove| {
            copied.add(add);
            copied.remove(remove);
        });
        let both = vec![contender("ours", ours), contender("copied", copied)];
        rounds_at(c, "add_remove_copied", shards, both);
    }
}

/// Calls `change` with a new id and one that was added before.
fn changes(ids: &[ShardId], change: impl Fn(ShardId, ShardId)) -> impl FnMut(&mut Bencher<'_>) {
    let mut number = random();
    let mut present = ids.to_vec();
    move |b| {
        b.iter(|| {
            let new = ShardId(number());
            let at = usize::try_from(number() % present.len() as u64).unwrap();
            change(new, std::mem::replace(&mut present[at], new));
        });
    }
}

/// Snapshots after 1,000 shards were removed and others added, all random.
fn snapshot_changed(c: &mut Criterion) {
    for shards in SHARDS {
        let mut ids = wide_ids(shards);
        let (state, unchanged) = (state_of(&ids), state_of(&ids));
        let locked = baseline::Locked::new(&ids);
        let mut number = random();
        for _ in 0..500 {
            let new = ShardId(number());
            let at = usize::try_from(number() % shards).unwrap();
            let old = std::mem::replace(&mut ids[at], new);
            state.add_shard(NewShard::new(new)).unwrap();
            state.remove_shard(old).unwrap();
            locked.add(new);
            locked.remove(old);
        }
        rounds_at(
            c,
            "snapshot_changed_over_shards",
            shards,
            vec![
                contender("ours", |b| b.iter(|| state.snapshot())),
                contender("unchanged", |b| b.iter(|| unchanged.snapshot())),
                contender("baseline", |b| b.iter(|| locked.snapshot())),
            ],
        );
    }
}

/// A wait for the next seqno of a random shard that the advance of that shard ends, vs a tokio watch
/// for each shard.
fn waiting(c: &mut Criterion) {
    for shards in SHARDS {
        let ids = wide_ids(shards);
        let state = state_of(&ids);
        let handles: Vec<_> = ids.iter().map(|id| state.shard(*id).unwrap()).collect();
        let watches: Vec<_> = ids.iter().map(|_| watch::channel(0_u64).0).collect();
        let mut number = random();
        let mut next = move || usize::try_from(number() % shards).unwrap();
        let mut other = next.clone();
        let mut context = Context::from_waker(Waker::noop());
        let mut context_too = Context::from_waker(Waker::noop());
        rounds_at(
            c,
            "waiting_over_shards",
            shards,
            vec![
                contender("ours", |b| {
                    b.iter(|| {
                        let shard = &handles[next()];
                        let seqno = shard.applied() + 1;
                        let mut reached = shard.reached(seqno);
                        assert!(Pin::new(&mut reached).poll(&mut context).is_pending());
                        shard.advance(seqno);
                        Pin::new(&mut reached).poll(&mut context).is_ready()
                    });
                }),
                contender("tokio_watch", |b| {
                    b.iter(|| {
                        let watch = &watches[other()];
                        let mut receiver = watch.subscribe();
                        let mut changed = std::pin::pin!(receiver.changed());
                        assert!(changed.as_mut().poll(&mut context_too).is_pending());
                        watch.send_modify(|mark| *mark += 1);
                        changed.as_mut().poll(&mut context_too).is_ready()
                    });
                }),
            ],
        );
    }
}

criterion_group! {
    name = scale;
    config = criterion_over_sizes();
    targets = read_by_id, add_remove, add_remove_copied, snapshot_changed, waiting
}
criterion_main!(scale);
