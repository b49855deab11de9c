//! The futures run under any executor.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::{ends, poll, single};
use repl_core::{ReplicationState, Shard, ShardId, WaitError};
use smol::future::FutureExt as _;

const LAST: u64 = 300;

/// Reads the changes of a shard that another thread advances to `LAST`, until the state is closed.
async fn read_changes(shard: Shard) -> usize {
    assert_eq!(shard.reached(0).await.map(|_| ()), Ok(()));
    assert!(shard.reached(1).await.unwrap() >= 1);
    let mut changes = shard.changes();
    let (mut count, mut last) = (0, 0);
    while last < LAST {
        let mark = changes.next().await.unwrap();
        assert!(mark > last);
        last = mark;
        count += 1;
    }
    assert_eq!(shard.reached(LAST).await, Ok(LAST));
    assert_eq!(shard.reached(LAST + 1).await, Err(WaitError::Closed));
    assert_eq!(changes.next().await, Err(WaitError::Closed));
    count
}

/// Runs `executor` on a shard while a thread advances it to `LAST` and then closes the state.
fn with_advancer(executor: impl FnOnce(Shard) + Send + 'static) {
    let (state, shard) = single();
    ends(move || {
        thread::scope(|s| {
            s.spawn(|| {
                for seqno in 1..=LAST {
                    state.advance(ShardId::SINGLE, seqno);
                    if seqno % 16 == 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                }
                thread::sleep(Duration::from_millis(2));
                state.close();
            });
            executor(shard);
        });
    });
}

#[test]
fn waits_run_under_tokio_on_one_thread() {
    with_advancer(|shard| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> =
                (0..20).map(|_| tokio::spawn(read_changes(shard.clone()))).collect();
            for task in tasks {
                assert!(task.await.unwrap() >= 1);
            }
        });
    });
}

#[test]
fn waits_run_under_tokio_on_many_threads() {
    with_advancer(|shard| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(3).build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> =
                (0..20).map(|_| tokio::spawn(read_changes(shard.clone()))).collect();
            for task in tasks {
                assert!(task.await.unwrap() >= 1);
            }
        });
    });
}

#[test]
fn waits_run_under_smol() {
    with_advancer(|shard| {
        smol::block_on(async {
            let tasks: Vec<_> = (0..20).map(|_| smol::spawn(read_changes(shard.clone()))).collect();
            for task in tasks {
                assert!(task.await >= 1);
            }
        });
    });
}

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A minimal executor: it parks the thread between polls.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn waits_run_under_a_minimal_executor() {
    with_advancer(|shard| assert!(block_on(read_changes(shard)) >= 1));
}

#[test]
fn blocking_leaves_the_parking_token_of_the_thread() {
    let (_state, shard) = single();
    let token_is_left = ends(move || {
        thread::current().unpark();
        let result = shard.reached(1).wait_timeout(Duration::from_millis(5));
        assert_eq!(result, Err(WaitError::Timeout));
        let start = std::time::Instant::now();
        thread::park_timeout(Duration::from_secs(10));
        start.elapsed() < Duration::from_secs(5)
    });
    assert!(token_is_left);
}

fn current_thread_with_time() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_wait_can_be_repeated_after_a_tokio_timeout() {
    let (_state, shard) = single();
    current_thread_with_time().block_on(async {
        let tick = Duration::from_millis(2);
        for seqno in 1..=5 {
            assert!(tokio::time::timeout(tick, shard.reached(seqno)).await.is_err());
            let mut kept = shard.reached(seqno);
            assert!(tokio::time::timeout(tick, &mut kept).await.is_err());
            shard.advance(seqno);
            assert_eq!(kept.await, Ok(seqno));
            assert_eq!(shard.reached(seqno).await, Ok(seqno));
        }
    });
}

#[test]
fn no_change_is_lost_when_select_drops_a_branch() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    let [one, two] = [1, 2].map(|id| state.shard(ShardId(id)).unwrap());
    let (mut ones, mut twos) = (one.changes(), two.changes());
    let seen = ends(move || {
        thread::scope(|s| {
            s.spawn(|| {
                for seqno in 1..=LAST {
                    one.advance(seqno);
                    two.advance(seqno);
                    thread::yield_now();
                }
            });
            current_thread_with_time().block_on(async {
                let mut seen = (0, 0);
                while seen != (LAST, LAST) {
                    tokio::select! {
                        mark = ones.next() => seen.0 = mark.unwrap(),
                        mark = twos.next() => seen.1 = mark.unwrap(),
                    }
                }
                seen
            })
        })
    });
    assert_eq!(seen, (LAST, LAST));
}

#[test]
fn the_loser_of_a_race_leaves_nothing() {
    let (_state, shard) = single();
    smol::block_on(async {
        let soon = async {
            smol::Timer::after(Duration::from_millis(1)).await;
            Err(WaitError::Timeout)
        };
        assert_eq!(shard.reached(1).or(soon).await, Err(WaitError::Timeout));
        shard.advance(1);
        assert_eq!(shard.reached(1).or(smol::future::pending()).await, Ok(1));
    });
}

#[test]
fn a_future_moves_between_tasks_and_executors() {
    let (_state, shard) = single();
    let mut reached = shard.reached(2);
    assert!(poll(&mut reached, Waker::noop()).is_pending());
    let (give_back, returned) = std::sync::mpsc::channel();
    current_thread_with_time().block_on(async {
        let task = tokio::spawn(async move {
            let tick = Duration::from_millis(1);
            assert!(tokio::time::timeout(tick, &mut reached).await.is_err());
            give_back.send(reached).unwrap();
        });
        task.await.unwrap();
    });
    let mut reached = returned.recv().unwrap();
    let result = ends(move || {
        smol::block_on(async {
            assert!(smol::future::poll_once(&mut reached).await.is_none());
            let task = smol::spawn(reached);
            smol::Timer::after(Duration::from_millis(2)).await;
            shard.advance(2);
            task.await
        })
    });
    assert_eq!(result, Ok(2));
}
