//! One life of a shard with room for bugs: its mark in an atomic of its own beside the real one,
//! and who waits for it in a queue of its own.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, WaitError};
use repl_harness::stress::{Changes, Waited, Waiting};

use crate::planted::Bug;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Life {
    pub(crate) mark: AtomicU64,
    /// The real mark may move on after an advance.
    pub(crate) has_window: AtomicBool,
    queue: Mutex<Queue>,
    advances: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(SeqNo, u64, Waker)>,
    next_ticket: u64,
    /// Why nobody waits any more.
    ended: Option<WaitError>,
}

impl Life {
    pub(crate) fn new(mark: SeqNo, closed: bool) -> Self {
        let queue = Queue { ended: closed.then_some(WaitError::Closed), ..Queue::default() };
        let has_window = AtomicBool::new(false);
        Life {
            mark: AtomicU64::new(mark),
            has_window,
            queue: Mutex::new(queue),
            advances: AtomicU64::new(0),
        }
    }

    pub(crate) fn applied(&self) -> SeqNo {
        self.mark.load(Ordering::Acquire)
    }

    /// Wakes those whose seqno is reached.
    pub(crate) fn wake<B: Bug>(&self) {
        let advances = self.advances.fetch_add(1, Ordering::Relaxed);
        if B::FORGETS_TO_WAKE && advances % 16 == 7 {
            return;
        }
        let at = self.applied().saturating_add(B::REACHED_EARLY_BY);
        let reached = |waiting: &mut (SeqNo, u64, Waker)| waiting.0 <= at;
        let woken: Vec<_> = locked(&self.queue).waiting.extract_if(.., reached).collect();
        for (_, _, waker) in woken {
            waker.wake();
        }
    }

    /// Ends all waiting; with `forgets` one who waits is not told.
    pub(crate) fn end(&self, why: WaitError, forgets: bool) {
        let mut queue = locked(&self.queue);
        if queue.ended != Some(WaitError::Removed) {
            queue.ended = Some(why);
        }
        let woken = std::mem::take(&mut queue.waiting);
        drop(queue);
        for (_, _, waker) in woken.into_iter().skip(usize::from(forgets)) {
            waker.wake();
        }
    }
}

pub(crate) struct Wait<B> {
    life: Arc<Life>,
    seqno: SeqNo,
    ticket: Option<u64>,
    bug: PhantomData<fn() -> B>,
}

impl<B: Bug> Wait<B> {
    pub(crate) fn new(life: &Arc<Life>, seqno: SeqNo) -> Self {
        Wait { life: Arc::clone(life), seqno, ticket: None, bug: PhantomData }
    }

    fn outcome(&self, queue: &Queue) -> Option<Waited> {
        let at = self.life.applied();
        match queue.ended {
            Some(WaitError::Removed) => Some(Err(WaitError::Removed)),
            _ if at.saturating_add(B::REACHED_EARLY_BY) >= self.seqno => Some(Ok(at)),
            ended => ended.map(Err),
        }
    }

    pub(crate) fn block(mut self, timeout: Option<Duration>) -> Waited {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waker = Waker::from(Arc::new(Unparks(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(&mut context) {
                return result;
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WaitError::Timeout);
            }
            thread::park_timeout(left);
        }
    }
}

impl<B: Bug> Future for Wait<B> {
    type Output = Waited;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Waited> {
        let life = Arc::clone(&self.life);
        let mut queue = locked(&life.queue);
        if let Some(result) = self.outcome(&queue) {
            return Poll::Ready(result);
        }
        if B::NO_SECOND_LOOK {
            drop(queue);
            thread::yield_now();
            queue = locked(&life.queue);
        }
        queue.next_ticket += 1;
        let ticket = queue.next_ticket;
        let old = self.ticket.replace(ticket);
        queue.waiting.retain(|(_, ticket, _)| Some(*ticket) != old);
        queue.waiting.push((self.seqno, ticket, context.waker().clone()));
        Poll::Pending
    }
}

impl<B> Drop for Wait<B> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            locked(&self.life.queue).waiting.retain(|(_, ticket, _)| Some(*ticket) != self.ticket);
        }
    }
}

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) struct PlantedChanges<B> {
    pub(crate) life: Arc<Life>,
    pub(crate) next: SeqNo,
    pub(crate) bug: PhantomData<fn() -> B>,
}

impl<B: Bug> PlantedChanges<B> {
    fn saw(&mut self, result: Waited) -> Waited {
        self.next = result.map_or(self.next, |mark| mark + 1);
        result
    }
}

impl<B: Bug> Changes for PlantedChanges<B> {
    fn next(&mut self) -> Waiting<'_> {
        Box::pin(async {
            let result = Wait::<B>::new(&self.life, self.next).await;
            self.saw(result)
        })
    }

    fn wait_next_timeout(&mut self, timeout: Duration) -> Waited {
        let result = Wait::<B>::new(&self.life, self.next).block(Some(timeout));
        self.saw(result)
    }
}
