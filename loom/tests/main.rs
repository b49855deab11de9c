//! The claims about concurrency, in every interleaving and every outcome of the memory model that
//! loom can find: `cargo test --release -p loom-models --test loom`, with `LOOM_MAX_PREEMPTIONS=3`.
//!
//! What a model publishes is an atomic of its own, read and written with `Relaxed`. It orders
//! nothing, so a thread observes it only through the mark. The twins are copies of the protocols
//! with one weaker step each; a model that cannot tell them from the real one would prove nothing.
//!
//! Loom tries the other order of two accesses only where the later thread's last access to the same
//! place is not its own. `advance` reads the mark before it raises it, which hides from loom that
//! another thread has read it before. So threads take turns ([`turn`]): around each step whose
//! order matters, every thread makes an access to one shared place that orders nothing.
//!
//! A lost wake-up shows as a deadlock: no thread can go on. Where a model waits by polling, a
//! [`Bell`] counts instead.
#![expect(
    clippy::unwrap_used,
    reason = "in a model a panic is how a claim is refuted, in closures and helpers as well"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use loom_models::{Advance, Reached, ReplicationState, Shard, ShardId, WaitError};

mod any_change;
mod claims;
mod endings;
mod epochs;
mod marks;
mod overflow;
mod shards;
mod stopped_helpers;
mod twins;
mod waiting;
mod window;

const SHARD: ShardId = ShardId(7);
const OTHER: ShardId = ShardId(8);

type Waited = Result<u64, WaitError>;

std::thread_local! {
    /// The models of one thread of the system run one after the other.
    static TURNS: std::cell::RefCell<Option<Arc<AtomicU64>>> = const { std::cell::RefCell::new(None) };
}

/// Checks `model` in every interleaving.
fn check(model: impl Fn() + Sync + Send + 'static) {
    loom::model(with_turns(model));
}

/// Checks `model` in every interleaving with at most so many preemptions, fewer than elsewhere: for
/// models of three threads that take minutes otherwise. A thread that waits or ends gives way
/// without a preemption.
fn check_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(with_turns(model));
}

fn with_turns(model: impl Fn() + Sync + Send + 'static) -> impl Fn() + Sync + Send + 'static {
    move || {
        let turns = Arc::new(AtomicU64::new(0));
        TURNS.set(Some(Arc::clone(&turns)));
        model();
        TURNS.set(None);
    }
}

/// Checks `model`, with places between the steps of the sources at which a thread may be stopped.
fn check_interleaved(model: impl Fn() + Sync + Send + 'static) {
    loom_models::set_interleaved(true);
    check(model);
    loom_models::set_interleaved(false);
}

/// A place where any other thread may come first. It is `Relaxed`, so it orders nothing else.
fn turn() {
    let turns = TURNS.with_borrow(Clone::clone);
    turns.unwrap().fetch_add(1, Ordering::Relaxed);
}

/// Runs `f`, with a turn before and after.
fn step<R>(f: impl FnOnce() -> R) -> R {
    turn();
    let result = f();
    turn();
    result
}

fn data() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

fn one_shard() -> (Arc<ReplicationState>, Shard) {
    let state = Arc::new(ReplicationState::new(&[SHARD]));
    let shard = state.shard(SHARD).unwrap();
    (state, shard)
}

/// Writes `data`, then advances to `to`.
fn apply(data: &Arc<AtomicU64>, shard: &Shard, to: u64) -> thread::JoinHandle<Advance> {
    let (data, shard) = (Arc::clone(data), shard.clone());
    thread::spawn(move || {
        data.store(to, Ordering::Relaxed);
        step(|| shard.advance(to))
    })
}

/// Waits for `seqno`; returns the result, and what `data` holds then.
fn wait(data: &Arc<AtomicU64>, shard: &Shard, seqno: u64) -> thread::JoinHandle<(Waited, u64)> {
    let (data, shard) = (Arc::clone(data), shard.clone());
    thread::spawn(move || {
        let result = shard.reached(seqno).wait();
        (result, data.load(Ordering::Relaxed))
    })
}

/// A waker that counts. Loom does not see the count.
#[derive(Default)]
struct Bell {
    rung: AtomicUsize,
}

impl Bell {
    fn rung(&self) -> usize {
        self.rung.load(Ordering::Relaxed)
    }

    /// Polls once, to be woken by this bell.
    fn poll(self: &Arc<Self>, reached: &mut Reached) -> Poll<Waited> {
        let waker = Waker::from(Arc::clone(self));
        Pin::new(reached).poll(&mut Context::from_waker(&waker))
    }

    /// Whether no waker of it is left.
    fn is_forgotten(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::Relaxed);
    }
}
