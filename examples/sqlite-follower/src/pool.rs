//! Runs many shards on few threads.
//!
//! Each shard has a task. A thread takes a task out of the queue, runs it for one turn, and puts it
//! back:
//! - *Exclusive.* A thread owns the task that it runs, so no other thread can run it.
//! - *Fair.* Tasks are ordered by the time at which they are due, and a task that is put back is
//!   due now or later. Tasks that were due before run first, so a busy shard starves no other.
//! - *Idle.* A task without anything to do states when it is due again. Threads sleep until the
//!   first task is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;

/// The result of one turn of a task.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// The task is due again after this time.
    Again(T, Duration),
    /// The task is complete.
    Ended,
}

/// The threads, which end with the last task.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: Vec<JoinHandle<()>>,
}

/// A thread panicked, and its task is lost.
#[derive(Debug, Error)]
#[error("a thread that applies shards panicked")]
pub(crate) struct Panicked;

/// The tasks of a pool.
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    /// Ordered by the time at which each is due, then by the number of its put.
    tasks: BTreeMap<(Instant, u64), T>,
    /// The number of puts so far.
    puts: u64,
    /// The number of tasks that threads run.
    running: usize,
}

impl Pool {
    /// Starts up to `threads` threads, but no more than there are tasks. `turn` runs a task for one
    /// turn.
    pub(crate) fn start<T: Send + 'static>(
        threads: usize,
        tasks: Vec<T>,
        turn: impl Fn(T) -> Turn<T> + Send + Sync + 'static,
    ) -> Pool {
        let threads = threads.clamp(1, tasks.len().max(1));
        let mut waiting = Waiting { tasks: BTreeMap::new(), puts: 0, running: 0 };
        for task in tasks {
            waiting.put(task, Duration::ZERO);
        }
        let queue = Queue { waiting: Mutex::new(waiting), changed: Condvar::new() };
        let shared = Arc::new((queue, turn));
        let work = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.0.work(&shared.1))
        };
        Pool { threads: (0..threads).map(work).collect() }
    }

    /// Whether all tasks have ended.
    pub(crate) fn has_ended(&mut self) -> Result<bool, Panicked> {
        for thread in self.threads.extract_if(.., |t| t.is_finished()) {
            thread.join().map_err(|_| Panicked)?;
        }
        Ok(self.threads.is_empty())
    }
}

impl<T> Queue<T> {
    fn work(&self, turn: &impl Fn(T) -> Turn<T>) {
        while let Some(task) = self.take() {
            let result = turn(task);
            let mut waiting = self.lock();
            waiting.running -= 1;
            if let Turn::Again(task, rest) = result {
                waiting.put(task, rest);
                // A sleeping thread may have to wake sooner for it.
                self.changed.notify_one();
            } else if waiting.running == 0 && waiting.tasks.is_empty() {
                self.changed.notify_all();
            }
        }
    }

    /// Waits until the next task is due, and takes it; `None` when all have ended.
    fn take(&self) -> Option<T> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let Some(first) = waiting.tasks.first_entry() else {
                if waiting.running == 0 {
                    return None;
                }
                let woken = self.changed.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (due, _) = *first.key();
            if due <= now {
                let task = first.remove();
                waiting.running += 1;
                return Some(task);
            }
            let woken = self.changed.wait_timeout(waiting, due - now);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    fn put(&mut self, task: T, rest: Duration) {
        self.puts += 1;
        self.tasks.insert((Instant::now() + rest, self.puts), task);
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
