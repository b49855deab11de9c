//! Peers built from other crates: marks to wait on, and sets of completed seqnos.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use event_listener::{Event, listener};
use rangemap::RangeInclusiveSet;

/// A mark behind a lock, with a condition variable.
#[derive(Debug, Default)]
pub struct CondvarMark {
    mark: Mutex<u64>,
    moved: Condvar,
}

impl CondvarMark {
    /// Moves the mark, and wakes one waiting thread.
    pub fn advance(&self, to: u64) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.moved.notify_one();
    }

    /// Blocks until the mark reaches `seqno`.
    pub fn wait_for(&self, seqno: u64) {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        while *mark < seqno {
            mark = self.moved.wait(mark).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An atomic mark with an event. The event does not know the seqnos, so it wakes all waiters.
#[derive(Debug, Default)]
pub struct EventMark {
    mark: AtomicU64,
    moved: Event,
}

impl EventMark {
    /// Moves the mark, and wakes all waiters.
    pub fn advance(&self, to: u64) {
        self.mark.fetch_max(to, Ordering::AcqRel);
        self.moved.notify(usize::MAX);
    }

    /// Waits until the mark reaches `seqno`.
    pub async fn reached(&self, seqno: u64) {
        while self.mark.load(Ordering::Acquire) < seqno {
            listener!(self.moved => listener);
            if self.mark.load(Ordering::Acquire) < seqno {
                listener.await;
            }
        }
    }
}

/// An atomic mark beside a heap of wakers. A waiter that is dropped stays in the heap.
#[derive(Debug, Default)]
pub struct HeapMark {
    mark: AtomicU64,
    waiters: Mutex<BinaryHeap<HeapWaiter>>,
}

#[derive(Debug)]
struct HeapWaiter {
    seqno: Reverse<u64>,
    waker: Waker,
}

impl Ord for HeapWaiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.seqno.cmp(&other.seqno)
    }
}

impl PartialOrd for HeapWaiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HeapWaiter {
    fn eq(&self, other: &Self) -> bool {
        self.seqno == other.seqno
    }
}

impl Eq for HeapWaiter {}

impl HeapMark {
    /// Moves the mark, and wakes the waiters that it reaches.
    pub fn advance(&self, to: u64) {
        self.mark.fetch_max(to, Ordering::AcqRel);
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pop = || {
            let is_reached = waiters.peek()?.seqno.0 <= to;
            is_reached.then(|| waiters.pop()).flatten()
        };
        let first = pop();
        let others: Vec<_> = std::iter::from_fn(pop).collect(); // allocates nothing if there is none
        drop(waiters);
        first.into_iter().chain(others).for_each(|waiter| waiter.waker.wake());
    }

    /// Waits until the mark reaches `seqno`.
    pub fn reached(self: &Arc<Self>, seqno: u64) -> HeapReached {
        HeapReached { mark: Arc::clone(self), seqno, is_queued: false }
    }
}

/// A future that is ready once a [`HeapMark`] reaches a seqno.
#[derive(Debug)]
pub struct HeapReached {
    mark: Arc<HeapMark>,
    seqno: u64,
    is_queued: bool,
}

impl Future for HeapReached {
    type Output = u64;

    /// Keeps the waker of the first poll. Every advance takes the lock after it has moved the mark,
    /// so a look at the mark under the lock is enough.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u64> {
        let HeapReached { mark, seqno, is_queued } = self.get_mut();
        let at = mark.mark.load(Ordering::Acquire);
        if at >= *seqno {
            return Poll::Ready(at);
        }
        if !*is_queued {
            let waker = context.waker().clone();
            let mut waiters = mark.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            let at = mark.mark.load(Ordering::Acquire);
            if at >= *seqno {
                return Poll::Ready(at);
            }
            waiters.push(HeapWaiter { seqno: Reverse(*seqno), waker });
            *is_queued = true;
        }
        Poll::Pending
    }
}

/// A mark that is read without a lock, and completed seqnos behind a lock.
#[derive(Debug)]
struct Prefix<T> {
    mark: AtomicU64,
    completed: Mutex<T>,
}

impl<T> Prefix<T> {
    fn new(completed: T) -> Self {
        Prefix { mark: AtomicU64::new(0), completed: Mutex::new(completed) }
    }

    fn applied(&self) -> u64 {
        self.mark.load(Ordering::Acquire)
    }

    /// Runs `complete` under the lock. It gets the old mark and returns the new one.
    fn complete(&self, complete: impl FnOnce(&mut T, u64) -> u64) -> u64 {
        let mut completed = self.completed.lock().unwrap_or_else(PoisonError::into_inner);
        let was = self.mark.load(Ordering::Relaxed);
        let mark = complete(&mut completed, was);
        if mark > was {
            self.mark.store(mark, Ordering::Release);
        }
        mark
    }
}

/// Completed seqnos as ranges. The first one starts at 0, and its end is the mark.
#[derive(Debug)]
pub struct RangeWindow(Prefix<RangeInclusiveSet<u64>>);

impl Default for RangeWindow {
    fn default() -> Self {
        RangeWindow(Prefix::new([0..=0].into_iter().collect()))
    }
}

impl RangeWindow {
    /// Returns the mark.
    pub fn applied(&self) -> u64 {
        self.0.applied()
    }

    /// Completes `seqno`, and returns the mark.
    pub fn complete(&self, seqno: u64) -> u64 {
        self.0.complete(|ranges, mark| {
            ranges.insert(seqno..=seqno);
            ranges.first().map_or(mark, |first| *first.end())
        })
    }
}

/// A set of the seqnos completed above the mark.
#[derive(Debug)]
pub struct SeqnoWindow(Prefix<BTreeSet<u64>>);

impl Default for SeqnoWindow {
    fn default() -> Self {
        SeqnoWindow(Prefix::new(BTreeSet::new()))
    }
}

impl SeqnoWindow {
    /// Returns the mark.
    pub fn applied(&self) -> u64 {
        self.0.applied()
    }

    /// Completes `seqno`, and returns the mark.
    pub fn complete(&self, seqno: u64) -> u64 {
        self.0.complete(|seqnos, mut mark| {
            if seqno > mark + 1 {
                seqnos.insert(seqno);
                return mark;
            }
            mark = mark.max(seqno);
            while seqnos.first() == Some(&(mark + 1)) {
                seqnos.pop_first();
                mark += 1;
            }
            mark
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_wakes_the_waiters_that_an_advance_reaches() {
        let mark = Arc::new(HeapMark::default());
        let woken = Arc::new(Alarms::default());
        let waker = Waker::from(Arc::clone(&woken));
        let poll =
            |waiter: &mut HeapReached| Pin::new(waiter).poll(&mut Context::from_waker(&waker));
        let mut waiters = [3, 1, 2].map(|seqno| mark.reached(seqno));
        assert!(waiters.iter_mut().all(|waiter| poll(waiter).is_pending()));
        mark.advance(2);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(waiters.each_mut().map(poll), [Poll::Pending, Poll::Ready(2), Poll::Ready(2)]);
        mark.advance(3);
        assert_eq!(woken.0.load(Ordering::Relaxed), 3);
    }

    #[derive(Default)]
    struct Alarms(AtomicU64);

    impl std::task::Wake for Alarms {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_peers_advance_their_marks_over_the_contiguous_prefix() {
        let (ranges, seqnos) = (RangeWindow::default(), SeqnoWindow::default());
        for (seqno, mark) in [(3, 0), (1, 1), (5, 1), (2, 3), (2, 3), (4, 5)] {
            assert_eq!((ranges.complete(seqno), seqnos.complete(seqno)), (mark, mark));
        }
        assert_eq!((ranges.applied(), seqnos.applied()), (5, 5));
    }
}
