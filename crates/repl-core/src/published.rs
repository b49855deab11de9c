//! How readers find the current root without locks: each thread keeps the root that it used last,
//! and one load tells it whether that is still the current one.
//!
//! # Orderings
//! [`Published::replace`] stores the new version *first* and the root second. So a thread that has
//! seen the new root, and every thread that it informs, sees the new version, and cannot go on with
//! the old root in its cache: look-ups never go back in time from one thread to the next. Stored
//! second, the version lags behind a root that some threads already use: the loom model
//! `a_thread_informed_by_a_reader_of_the_new_table_finds_it_too` fails on that.
//!
//! The version itself is `Relaxed`. It is never used to reach a root, only to doubt the cached one:
//! the root comes with its own synchronization, from `arc_swap`. A thread that is informed of a
//! replacement (by its return, a channel, an [`Advance::Removed`](crate::Advance::Removed)) is
//! informed by something that orders the two, and then the load cannot return an older version. A
//! thread that sees the version and not yet the root takes the old one from `arc_swap` once more:
//! the replacement has not returned yet.
//!
//! Versions are drawn from one counter of the process, so a version names one root of one state.
//!
//! # Why not a counted reference alone
//! Taking and giving back a reference costs two locked instructions a look-up. The price of the
//! cache is memory: a thread keeps alive the last root of each of up to `STATES` states in which it
//! looked up shards by id, until it looks up in another or ends. What is large is *leased*: the
//! cache then shares it through a lock that the state can take it out of, when the state is dropped
//! or much was removed. Only its own thread takes that lock otherwise.

#[cfg(all(test, not(loom_models)))]
mod tests;

use std::cell::RefCell;
use std::sync::{Arc, Weak};
// Versions must only differ; nothing is ordered by drawing them.
use std::sync::atomic::AtomicU64 as Counter;

use crate::index::Found;
use crate::root::Root;
use crate::sync::{AtomicU64, Mutex, Ordering, Swap, locked, try_locked};

/// The number of states that a thread can look up in without one evicting another.
const STATES: usize = 4;

/// A state with this many shards or more is large.
const LARGE: usize = if cfg!(loom_models) { 2 } else { 1 << 17 };

/// A root, and the version that names it.
#[derive(Clone)]
struct Versioned {
    version: u64,
    root: Root,
}

impl Versioned {
    fn new(root: Root) -> Self {
        static NEXT_VERSION: Counter = Counter::new(1);
        let version = NEXT_VERSION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Versioned { version, root }
    }
}

/// A root that a thread uses and its state can take away.
type Lease = Mutex<Option<Versioned>>;

/// What a thread keeps of one state: its root, or a lease.
struct Entry {
    /// 0 for an entry that is not in use.
    version: u64,
    root: Option<Root>,
    lease: Option<Arc<Lease>>,
    state: u64,
}

impl Entry {
    const UNUSED: Entry = Entry { version: 0, root: None, lease: None, state: 0 };
}

type Cache = RefCell<[Entry; STATES]>;

#[cfg(not(loom_models))]
std::thread_local! {
    static CACHE: Cache = const { RefCell::new([Entry::UNUSED; STATES]) };
}
// Loom's macro has no `const` form.
#[cfg(loom_models)]
loom::thread_local! {
    static CACHE: Cache = RefCell::new([Entry::UNUSED; STATES]);
}

pub(crate) struct Published {
    version: AtomicU64,
    state: u64,
    current: Swap<Versioned>,
    /// The leases of all threads. Those of threads that have ended are dropped.
    leases: Mutex<Vec<Weak<Lease>>>,
}

impl Published {
    pub(crate) fn new(root: Root) -> Self {
        static NEXT_STATE: Counter = Counter::new(0);
        let state = NEXT_STATE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let first = Versioned::new(root);
        let version = AtomicU64::new(first.version);
        Published { version, state, current: Swap::new(first.into()), leases: Mutex::default() }
    }

    /// Looks up in the current root; `None` if the shard is not there.
    #[inline]
    pub(crate) fn find<R>(&self, look_up: impl Fn(&Root) -> Found<R> + Copy) -> Option<R> {
        let version = self.version.load(Ordering::Relaxed);
        let cached = CACHE.try_with(|cache| {
            let cache = cache.try_borrow().ok()?;
            // Versions are of one state alone.
            let [first, others @ ..] = &*cache;
            let entry = if first.version == version {
                first
            } else {
                others.iter().find(|entry| entry.version == version)?
            };
            match &entry.root {
                Some(root) => Some(look_up(root)),
                None => entry.find_leased(look_up),
            }
        });
        match cached {
            Ok(Some(Found::Cell(result))) => Some(result),
            Ok(Some(Found::Nothing)) => None,
            Ok(Some(Found::Other) | None) | Err(_) => self.find_in_current(look_up),
        }
    }

    /// The same, where the cache does not hold the current root, is in use further up the stack, or
    /// is gone as the thread ends.
    #[cold]
    fn find_in_current<R>(&self, look_up: impl Fn(&Root) -> Found<R> + Copy) -> Option<R> {
        let mut current = self.current.get();
        let found = loop {
            match look_up(&current.root) {
                Found::Cell(result) => break Some(result),
                Found::Nothing => break None,
                Found::Other => {}
            }
            // The index says where a cell is only after the root that leads there is published.
            let newer = self.current.get();
            if newer.version == current.version {
                break None;
            }
            current = newer;
        };
        let _evicted = CACHE.try_with(|cache| {
            let mut cache = cache.try_borrow_mut().ok()?;
            Some(self.keep(&mut cache, Versioned::clone(&current)))
        });
        found
    }

    /// Puts a root into the cache of this thread. Returns what it takes the place of, to be dropped
    /// when the cache is free again.
    fn keep(&self, cache: &mut [Entry; STATES], current: Versioned) -> Evicted {
        let state = self.state;
        // An entry that is not in use is of state 0, and as good for it as the next one.
        let place = cache.iter().position(|entry| entry.state == state);
        let place = place.or_else(|| cache.iter().position(|entry| entry.version == 0));
        let place = place.unwrap_or(usize::try_from(state % STATES as u64).unwrap_or(0));
        let entry = &mut cache[place];
        let version = current.version;
        if current.root.index.shards() < LARGE {
            let new = Entry { version, root: Some(current.root), lease: None, state };
            return Evicted(std::mem::replace(entry, new), None);
        }
        if let Some(lease) = entry.lease.as_ref().filter(|_| entry.state == state) {
            entry.version = version;
            return Evicted(Entry::UNUSED, locked(lease, |kept| kept.replace(current)));
        }
        let lease = Arc::new(Lease::new(Some(current)));
        locked(&self.leases, |leases| {
            leases.retain(|lease| lease.strong_count() > 0);
            leases.push(Arc::downgrade(&lease));
        });
        let new = Entry { version, root: None, lease: Some(lease), state };
        Evicted(std::mem::replace(entry, new), None)
    }

    /// Replaces the root. One caller at a time.
    pub(crate) fn replace(&self, root: Root) {
        let next = Versioned::new(root);
        self.version.store(next.version, Ordering::Relaxed);
        self.current.replace(next.into());
    }

    /// Takes the roots of all threads out of their caches, if they are large.
    pub(crate) fn end_leases(&self) {
        let alive =
            |leases: &mut Vec<Weak<Lease>>| leases.iter().filter_map(Weak::upgrade).collect();
        let leases: Vec<Arc<Lease>> = locked(&self.leases, alive);
        for lease in leases {
            drop(locked(&lease, Option::take));
        }
    }
}

impl Entry {
    /// Looks up in the root that is leased; `None` if the state has taken it away.
    fn find_leased<R>(&self, look_up: impl Fn(&Root) -> Found<R>) -> Option<Found<R>> {
        try_locked(self.lease.as_ref()?, |kept| {
            let kept = kept.as_ref().filter(|kept| kept.version == self.version)?;
            Some(look_up(&kept.root))
        })?
    }
}

/// What has left a cache, to be dropped.
struct Evicted(#[expect(dead_code)] Entry, #[expect(dead_code)] Option<Versioned>);

impl Drop for Published {
    fn drop(&mut self) {
        self.end_leases();
    }
}
