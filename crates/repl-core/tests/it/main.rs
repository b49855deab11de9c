//! What `repl-core` guarantees, one file per guarantee.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers fail the test")]

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use repl_core::{
    ApplyWindow, Completion, Reached, ReplicationState, SeqRange, Shard, ShardId, WaitError,
    WindowError,
};

mod any_change;
mod applied_set_laws;
mod awaited;
mod awaited_changes;
mod begin_epoch;
mod bookmarks;
mod changes;
mod claims;
mod closing;
mod contains;
mod contract;
mod epochs;
mod epochs_divergence;
mod epochs_in_snapshots;
mod errors;
mod executors;
mod forward_only;
mod ids;
mod incarnations;
mod lag_clock;
mod many_shards;
mod membership;
mod merge;
mod no_completion_left_behind;
mod out_of_order;
mod reached_all;
mod reconcile;
mod restore;
mod room;
mod seq_range;
mod shard_close;
mod skips;
mod snapshot_changes;
mod snapshot_laws;
mod snapshot_range_laws;
mod snapshots;
mod state_model;
mod timeouts;
mod waiter_count;
mod waiting;
mod waiting_model;
mod wakers;
mod watchers;
mod window_capacity;
mod window_incarnations;
mod window_model;

/// Stops threads when it goes out of scope, after a failed assertion too: a test that fails must
/// not hang.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A state of one shard, and a handle on it.
fn single() -> (ReplicationState, Shard) {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    (state, shard)
}

fn advance_each(shard: &Shard, seqnos: impl IntoIterator<Item = u64>) {
    for seqno in seqnos {
        shard.advance(seqno);
    }
}

fn complete_each(window: &ApplyWindow, seqnos: impl IntoIterator<Item = u64>) {
    for seqno in seqnos {
        window.complete(seqno).unwrap();
    }
}

/// What is completed above the mark of a shard.
fn above(shard: &Shard) -> Vec<SeqRange> {
    shard.applied_set().above().collect()
}

fn ranges(of: &[(u64, u64)]) -> Vec<SeqRange> {
    of.iter().map(|(first, last)| SeqRange::new(*first, *last)).collect()
}

/// A window over a shard in which `ranges` are completed, as after a restart.
fn restored(shard: Shard, capacity: u64, ranges: &[SeqRange]) -> Result<ApplyWindow, WindowError> {
    let window = ApplyWindow::new(shard, capacity)?;
    for range in ranges {
        window.shard().complete(*range);
    }
    Ok(window)
}

/// Completes `seqno` as soon as the window has room for it.
fn complete_when_room(window: &ApplyWindow, seqno: u64) -> Completion {
    window.room_for(seqno).wait().unwrap();
    window.complete(seqno).unwrap()
}

/// A wait that is in the queue, and how often it was woken.
struct Queued {
    seqno: u64,
    reached: Reached,
    counter: Arc<Wakes>,
    waker: Waker,
}

impl Queued {
    fn new(shard: &Shard, seqno: u64) -> Self {
        let (counter, waker) = counting();
        let mut reached = shard.reached(seqno);
        assert!(poll(&mut reached, &waker).is_pending());
        Queued { seqno, reached, counter, waker }
    }

    fn wakes(&self) -> usize {
        self.counter.count()
    }

    fn poll(&mut self) -> Poll<Result<u64, WaitError>> {
        poll(&mut self.reached, &self.waker)
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Arc<Wakes>, Waker) {
    let counter = Arc::new(Wakes::default());
    (Arc::clone(&counter), Waker::from(counter))
}

struct Calls<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A waker that calls `f`.
fn calling(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Calls(f)))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Runs `f` in a thread, and panics if it does not end: a deadlock must not hang the tests.
fn ends<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, result) = mpsc::channel();
    let thread = thread::spawn(move || drop(send.send(f())));
    match result.recv_timeout(Duration::from_secs(20)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it did not end in 20 s"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that ends without a panic has sent its result"),
        },
    }
}
