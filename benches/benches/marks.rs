//! Reading, advancing and snapshotting marks: ours, the baseline, and raw atomics.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::rounds::{contender, criterion, rounds};
use benches::{baseline, dense_ids, mark, state_of, wide_ids};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use repl_core::{NewShard, ReplicationState, ShardId};

/// The number of operations in one iteration, so that the loop of the harness costs nothing.
const BATCH: u64 = 256;

fn read_handle(c: &mut Criterion) {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let raw = CachePadded::new(AtomicU64::new(0));
    rounds(
        c,
        "read",
        vec![
            contender("ours", |b| {
                b.iter(|| batch(|_| black_box(&shard).applied()));
            }),
            contender("raw_load", |b| {
                b.iter(|| batch(|_| black_box(&raw).load(Ordering::Acquire)));
            }),
        ],
    );
}

fn advance_handle(c: &mut Criterion) {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let raw = CachePadded::new(AtomicU64::new(0));
    let (mut ours, mut theirs) = (0, 0);
    rounds(
        c,
        "advance",
        vec![
            contender("ours", |b| {
                b.iter(|| {
                    batch(|_| {
                        ours += 1;
                        black_box(&shard).advance(ours).is_advanced()
                    });
                });
            }),
            contender("raw_fetch_max", |b| {
                b.iter(|| {
                    batch(|_| {
                        theirs += 1;
                        black_box(&raw).fetch_max(theirs, Ordering::AcqRel)
                    });
                });
            }),
        ],
    );
}

fn stale_advance(c: &mut Criterion) {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    shard.advance(BATCH);
    let raw = CachePadded::new(AtomicU64::new(0));
    rounds(
        c,
        "stale_advance",
        vec![
            contender("ours", |b| {
                b.iter(|| batch(|i| black_box(&shard).advance(i).is_advanced()));
            }),
            contender("raw_load", |b| {
                b.iter(|| batch(|_| black_box(&raw).load(Ordering::Acquire)));
            }),
        ],
    );
}

fn reached_wait(c: &mut Criterion) {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    shard.advance(BATCH);
    let raw = CachePadded::new(AtomicU64::new(0));
    rounds(
        c,
        "reached_wait",
        vec![
            contender("ours", |b| {
                b.iter(|| batch(|i| black_box(&shard).reached(i).wait().unwrap_or(0)));
            }),
            contender("raw_load", |b| {
                b.iter(|| batch(|_| black_box(&raw).load(Ordering::Acquire)));
            }),
        ],
    );
}

/// Reads and advances by id, in a state whose shards were added in several calls, while another
/// thread adds and removes a shard about a thousand times a second.
fn by_id(c: &mut Criterion) {
    let ids = wide_ids(1024);
    let state = state_of(&ids[..900]);
    let rest: Vec<NewShard> = ids[900..].iter().copied().map(NewShard::new).collect();
    state.add_shards(&rest).unwrap();
    let theirs = baseline::Marks::new(&ids);
    let stop = AtomicBool::new(false);
    let id = |i: u64| ids[usize::try_from(i * 37 % 1024).unwrap()];
    let mut seqno = mark(1024);
    thread::scope(|s| {
        s.spawn(|| {
            let new = NewShard::new(ShardId(1));
            while !stop.load(Ordering::Relaxed) {
                state.add_shard(new.clone()).unwrap();
                thread::sleep(Duration::from_millis(1));
                state.remove_shard(new.shard).unwrap();
            }
        });
        rounds(
            c,
            "read_by_id",
            vec![
                contender("ours", |b| b.iter(|| batch(|i| state.applied_seqno(id(i))))),
                contender("baseline", |b| b.iter(|| batch(|i| theirs.applied(id(i))))),
            ],
        );
        let (seqno, other) = (&mut seqno, &mut 0);
        rounds(
            c,
            "advance_by_id",
            vec![
                contender("ours", |b| {
                    b.iter(|| {
                        *seqno += 1;
                        batch(|i| state.advance(id(i), *seqno).is_advanced());
                    });
                }),
                contender("baseline", |b| {
                    b.iter(|| {
                        *other += 1;
                        batch(|i| theirs.advance(id(i), *other));
                    });
                }),
            ],
        );
        stop.store(true, Ordering::Relaxed);
    });
}

/// Two threads that each advance one of two shards added in the same call.
fn neighbours(c: &mut Criterion) {
    let state = ReplicationState::new(&dense_ids(2));
    let shards = &[state.shard(ShardId(0)).unwrap(), state.shard(ShardId(1)).unwrap()];
    let raw: &[CachePadded<AtomicU64>; 2] = &Default::default();
    rounds(
        c,
        "two_threads_neighbours",
        vec![
            contender("ours", |b| {
                two_threads(b, |thread| {
                    let at = shards[thread].applied();
                    move |i| black_box(shards[thread].advance(at + i).is_advanced())
                });
            }),
            contender("raw_padded", |b| {
                two_threads(b, |thread| {
                    let at = raw[thread].load(Ordering::Acquire);
                    move |i| black_box(raw[thread].fetch_max(at + i, Ordering::AcqRel))
                });
            }),
        ],
    );
}

fn snapshot(c: &mut Criterion) {
    for shards in [1024, 65_536] {
        let ids = dense_ids(shards);
        let ours = state_of(&ids);
        let theirs = baseline::Marks::new(&ids);
        rounds(
            c,
            &format!("snapshot_{shards}"),
            vec![
                contender("ours", |b| b.iter(|| ours.snapshot())),
                contender("baseline", |b| b.iter(|| theirs.snapshot())),
            ],
        );
    }
}

/// Results are scalars: a larger one would be stored, and its place on the stack would decide the
/// figure.
fn batch<T>(mut f: impl FnMut(u64) -> T) {
    for i in 0..BATCH {
        black_box(f(i));
    }
}

/// Runs the closures that `of` returns for two threads, with 1, 2, 3, ...
fn two_threads<T, F: FnMut(u64) -> T>(b: &mut Bencher<'_>, of: impl Fn(usize) -> F + Sync) {
    b.iter_custom(|iters| {
        let start = Instant::now();
        thread::scope(|s| {
            for thread in 0..2 {
                let of = &of;
                s.spawn(move || {
                    let mut f = of(thread);
                    for i in 1..=iters * BATCH {
                        f(i);
                    }
                });
            }
        });
        start.elapsed()
    });
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = read_handle, advance_handle, stale_advance, reached_wait, by_id, neighbours, snapshot
}
criterion_main!(benches);
