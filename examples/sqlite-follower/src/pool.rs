//! Which thread works for which shard, where there are fewer threads than shards?
//!
//! What is to be done for a shard is a task. A thread takes a task out of the queue, gives it one
//! turn, and puts it back:
//! - *One at a time.* A thread owns the task that it works on, so no other can have it meanwhile.
//! - *In turn.* Tasks wait in the order in which they are due, and one that comes back is due no
//!   sooner than now. So whatever was due before goes first, and no shard starves, however busy
//!   another is.
//! - *At rest.* A task that found nothing to do says when it is due again. Threads sleep until the
//!   first is.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;

/// What a task says after its turn.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// It is due again after so long.
    Again(T, Duration),
    /// There is nothing left to do.
    Ended,
}

/// Threads that end with the last task.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: Vec<JoinHandle<()>>,
}

/// A thread is gone, and its task with it.
#[derive(Debug, Error)]
#[error("a thread that applies shards panicked")]
pub(crate) struct Panicked;

/// The tasks of a pool.
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    /// By when each is due; among those due at once, by who came first.
    tasks: BTreeMap<(Instant, u64), T>,
    /// How often a task was put here.
    puts: u64,
    /// Tasks that a thread has taken.
    taken: usize,
}

impl Pool {
    /// Starts the threads, no more than there are tasks; `turn` gives a task one turn.
    pub(crate) fn start<T: Send + 'static>(
        threads: usize,
        tasks: Vec<T>,
        turn: impl Fn(T) -> Turn<T> + Send + Sync + 'static,
    ) -> Pool {
        let threads = threads.clamp(1, tasks.len().max(1));
        let mut waiting = Waiting { tasks: BTreeMap::new(), puts: 0, taken: 0 };
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
            let said = turn(task);
            let mut waiting = self.lock();
            waiting.taken -= 1;
            if let Turn::Again(task, rest) = said {
                waiting.put(task, rest);
                // Whoever sleeps may have to wake sooner for it.
                self.changed.notify_one();
            } else if waiting.taken == 0 && waiting.tasks.is_empty() {
                self.changed.notify_all();
            }
        }
    }

    /// The next task, once it is due; `None` where all have ended.
    fn take(&self) -> Option<T> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let Some(first) = waiting.tasks.first_entry() else {
                if waiting.taken == 0 {
                    return None;
                }
                let woken = self.changed.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (due, _) = *first.key();
            if due <= now {
                let task = first.remove();
                waiting.taken += 1;
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
