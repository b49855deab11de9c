//! What `repl-core` guarantees, one file a guarantee.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use repl_core::{ApplyWindow, ReplicationState, Shard, ShardId};

mod behind_ranges;
mod changes;
mod claims;
mod completed_laws;
mod contract;
mod ending;
mod executors;
mod forward_only;
mod lives;
mod merge;
mod model;
mod no_advance_lost;
mod no_completion_waits;
mod out_of_order;
mod restore;
mod skips;
mod snapshot_laws;
mod timeouts;
mod waiting;
mod waiting_model;
mod wakers;
mod window_bounds;
mod window_lives;
mod window_model;

/// Tells threads to stop when it goes out of scope, by a failed assertion too: a test that fails
/// must not hang.
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

/// Runs `f` in a thread, and fails where it does not end: a deadlock must not hang the tests.
fn ends<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, result) = mpsc::channel();
    let thread = thread::spawn(move || drop(send.send(f())));
    match result.recv_timeout(Duration::from_secs(20)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that ends without a panic has sent its result"),
        },
    }
}
