//! Completing segments through a window: in order, and by two threads in any order; and snapshots of
//! shards with windows.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::hint::black_box;
use std::time::Instant;

use benches::peers::{RangeWindow, SeqnoWindow};
use benches::rounds::{Contender, contender, criterion, criterion_over_sizes, rounds, rounds_at};
use benches::threads::{Cores, Meeting, pair};
use benches::{dense_ids, state_of};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use repl_core::{ApplyWindow, ReplicationState, Shard, ShardId};

/// The number of operations in one iteration, so that the loop of the harness costs nothing.
const BATCH: u64 = 256;

const WINDOW: u64 = 4096;

/// The powers of 4 from 16 to 65,536.
const OVER_WINDOW: [u64; 7] = [16, 64, 256, 1024, 4096, 16_384, 65_536];

fn single() -> Shard {
    ReplicationState::single().shard(ShardId::SINGLE).unwrap()
}

/// One thread that completes in order, vs a handle's advance.
fn in_order(c: &mut Criterion) {
    let window = ApplyWindow::new(single(), WINDOW).unwrap();
    let shard = single();
    rounds(
        c,
        "complete_in_order",
        vec![
            contender("ours", batches(|seqno| window.complete(seqno).is_ok())),
            contender("advance", batches(|seqno| black_box(&shard).advance(seqno).is_advanced())),
        ],
    );
}

/// Runs `f` with 1, 2, 3, ...
fn batches<T>(f: impl Fn(u64) -> T) -> impl FnMut(&mut Bencher<'_>) {
    let mut seqno = 0;
    move |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                seqno += 1;
                black_box(f(seqno));
            }
        });
    }
}

fn out_of_order(c: &mut Criterion) {
    rounds(c, "complete_shuffled_4096", shuffled(WINDOW));
}

fn over_window(c: &mut Criterion) {
    for size in OVER_WINDOW {
        rounds_at(c, "complete_over_window", size, shuffled(size));
    }
}

fn shuffled(size: u64) -> Vec<Contender<'static>> {
    let ours = ApplyWindow::new(single(), size).unwrap();
    let (ranges, seqnos) = (RangeWindow::default(), SeqnoWindow::default());
    vec![
        contender(
            "ours",
            two_threads(size, move |seqno| {
                ours.complete(seqno).unwrap();
                ours.shard().applied()
            }),
        ),
        contender("rangemap", two_threads(size, move |seqno| ranges.complete(seqno))),
        contender("btree_set", two_threads(size, move |seqno| seqnos.complete(seqno))),
    ]
}

/// Two threads complete windows of seqnos in the same shuffled order, each every other seqno. They
/// wait for each other at the end of a window. `complete` returns the mark.
///
/// The measured time is that of one completion of each thread.
fn two_threads(size: u64, complete: impl Fn(u64) -> u64 + Sync) -> impl FnMut(&mut Bencher<'_>) {
    let order = shuffled_up_to(size);
    let half = |first: usize| order.iter().copied().skip(first).step_by(2).collect::<Vec<_>>();
    let halves = [half(0), half(1)];
    let mut done = 0;
    move |b| {
        b.iter_custom(|windows| {
            let from = done;
            done += windows * size;
            let meeting = Meeting::default();
            let apply = |half: &[u64]| {
                meeting.meet(1);
                let start = Instant::now();
                for window in 0..windows {
                    for seqno in half {
                        complete(from + window * size + seqno);
                    }
                    meeting.meet(window + 2);
                }
                start.elapsed()
            };
            let [first, second] = &halves;
            let elapsed = pair(Cores::Two, || apply(first), || _ = apply(second));
            assert_eq!(complete(done), done, "the mark is behind");
            elapsed / u32::try_from(size / 2).unwrap()
        });
    }
}

/// 1 to `size`, shuffled, always in the same order (Fisher-Yates with splitmix64).
fn shuffled_up_to(size: u64) -> Vec<u64> {
    let mut state = 0_u64;
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut order: Vec<u64> = (1..=size).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, usize::try_from(random() % (last as u64 + 1)).unwrap());
    }
    order
}

/// Snapshots of 10,000 shards: an idle window on each, or on one; and a seqno completed 64 above each
/// mark.
fn snapshots(c: &mut Criterion) {
    const SHARDS: u64 = 10_000;
    let without = state_of(&dense_ids(SHARDS));
    for (work, windows, above) in [
        ("snapshot_10000_idle_windows", SHARDS, None),
        ("snapshot_10000_one_idle_window", 1, None),
        ("snapshot_10000_above", SHARDS, Some(64)),
    ] {
        let state = state_of(&dense_ids(SHARDS));
        let open = |id| {
            let shard = state.shard(ShardId(id)).unwrap();
            let at = shard.applied();
            let window = ApplyWindow::new(shard, 1024).unwrap();
            for seqno in [2, 1] {
                window.complete(at + seqno).unwrap(); // it was used, and is idle again
            }
            if let Some(above) = above {
                window.complete(at + 2 + above).unwrap();
            }
            window
        };
        let open: Vec<ApplyWindow> = (0..windows).map(open).collect();
        rounds(
            c,
            work,
            vec![
                contender("ours", |b| b.iter(|| state.snapshot())),
                contender("no_windows", |b| b.iter(|| without.snapshot())),
            ],
        );
        drop(open);
    }
}

criterion_group! {
    name = window;
    config = criterion();
    targets = in_order, out_of_order, snapshots
}
criterion_group! { name = sizes; config = criterion_over_sizes(); targets = over_window }
criterion_main!(window, sizes);
