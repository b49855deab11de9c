//! Marks to wait on, and sets of completed seqnos, as one would make them of other crates.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use event_listener::{Event, listener};
use rangemap::RangeInclusiveSet;

/// A mark behind a lock, and a condition variable.
#[derive(Debug, Default)]
pub struct CondvarMark {
    mark: Mutex<u64>,
    moved: Condvar,
}

impl CondvarMark {
    /// Moves the mark, and wakes the one thread that may wait.
    pub fn advance(&self, to: u64) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.moved.notify_one();
    }

    /// Blocks until the mark is there.
    pub fn wait_for(&self, seqno: u64) {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        while *mark < seqno {
            mark = self.moved.wait(mark).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An atomic mark, and an event of its moving. The event knows nothing of seqnos: all are notified.
#[derive(Debug, Default)]
pub struct EventMark {
    mark: AtomicU64,
    moved: Event,
}

impl EventMark {
    /// Moves the mark, and wakes all who wait.
    pub fn advance(&self, to: u64) {
        self.mark.fetch_max(to, Ordering::AcqRel);
        self.moved.notify(usize::MAX);
    }

    /// Waits until the mark is there.
    pub async fn reached(&self, seqno: u64) {
        while self.mark.load(Ordering::Acquire) < seqno {
            listener!(self.moved => listener);
            if self.mark.load(Ordering::Acquire) < seqno {
                listener.await;
            }
        }
    }
}

/// A mark that is read without a lock, and what moves it over the contiguous prefix behind one.
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

    /// `complete` gets the mark and returns it as it is then.
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

/// Completed seqnos as ranges; the first of them begins at 0, and its end is the mark.
#[derive(Debug)]
pub struct RangeWindow(Prefix<RangeInclusiveSet<u64>>);

impl Default for RangeWindow {
    fn default() -> Self {
        RangeWindow(Prefix::new([0..=0].into_iter().collect()))
    }
}

impl RangeWindow {
    /// The mark.
    pub fn applied(&self) -> u64 {
        self.0.applied()
    }

    /// Returns the mark right after.
    pub fn complete(&self, seqno: u64) -> u64 {
        self.0.complete(|ranges, mark| {
            ranges.insert(seqno..=seqno);
            ranges.first().map_or(mark, |first| *first.end())
        })
    }
}

/// The seqnos completed above the mark, one by one.
#[derive(Debug)]
pub struct SeqnoWindow(Prefix<BTreeSet<u64>>);

impl Default for SeqnoWindow {
    fn default() -> Self {
        SeqnoWindow(Prefix::new(BTreeSet::new()))
    }
}

impl SeqnoWindow {
    /// The mark.
    pub fn applied(&self) -> u64 {
        self.0.applied()
    }

    /// Returns the mark right after.
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
    fn the_peers_move_their_marks_over_the_contiguous_prefix() {
        let (ranges, seqnos) = (RangeWindow::default(), SeqnoWindow::default());
        for (seqno, mark) in [(3, 0), (1, 1), (5, 1), (2, 3), (2, 3), (4, 5)] {
            assert_eq!((ranges.complete(seqno), seqnos.complete(seqno)), (mark, mark));
        }
        assert_eq!((ranges.applied(), seqnos.applied()), (5, 5));
    }
}
