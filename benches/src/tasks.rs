//! Many tasks on one thread: the least that an executor does, the same for every contender.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The numbers of the tasks to poll.
type Queue = Mutex<Vec<usize>>;

/// Never ends.
type Task = Pin<Box<dyn Future<Output = Infallible>>>;

/// Tasks that never end, each with a waker of its own.
pub struct Tasks {
    all: Vec<(Task, Waker)>,
    queue: Arc<Queue>,
    /// Those of the present turn: kept for its memory.
    turn: Vec<usize>,
}

impl Tasks {
    /// Polls each of them once.
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
        let mut tasks = Tasks { all, queue, turn: Vec::new() };
        tasks.run();
        tasks
    }

    /// Polls those that were woken, until none is; how often it polled.
    pub fn run(&mut self) -> usize {
        let mut polled = 0;
        loop {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *queue, &mut self.turn);
            drop(queue);
            if self.turn.is_empty() {
                return polled;
            }
            for number in self.turn.drain(..) {
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
