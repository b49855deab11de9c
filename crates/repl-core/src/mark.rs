//! One atomic high-water mark, and the argument for its memory orderings.
//!
//! # Orderings
//! There is one atomic, `seqno`, and its modification order only rises: every write to it is a
//! `fetch_max`, a `fetch_add` of 0, or a compare-and-swap of a lower seqno for a higher one.
//!
//! **Publication.** [`Mark::raise`] writes with `Release`, [`Mark::get`] reads with `Acquire`. A
//! reader that gets `n` reads from some write in the modification order. That write, or one before
//! it, is the raise that first brought the mark to `n`. A `fetch_max` that follows a release write
//! continues its release sequence, because it is a read-modify-write. So the reader synchronizes
//! with *every* raise up to the one it reads from, and observes everything that their threads wrote
//! before them. A plain store would end the sequence as well as let the mark fall.
//! - With a `Relaxed` write or a `Relaxed` read the reader may observe the mark and not the data:
//!   the loom twin `a_relaxed_mark_publishes_nothing` fails on that.
//! - With a load, a comparison and a store in place of the `fetch_max` a slower thread overwrites a
//!   larger mark: the loom twin `a_plain_store_lets_the_mark_fall` fails on that.
//!
//! **Why `AcqRel` and not `Release`.** The `Acquire` half orders a thread that raises the mark from
//! `a` to `b` after the thread that raised it to `a`. So an applier that builds on the segment
//! before observes it whole, and `Advanced { from }` is as good as a read of `from`.
//!
//! **A stale raise** need not publish anything. It is mostly found by one `Acquire` load before it. The
//! load keeps the cache line shared, where a `fetch_max` that changes nothing would still take it
//! exclusively. The load may return an old mark; the mark has risen
//! since, so the raise is stale all the more.
//!
//! **Synchronized load.** [`Mark::sync_load`] is a `fetch_add` of 0. It changes nothing, returns the
//! newest mark, and takes a place in the modification order. A thread that first stores something
//! elsewhere and then makes a synchronized load is observed by every later raise, and observes
//! every earlier one: `waiters.rs` and `cell/prefix.rs` rest on it.
//!
//! Nothing here needs `SeqCst`: all threads agree on the modification order of one atomic.

use crate::ids::SeqNo;
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Mark {
    seqno: AtomicU64,
}

impl Mark {
    pub(crate) fn new(seqno: SeqNo) -> Self {
        Mark { seqno: AtomicU64::new(seqno) }
    }

    #[inline]
    pub(crate) fn get(&self) -> SeqNo {
        self.seqno.load(Ordering::Acquire)
    }

    /// Raises the mark to `to` unless it is there or above, and returns where it was.
    #[inline]
    pub(crate) fn raise(&self, to: SeqNo) -> SeqNo {
        self.seqno.fetch_max(to, Ordering::AcqRel)
    }

    /// The same where the mark was just read as `at`, below `to`: one instruction, where `fetch_max`
    /// reads the mark once more on processors that make a loop of it.
    #[inline]
    pub(crate) fn raise_from(&self, at: SeqNo, to: SeqNo) -> SeqNo {
        debug_assert!(at < to, "a mark never falls");
        match self.seqno.compare_exchange(at, to, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(from) => from,
            Err(_) => self.raise(to),
        }
    }

    /// Returns the newest mark, never an older one that a plain load might still return.
    #[inline]
    pub(crate) fn sync_load(&self) -> SeqNo {
        self.seqno.fetch_add(0, Ordering::AcqRel)
    }
}
