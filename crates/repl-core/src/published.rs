//! How readers find the current table without locks: each thread keeps the table that it used last,
//! and one load tells it whether that is still the current one.
//!
//! # Orderings
//! [`Published::replace`] stores the new version *first* and the table second. So a thread that has
//! seen the new table, and every thread that it informs, sees the new version, and cannot go on with
//! the old table in its cache: look-ups never go back in time from one thread to the next. Stored
//! second, the version lags behind a table that some threads already use: the loom model
//! `a_thread_informed_by_a_reader_of_the_new_table_finds_it_too` fails on that.
//!
//! The version itself is `Relaxed`. It is never used to reach a table, only to doubt the cached one:
//! the table comes with its own synchronization, from `arc_swap`. A thread that is informed of a
//! replacement (by its return, a channel, an [`Advance::Removed`](crate::Advance::Removed)) is
//! informed by something that orders the two, and then the load cannot return an older version. A
//! thread that sees the version and not yet the table takes the old one from `arc_swap` once more:
//! the replacement has not returned yet.
//!
//! Versions are drawn from one counter of the process, so a version names one table of one state.
//!
//! # Why not a counted reference alone
//! Taking and giving back a reference costs two locked instructions a look-up. The price of the
//! cache is memory: a thread keeps alive the last table of each of up to `SLOTS` states in which it
//! looked up shards by id, until it looks up in another or ends.

use std::cell::RefCell;
use std::sync::Arc;
// Versions must only differ; nothing is ordered by drawing them.
use std::sync::atomic::AtomicU64 as Counter;

use crate::sync::{AtomicU64, Ordering, Swap};
use crate::table::Table;

/// The number of states that a thread can look up in without one evicting another.
const SLOTS: usize = 4;

struct Versioned {
    version: u64,
    table: Table,
}

impl Versioned {
    fn new(table: Table) -> Arc<Self> {
        static NEXT_VERSION: Counter = Counter::new(1);
        let version = NEXT_VERSION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(Versioned { version, table })
    }
}

type Cache = RefCell<[Option<Arc<Versioned>>; SLOTS]>;

#[cfg(not(loom_models))]
std::thread_local! {
    static CACHE: Cache = const { RefCell::new([const { None }; SLOTS]) };
}
// Loom's macro has no `const` form.
#[cfg(loom_models)]
loom::thread_local! {
    static CACHE: Cache = RefCell::new([const { None }; SLOTS]);
}

pub(crate) struct Published {
    version: AtomicU64,
    slot: usize,
    current: Swap<Versioned>,
}

impl Published {
    pub(crate) fn new(table: Table) -> Self {
        static NEXT_STATE: Counter = Counter::new(0);
        let state = NEXT_STATE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let first = Versioned::new(table);
        let slot = usize::try_from(state % SLOTS as u64).unwrap_or(0);
        let version = AtomicU64::new(first.version);
        Published { version, slot, current: Swap::new(first) }
    }

    /// Runs `f` on the current table.
    #[inline]
    pub(crate) fn read<R>(&self, f: impl Fn(&Table) -> R) -> R {
        let version = self.version.load(Ordering::Relaxed);
        let cached = CACHE.try_with(|cache| {
            let cache = cache.try_borrow().ok()?;
            let table = cache.get(self.slot)?.as_ref()?;
            (table.version == version).then(|| f(&table.table))
        });
        match cached {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => self.read_current(f),
        }
    }

    /// The same, where the cache holds another table, is in use further up the stack, or is gone as
    /// the thread ends.
    #[cold]
    fn read_current<R>(&self, f: impl Fn(&Table) -> R) -> R {
        let current = self.current.get();
        let result = f(&current.table);
        let _ = CACHE.try_with(|cache| {
            if let Ok(mut cache) = cache.try_borrow_mut() {
                cache[self.slot] = Some(current);
            }
        });
        result
    }

    /// Replaces the table. One caller at a time.
    pub(crate) fn replace(&self, table: Table) {
        let next = Versioned::new(table);
        self.version.store(next.version, Ordering::Relaxed);
        self.current.replace(next);
    }
}
