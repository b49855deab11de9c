//! Checkpoints under async runtimes: nothing blocks a thread that something else waits for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use repl_checkpoint::{
    Attempt, BackgroundCheckpointer, Checkpointer, SaveAndWaitError, Saved, Schedule,
};
use repl_core::{ReplicationState, Snapshot, WaitError};

use crate::background::{HOUR, ONE, ignore};
use crate::support::scripted::Scripted;
use crate::support::{Flushed, eventually, watched};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime: how to run a future to its end, and how to start a task within it.
#[derive(Clone, Copy)]
struct Runtime {
    name: &'static str,
    block_on: fn(Task),
    spawn: fn(Task),
}

fn in_tokio(task: Task) {
    drop(tokio::spawn(task));
}

const RUNTIMES: [Runtime; 3] = [
    Runtime {
        name: "tokio on this thread",
        block_on: |task| {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(task);
        },
        spawn: in_tokio,
    },
    Runtime {
        name: "tokio on one thread of a pool",
        block_on: |task| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(1).build().unwrap();
            // As a task, so that it is the pool that runs it.
            runtime.block_on(async { tokio::spawn(task).await.unwrap() });
        },
        spawn: in_tokio,
    },
    Runtime {
        name: "smol",
        // As a task, so that it is the one thread of the executor that runs it.
        block_on: |task| smol::block_on(smol::spawn(task)),
        spawn: |task| smol::spawn(task).detach(),
    },
];

/// Runs `f` under each runtime; a deadlock fails.
fn under_each<F: Future<Output = ()> + Send + 'static>(f: fn(Runtime) -> F) {
    for runtime in RUNTIMES {
        watched(runtime.name, move || (runtime.block_on)(Box::pin(f(runtime))));
    }
}

/// An engine that flushes in a task, one request at a time. It serves as long as the runtime runs.
#[derive(Clone)]
struct Engine {
    requests: smol::channel::Sender<(Snapshot, Sender<Snapshot>)>,
    durable: Arc<Mutex<Option<Snapshot>>>,
}

impl Engine {
    fn start(runtime: Runtime) -> Self {
        let (requests, received) = smol::channel::unbounded::<(Snapshot, Sender<Snapshot>)>();
        let durable: Arc<Mutex<Option<Snapshot>>> = Arc::default();
        let disk = Arc::clone(&durable);
        (runtime.spawn)(Box::pin(async move {
            while let Ok((marks, answer)) = received.recv().await {
                // A flush takes more than one poll.
                smol::future::yield_now().await;
                *disk.lock().unwrap() = Some(marks.clone());
                let _ = answer.send(marks);
            }
        }));
        Engine { requests, durable }
    }

    /// Flushes without blocking the thread.
    async fn flush(&self, marks: &Snapshot) -> io::Result<()> {
        let (answer, answered) = channel();
        self.requests.send((marks.clone(), answer)).await.map_err(io::Error::other)?;
        while answered.try_recv().is_err() {
            smol::future::yield_now().await;
        }
        Ok(())
    }

    /// Asks the task to flush and blocks this thread for the answer.
    fn flush_blocking(&self, marks: &Snapshot) -> Flushed {
        let (answer, answered) = channel();
        self.requests.send_blocking((marks.clone(), answer))?;
        assert_eq!(answered.recv()?, *marks);
        Ok(())
    }

    fn durable(&self) -> Option<u64> {
        self.durable.lock().unwrap().as_ref()?.mark(ONE)
    }
}

/// Checkpoints as an async engine does.
async fn checkpoint(checkpointer: &mut Checkpointer, engine: &Engine) -> io::Result<Saved> {
    let Some(attempt) = checkpointer.begin()? else { return Ok(Saved::Unchanged) };
    engine.flush(attempt.marks()).await?;
    Ok(checkpointer.save(attempt)?)
}

#[test]
fn an_async_flush_is_awaited_between_begin_and_save_in_a_task() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        let (engine, state) = (Engine::start(runtime), follower.state);
        let (done, is_done) = smol::channel::bounded(1);
        let mut checkpointer = follower.checkpointer;
        let task_engine = engine.clone();
        (runtime.spawn)(Box::pin(async move {
            for mark in [5, 6, 7] {
                state.advance(ONE, mark);
                let saved = checkpoint(&mut checkpointer, &task_engine).await.unwrap();
                assert!(matches!(saved, Saved::Written(_)));
            }
            checkpoint(&mut checkpointer, &task_engine).await.unwrap();
            let unchanged = checkpoint(&mut checkpointer, &task_engine).await.unwrap();
            assert_eq!(unchanged, Saved::Unchanged);
            done.send(checkpointer).await.unwrap();
        }));
        let _checkpointer = is_done.recv().await.unwrap();
        assert_eq!((store.saves(), store.mark(1), engine.durable()), (4, Some(7), Some(7)));
        assert_eq!(floors.retention_floor(ONE), Some(7));
    });
}

#[test]
fn a_flush_that_is_cancelled_saves_nothing_and_the_next_one_does() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        let engine = Engine::start(runtime);
        follower.state.advance(ONE, 5);
        let mut cancelled = Box::pin(checkpoint(&mut follower.checkpointer, &engine));
        assert!(smol::future::poll_once(&mut cancelled).await.is_none());
        drop(cancelled);
        assert_eq!(store.saves(), 0);
        let status = floors.health().status;
        assert!(matches!(status, repl_checkpoint::Status::Failing { failures: 1, .. }));
        checkpoint(&mut follower.checkpointer, &engine).await.unwrap();
        assert_eq!(store.mark(1), Some(5));
    });
}

#[test]
fn a_task_waits_for_its_mark_to_be_saved_by_another() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let saved = follower.checkpointer.floors().saved(ONE, 5);
        let never = follower.checkpointer.floors().saved(ONE, 99);
        let (engine, state) = (Engine::start(runtime), follower.state);
        let mut checkpointer = follower.checkpointer;
        (runtime.spawn)(Box::pin(async move {
            state.advance(ONE, 5);
            checkpoint(&mut checkpointer, &engine).await.unwrap();
            state.advance(ONE, 99);
        }));
        assert_eq!(saved.await, Ok(5));
        assert_eq!(never.await, Err(WaitError::Closed), "the task dropped the checkpointer");
    });
}

/// A background checkpointer whose flush needs the runtime to make progress.
fn background(
    runtime: Runtime,
    store: &Scripted,
) -> (Arc<ReplicationState>, BackgroundCheckpointer, Engine) {
    let follower = store.recovered(&[1]);
    let engine = Engine::start(runtime);
    let flushed = engine.clone();
    let flush = move |attempt: &mut Attempt| flushed.flush_blocking(attempt.marks());
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
    (follower.state, background, engine)
}

#[test]
fn closing_is_awaited_while_its_last_flush_needs_the_runtime() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let (state, background, engine) = background(runtime, &store);
        state.advance(ONE, 5);
        let checkpointer = background.close().await.unwrap();
        assert_eq!((store.mark(1), engine.durable()), (Some(5), Some(5)));
        assert_eq!(checkpointer.floors().checkpointed(ONE), Some(5));
    });
}

#[test]
fn a_requested_save_is_awaited_while_its_flush_needs_the_runtime() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let (state, background, engine) = background(runtime, &store);
        for mark in [5, 6, 7] {
            state.advance(ONE, mark);
            let saved = background.save_and_wait().await.unwrap();
            assert!(matches!(saved, Saved::Written(_)));
            assert_eq!((store.mark(1), engine.durable()), (Some(mark), Some(mark)));
        }
    });
}

#[test]
fn dropping_it_does_not_wait_for_a_flush_that_needs_the_runtime() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let (state, background, engine) = background(runtime, &store);
        state.advance(ONE, 5);
        let saved = background.save_and_wait();
        let floors = background.floors();
        // The flush has begun, and its task has not run if this thread is the only one.
        eventually("a flush", || floors.health().running_since.is_some() || store.saves() == 1);
        let unanswered = background.save_and_wait();
        drop(background);
        assert!(matches!(saved.await, Ok(Saved::Written(_))));
        assert!(matches!(unanswered.await, Err(SaveAndWaitError::Ended) | Ok(_)));
        assert_eq!((store.mark(1), engine.durable()), (Some(5), Some(5)));
    });
}

#[test]
fn a_runtime_that_shuts_down_with_a_checkpointer_in_a_task_does_not_hang() {
    under_each(|runtime| async move {
        let store = Scripted::default();
        let (state, background, _engine) = background(runtime, &store);
        state.advance(ONE, 5);
        background.save_now();
        (runtime.spawn)(Box::pin(async move {
            let _background = background;
            std::future::pending::<()>().await;
        }));
        // The task is dropped with the runtime, in the middle of a flush or before it.
        smol::future::yield_now().await;
    });
}

/// As docs/adopting.md shows it.
#[test]
fn a_save_moves_to_a_thread_that_may_block_and_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let mut checkpointer = follower.checkpointer;
    runtime.block_on(async {
        for mark in [5, 6] {
            follower.state.advance(ONE, mark);
            if let Some(attempt) = checkpointer.begin().unwrap() {
                let save = move || (checkpointer.save(attempt), checkpointer);
                let saved;
                (saved, checkpointer) = tokio::task::spawn_blocking(save).await.unwrap();
                saved.unwrap();
            }
        }
    });
    assert_eq!((store.saves(), store.mark(1)), (2, Some(6)));
}

#[test]
fn a_wait_for_a_seqno_that_is_not_applied_ends_with_the_checkpointer() {
    let follower = Scripted::default().recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let waiting = floors.saved(ONE, 5);
    let ended = watched("a wait of a thread", move || {
        std::thread::scope(|s| {
            let blocked = s.spawn(|| floors.saved(ONE, 5).wait());
            eventually("both wait", || follower.state.shard(ONE).unwrap().awaited() == Some(5));
            drop(follower.checkpointer);
            blocked.join().unwrap()
        })
    });
    assert_eq!(ended, Err(WaitError::Closed));
    assert_eq!(smol::block_on(waiting), Err(WaitError::Closed));
}
