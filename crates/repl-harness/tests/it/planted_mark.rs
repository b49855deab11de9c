//! The mark of one incarnation of a shard and its queue of waiters, with room for bugs.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, WaitError};
use repl_harness::stress::{Changes, Wait, Waited};

use crate::planted::Bug;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mark beside the real one.
pub(crate) struct PlantedMark {
    pub(crate) value: AtomicU64,
    /// Whether a window may move the real mark on after an advance.
    pub(crate) has_window: AtomicBool,
    queue: Mutex<Queue>,
    advances: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(SeqNo, u64, Waker)>,
    next_ticket: u64,
    /// The error of every current and future wait, once there is one.
    ended: Option<WaitError>,
}

impl PlantedMark {
    pub(crate) fn new(mark: SeqNo, closed: bool) -> Self {
        let queue = Queue { ended: closed.then_some(WaitError::Closed), ..Queue::default() };
        PlantedMark {
            value: AtomicU64::new(mark),
            has_window: AtomicBool::new(false),
            queue: Mutex::new(queue),
            advances: AtomicU64::new(0),
        }
    }

    pub(crate) fn applied(&self) -> SeqNo {
        self.value.load(Ordering::Acquire)
    }

    /// Wakes the waiters whose seqno is reached.
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

    /// Fails current and future waits. With `forgets`, one waiter is not woken.
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

/// A wait for a seqno.
pub(crate) struct PlantedWait<B> {
    /// `None` for a shard that is not tracked.
    mark: Option<Arc<PlantedMark>>,
    seqno: SeqNo,
    ticket: Option<u64>,
    bug: PhantomData<fn() -> B>,
}

impl<B: Bug> PlantedWait<B> {
    pub(crate) fn new(mark: &Arc<PlantedMark>, seqno: SeqNo) -> Self {
        PlantedWait { mark: Some(Arc::clone(mark)), seqno, ticket: None, bug: PhantomData }
    }

    pub(crate) fn of_unknown_shard() -> Self {
        PlantedWait { mark: None, seqno: 0, ticket: None, bug: PhantomData }
    }

    fn outcome(&self, mark: &PlantedMark, queue: &Queue) -> Option<Waited> {
        let at = mark.applied();
        match queue.ended {
            Some(WaitError::Removed) => Some(Err(WaitError::Removed)),
            _ if at.saturating_add(B::REACHED_EARLY_BY) >= self.seqno => Some(Ok(at)),
            ended => ended.map(Err),
        }
    }
}

impl<B: Bug> Future for PlantedWait<B> {
    type Output = Waited;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Waited> {
        let Some(mark) = self.mark.clone() else {
            return Poll::Ready(Err(WaitError::UnknownShard));
        };
        let mut queue = locked(&mark.queue);
        if let Some(result) = self.outcome(&mark, &queue) {
            return Poll::Ready(result);
        }
        if B::NO_SECOND_LOOK {
            drop(queue);
            thread::yield_now();
            queue = locked(&mark.queue);
        }
        queue.next_ticket += 1;
        let ticket = queue.next_ticket;
        let old = self.ticket.replace(ticket);
        queue.waiting.retain(|(_, ticket, _)| Some(*ticket) != old);
        queue.waiting.push((self.seqno, ticket, context.waker().clone()));
        Poll::Pending
    }
}

impl<B> Drop for PlantedWait<B> {
    fn drop(&mut self) {
        if let (Some(mark), Some(own)) = (&self.mark, self.ticket) {
            locked(&mark.queue).waiting.retain(|(_, ticket, _)| *ticket != own);
        }
    }
}

impl<B: Bug> Wait for PlantedWait<B> {
    fn wait(self) -> Waited {
        block(self, None)
    }

    fn wait_timeout(self, timeout: Duration) -> Waited {
        block(self, Some(timeout))
    }
}

fn block(mut wait: impl Future<Output = Waited> + Unpin, timeout: Option<Duration>) -> Waited {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = Pin::new(&mut wait).poll(&mut context) {
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

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Follows the changes of a mark.
pub(crate) struct PlantedChanges<B> {
    pub(crate) mark: Arc<PlantedMark>,
    pub(crate) next: SeqNo,
    pub(crate) bug: PhantomData<fn() -> B>,
}

impl<B: Bug> Changes for PlantedChanges<B> {
    type Next<'a> = PlantedNext<'a, B>;

    fn next(&mut self) -> PlantedNext<'_, B> {
        PlantedNext { wait: PlantedWait::new(&self.mark, self.next), next: &mut self.next }
    }
}

/// A wait for the next change of a mark.
pub(crate) struct PlantedNext<'a, B> {
    wait: PlantedWait<B>,
    next: &'a mut SeqNo,
}

impl<B: Bug> Future for PlantedNext<'_, B> {
    type Output = Waited;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Waited> {
        let poll = Pin::new(&mut self.wait).poll(context);
        if let Poll::Ready(Ok(mark)) = poll {
            *self.next = mark + 1;
        }
        poll
    }
}

impl<B: Bug> Wait for PlantedNext<'_, B> {
    fn wait(self) -> Waited {
        block(self, None)
    }

    fn wait_timeout(self, timeout: Duration) -> Waited {
        block(self, Some(timeout))
    }
}
