//! A minimal executor of many tasks on one thread, the same for every contender.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The numbers of the tasks to poll.
type Queue = Mutex<Vec<usize>>;

/// A future that never ends.
type Task = Pin<Box<dyn Future<Output = Infallible>>>;

/// Tasks that never end, each with a waker of its own.
pub struct Tasks {
    all: Vec<(Task, Waker)>,
    queue: Arc<Queue>,
    /// The tasks being polled. A field to reuse its memory.
    polling: Vec<usize>,
}

impl Tasks {
    /// Creates a task for each future, and polls each once.
    pub fn new<F>(futures: impl IntoIterator<Item = F>) -> Self
    where
        F: Future<Output = Infallible> + 'static,
    {
        let queue = Arc::default();
        let task = |(number, future): (usize, F)| {
            let waker = Waker::from(Arc::new(Alarm { number, queue: Arc::clone(&queue) }));
            (Box::pin(future) as Task, waker)
        };
        let all: Vec<_> = futures.into_iter().enumerate().map(task).collect();
        queue.lock().unwrap_or_else(PoisonError::into_inner).extend(0..all.len());
        let mut tasks = Tasks { all, queue, polling: Vec::new() };
        tasks.run();
        tasks
    }

    /// Polls woken tasks until none is left. Returns the number of polls.
    pub fn run(&mut self) -> usize {
        let mut polled = 0;
        loop {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *queue, &mut self.polling);
            drop(queue);
            if self.polling.is_empty() {
                return polled;
            }
            for number in self.polling.drain(..) {
                let (future, waker) = &mut self.all[number];
                match future.as_mut().poll(&mut Context::from_waker(waker)) {
                    Poll::Pending => polled += 1,
                    Poll::Ready(never) => match never {},
                }
            }
        }
    }
}

struct Alarm {
    number: usize,
    queue: Arc<Queue>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
