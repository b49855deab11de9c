//! Advancing with waiters, and waking them: ours, and alternatives from other crates.
//!
//! The waiters are tasks of a small executor, the same for every contender. Each awaits a different
//! seqno, then that seqno plus the number of waiters, and so on. The time includes the advance, the
//! wakers that it calls, and each poll of a woken task, which checks and waits again.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::peers::{CondvarMark, EventMark, HeapMark};
use benches::rounds::{
    Contender, contender, criterion, criterion_over_sizes, rounds, rounds_at, rounds_of,
};
use benches::tasks::Tasks;
use benches::threads::{Cores, pair};
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use repl_core::{ReplicationState, Shard, ShardId};
use tokio::sync::watch;

const WAITERS: u64 = 10_000;

/// The powers of 10 up to a hundred thousand.
const OVER_WAITERS: [u64; 6] = [1, 10, 100, 1000, 10_000, 100_000];

/// A seqno that no bench reaches.
const FAR: u64 = 1 << 60;

/// Many short measurements, as a blocked thread is sometimes woken late.
const ROUND_TRIP_ROUNDS: u32 = 31;

fn single() -> Shard {
    ReplicationState::single().shard(ShardId::SINGLE).unwrap()
}

/// Advances that reach no waiter, with `waiters` that await later seqnos.
fn advance_below(name: &str, waiters: u64) -> Contender<'_> {
    let (shard, mut at) = (single(), 0);
    let tasks = Tasks::new((FAR..FAR + waiters).map(|first| ours(shard.clone(), first, waiters)));
    contender(name, move |b| {
        let _wait = &tasks;
        b.iter(|| {
            at += 1;
            black_box(&shard).advance(at)
        });
    })
}

async fn ours(shard: Shard, mut next: u64, step: u64) -> Infallible {
    loop {
        shard.reached(next).await.unwrap();
        next += step;
    }
}

/// Advances that each reach one waiter.
fn wake_one_of(name: &str, waiters: u64) -> Contender<'_> {
    let shard = single();
    let tasks = (1..=waiters).map(|next| ours(shard.clone(), next, waiters));
    waking(name, 1, Tasks::new(tasks), move |at| _ = shard.advance(at))
}

/// Advances that each reach the task which awaits the next seqno, beside `others` that await later
/// ones. `make` makes the task that awaits a seqno, then that plus a step, and so on.
fn queue_and_wake<'a, F: Future<Output = Infallible> + 'static>(
    name: &'a str,
    others: u64,
    make: impl Fn(u64, u64) -> F,
    advance: impl Fn(u64) + 'a,
) -> Contender<'a> {
    let others = Tasks::new((FAR..FAR + others).map(|first| make(first, 1)));
    waking(name, 1, Tasks::new([make(1, 1)]), move |at| {
        let _wait = &others;
        advance(at);
    })
}

fn queue_and_wake_ours(others: u64) -> Contender<'static> {
    let shard = single();
    let waits = shard.clone();
    queue_and_wake(
        "ours",
        others,
        move |first, step| ours(waits.clone(), first, step),
        move |at| _ = shard.advance(at),
    )
}

/// The same with a heap of wakers under a lock.
fn queue_and_wake_heap(others: u64) -> Contender<'static> {
    async fn task(mark: Arc<HeapMark>, mut next: u64, step: u64) -> Infallible {
        loop {
            mark.reached(next).await;
            next += step;
        }
    }
    let mark = Arc::new(HeapMark::default());
    let waits = Arc::clone(&mark);
    queue_and_wake(
        "heap",
        others,
        move |first, step| task(Arc::clone(&waits), first, step),
        move |at| mark.advance(at),
    )
}

/// Sends to a tokio watch, which wakes every waiter. The waiters await `first`, `first + 1`, ...
fn watch_tasks(first: u64, waiters: u64) -> Contender<'static> {
    async fn task(mut mark: watch::Receiver<u64>, mut next: u64, step: u64) -> Infallible {
        loop {
            drop(mark.wait_for(|at| *at >= next).await.unwrap());
            next += step;
        }
    }
    let (mark, _) = watch::channel(0);
    let tasks = (first..first + waiters).map(|next| task(mark.subscribe(), next, waiters));
    waking("tokio_watch", waiters, Tasks::new(tasks), move |at| _ = mark.send_replace(at))
}

/// The same with an event-listener event.
fn event_tasks(first: u64, waiters: u64) -> Contender<'static> {
    async fn task(mark: Arc<EventMark>, mut next: u64, step: u64) -> Infallible {
        loop {
            mark.reached(next).await;
            next += step;
        }
    }
    let mark = Arc::new(EventMark::default());
    let tasks = (first..first + waiters).map(|next| task(Arc::clone(&mark), next, waiters));
    waking("event_listener", waiters, Tasks::new(tasks), move |at| mark.advance(at))
}

/// Advances to 1, 2, 3, ..., each of which wakes `woken` waiters.
fn waking<'a>(
    name: &'a str,
    woken: u64,
    mut tasks: Tasks,
    advance: impl Fn(u64) + 'a,
) -> Contender<'a> {
    let (mut at, woken) = (0, usize::try_from(woken).unwrap());
    contender(name, move |b| {
        b.iter(|| {
            at += 1;
            advance(at);
            assert_eq!(tasks.run(), woken);
        });
    })
}

fn below_the_target(c: &mut Criterion) {
    let contenders = vec![
        advance_below("ours", WAITERS),
        advance_below("no_waiters", 0),
        watch_tasks(FAR, WAITERS),
        event_tasks(FAR, WAITERS),
    ];
    rounds(c, "advance_below_10000", contenders);
}

fn wake_one(c: &mut Criterion) {
    let contenders =
        vec![wake_one_of("ours", WAITERS), watch_tasks(1, WAITERS), event_tasks(1, WAITERS)];
    rounds(c, "wake_one_of_10000", contenders);
}

fn queue_one(c: &mut Criterion) {
    for others in [0, WAITERS] {
        let contenders = vec![queue_and_wake_ours(others), queue_and_wake_heap(others)];
        rounds(c, &format!("queue_and_wake_beside_{others}"), contenders);
    }
}

fn over_waiters(c: &mut Criterion) {
    for waiters in OVER_WAITERS {
        let contenders = vec![
            advance_below("advance_below", waiters),
            wake_one_of("wake_one", waiters),
            watch_tasks(1, waiters),
            event_tasks(1, waiters),
        ];
        rounds_at(c, "advance_over_waiters", waiters, contenders);
    }
}

/// A mark to advance and wait on.
trait Mark: Sync {
    fn advance(&self, to: u64);
    fn wait_for(&self, seqno: u64);
}

impl Mark for Shard {
    fn advance(&self, to: u64) {
        Shard::advance(self, to);
    }

    fn wait_for(&self, seqno: u64) {
        self.reached(seqno).wait().unwrap();
    }
}

impl Mark for CondvarMark {
    fn advance(&self, to: u64) {
        CondvarMark::advance(self, to);
    }

    fn wait_for(&self, seqno: u64) {
        CondvarMark::wait_for(self, seqno);
    }
}

/// Two threads that each advance a mark, and block until the other thread has advanced its mark.
fn round_trip(c: &mut Criterion) {
    for (work, cores) in [("round_trip_one_core", Cores::One), ("round_trip_two_cores", Cores::Two)]
    {
        let (ours, theirs) = ([single(), single()], Default::default());
        let contenders = vec![
            contender("ours", round_trips(cores, ours)),
            contender("mutex_condvar", round_trips::<CondvarMark>(cores, theirs)),
        ];
        rounds_of(c, ROUND_TRIP_ROUNDS, work, contenders);
    }
}

fn round_trips<M: Mark>(cores: Cores, marks: [M; 2]) -> impl FnMut(&mut Bencher<'_>) {
    let mut at = 0;
    move |b| {
        let [there, back] = &marks;
        b.iter_custom(|trips| {
            let (first, last) = (at + 1, at + 1 + trips);
            at = last;
            let trip = |seqno| {
                there.advance(seqno);
                back.wait_for(seqno);
            };
            let trips = || {
                trip(first); // after this the other thread runs
                let start = Instant::now();
                (first + 1..=last).for_each(trip);
                start.elapsed()
            };
            let answers = || {
                for seqno in first..=last {
                    there.wait_for(seqno);
                    back.advance(seqno);
                }
            };
            pair(cores, trips, answers)
        });
    }
}

fn short() -> Criterion {
    criterion_over_sizes().measurement_time(Duration::from_millis(150))
}

criterion_group! {
    name = waiting;
    config = criterion();
    targets = below_the_target, wake_one, queue_one
}
criterion_group! { name = blocking; config = short(); targets = round_trip }
criterion_group! { name = sizes; config = criterion_over_sizes(); targets = over_waiters }
criterion_main!(waiting, blocking, sizes);
