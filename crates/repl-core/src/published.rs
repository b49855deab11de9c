//! How readers come by the current table without locks: each thread keeps the table that it used
//! last, and one load tells it whether that is still the current one.
//!
//! # Orderings
//! [`Published::replace`] first stores the table, then its version with `Release`;
//! [`Published::read`] loads the version with `Acquire`. Whoever sees the version sees the table
//! that it names, or a newer one; and whoever is told that a replacement has happened (by a lock, a
//! channel, an answer of [`Advance::Removed`](crate::Advance::Removed)) sees its version, so it
//! cannot go on with its old table. With a `Relaxed` load it could.
//!
//! Versions are drawn from one counter of the process, so a version names one table of one state.
//!
//! # Why not a counted reference alone
//! Taking and giving back a reference costs two locked instructions a look-up, about twice what the
//! look-up itself costs (docs/benchmarks.md). The price of the cache is memory: a thread keeps alive
//! the last table of each of up to [`SLOTS`] states that it looked up shards in by id, until it
//! looks up in another or ends.

use crate::table::Table;

#[cfg(loom)]
pub(crate) use stand_in::Published;

#[cfg(not(loom))]
pub(crate) use cached::Published;

#[cfg(not(loom))]
mod cached {
    use std::cell::RefCell;
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    use super::Table;
    use crate::sync::{AtomicU64, Ordering};

    /// So many states can be looked up in in turn without one pushing the other out.
    const SLOTS: usize = 4;

    struct Versioned {
        version: u64,
        table: Table,
    }

    impl Versioned {
        fn new(table: Table) -> Arc<Self> {
            static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);
            Arc::new(Versioned { version: NEXT_VERSION.fetch_add(1, Ordering::Relaxed), table })
        }
    }

    thread_local! {
        static CACHE: RefCell<[Option<Arc<Versioned>>; SLOTS]> =
            const { RefCell::new([const { None }; SLOTS]) };
    }

    pub(crate) struct Published {
        version: AtomicU64,
        slot: usize,
        current: ArcSwap<Versioned>,
    }

    impl Published {
        pub(crate) fn new(table: Table) -> Self {
            let first = Versioned::new(table);
            let slot = usize::try_from(first.version % SLOTS as u64).unwrap_or(0);
            let version = AtomicU64::new(first.version);
            Published { version, slot, current: ArcSwap::new(first) }
        }

        /// Runs `f` on the current table.
        #[inline]
        pub(crate) fn read<R>(&self, f: impl Fn(&Table) -> R) -> R {
            let version = self.version.load(Ordering::Acquire);
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

        /// The same, where the cache holds another table, is in use further up the stack, or is
        /// gone as the thread ends.
        #[cold]
        fn read_current<R>(&self, f: impl Fn(&Table) -> R) -> R {
            let current = self.current.load_full();
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
            let version = next.version;
            self.current.store(next);
            self.version.store(version, Ordering::Release);
        }
    }
}

/// Loom cannot look inside `arc_swap`. Under loom a mutex with the same promise takes its place:
/// the models check what the rest of the crate makes of the promise.
#[cfg(loom)]
mod stand_in {
    use std::sync::Arc;

    use super::Table;
    use crate::sync::{Mutex, locked};

    pub(crate) struct Published(Mutex<Arc<Table>>);

    impl Published {
        pub(crate) fn new(table: Table) -> Self {
            Published(Mutex::new(Arc::new(table)))
        }

        pub(crate) fn read<R>(&self, f: impl Fn(&Table) -> R) -> R {
            f(&locked(&self.0, |table| Arc::clone(table)))
        }

        pub(crate) fn replace(&self, table: Table) {
            locked(&self.0, |current| *current = Arc::new(table));
        }
    }
}
