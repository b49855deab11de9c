//! A single-threaded executor that polls a future only after a wake-up: a lost wake-up hangs it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use fastrand::Rng;

use super::checker::Checked;
use super::report::Operations;
use super::waits::Ended;
use crate::seed::one_in;

type Running<'a> = Pin<Box<dyn Future<Output = Checked<Vec<Ended>>> + Send + 'a>>;

struct Task<'a> {
    future: Running<'a>,
    woken: Arc<Woken>,
    /// The number of polls after which it is dropped; `None` if it runs to its end.
    polls_left: Option<u64>,
}

/// Whether a task must be polled.
struct Woken {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Task<'_> {
    fn poll(&mut self) -> Poll<Checked<Vec<Ended>>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// Futures that run until every one has ended.
#[derive(Default)]
pub(crate) struct Tasks<'a> {
    all: Vec<Task<'a>>,
}

impl<'a> Tasks<'a> {
    pub(crate) fn add(
        &mut self,
        future: impl Future<Output = Checked<Vec<Ended>>> + Send + 'a,
        polls_left: Option<u64>,
    ) {
        let woken = Woken { woken: AtomicBool::new(true), thread: thread::current() };
        self.all.push(Task { future: Box::pin(future), woken: Arc::new(woken), polls_left });
    }

    pub(crate) fn run(mut self, rng: &mut Rng, done: &mut Operations) -> Checked {
        while !self.all.is_empty() {
            let woken = |task: &Task<'_>| task.woken.woken.swap(false, Ordering::SeqCst);
            let Some(next) = self.all.iter().position(woken) else {
                thread::park();
                continue;
            };
            let mut task = self.all.swap_remove(next);
            done.polls += 1;
            // A future may move to another thread between polls.
            let moves = one_in(rng, 32);
            let poll = if moves { elsewhere(|| task.poll()) } else { task.poll() };
            match poll {
                Poll::Ready(result) => result?.into_iter().for_each(|ended| done.count_wait(ended)),
                Poll::Pending => {
                    task.polls_left = task.polls_left.map(|left| left - 1);
                    if task.polls_left != Some(0) {
                        self.all.push(task);
                        continue;
                    }
                    done.waits_cancelled += 1;
                    if moves {
                        elsewhere(|| drop(task));
                    }
                }
            }
        }
        Ok(())
    }
}

fn elsewhere<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(act).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
