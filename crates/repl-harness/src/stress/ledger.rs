//! What was asked and what was seen: the numbers that a subject's answers are held against.
//!
//! A number that bounds marks from above is raised *before* the call that may move the mark there,
//! one that bounds them from below *after* it was seen. So both hold at every instant, and no lock
//! is held over a call to the subject, which would hide its races.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use repl_core::{AppliedSet, Incarnation, SeqNo, ShardId};

use super::work::Work;

/// How many ended lives of a shard are remembered.
const REMEMBERED: usize = 64;

/// The answer is right even where an earlier holder panicked: each change is one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Advanced to seqnos that say who asked for them.
    Plain,
    /// The same, by two threads in turn.
    Relay,
    /// Completed out of order, through a window of this capacity: its seqnos are dense.
    Window { capacity: u64 },
}

impl Kind {
    pub(crate) fn has_window(self) -> bool {
        matches!(self, Kind::Window { .. })
    }
}

/// One life of one shard.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) shard: ShardId,
    pub(crate) incarnation: Incarnation,
    /// The mark that it began with, once the call that began it has returned.
    pub(crate) start: OnceLock<SeqNo>,
    /// At most this was asked for through handles.
    pub(crate) asked: AtomicU64,
    /// At least this was asked for by id while it was the shard's life.
    pub(crate) asked_by_id: AtomicU64,
    /// At least this its mark is.
    pub(crate) seen: AtomicU64,
    /// What the advancers through handles wrote, with nothing but the subject to publish it.
    pub(crate) written: AtomicU64,
    /// For a shard that is completed out of order.
    pub(crate) work: Option<Work>,
    /// At least this is durable in the engine.
    pub(crate) flushed: AtomicU64,
    /// At least these were given out.
    pub(crate) checkpointed: AtomicU64,
    pub(crate) floor: AtomicU64,
    /// Set before the call that ends it.
    pub(crate) ending: AtomicBool,
    /// Set after that call.
    pub(crate) ended: AtomicBool,
}

impl Life {
    fn new(shard: ShardId, kind: Kind, incarnation: Incarnation) -> Self {
        Life {
            shard,
            incarnation,
            start: OnceLock::new(),
            asked: AtomicU64::new(0),
            asked_by_id: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            written: AtomicU64::new(0),
            work: kind.has_window().then(Work::new),
            flushed: AtomicU64::new(0),
            checkpointed: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// The life is known to begin with these completed.
    pub(crate) fn begins(&self, found: &AppliedSet) {
        if let Some(work) = &self.work {
            work.begins(found);
        }
        let _ = self.start.set(found.mark());
    }

    /// At least this its mark is.
    pub(crate) fn has_seen(&self) -> SeqNo {
        let seen = self.seen.load(Ordering::SeqCst);
        self.work.as_ref().map_or(seen, |work| seen.max(work.least()))
    }

    /// To be called before an advance to `seqno` through a handle.
    pub(crate) fn asks(&self, seqno: SeqNo) {
        self.written.fetch_max(seqno, Ordering::Relaxed);
        self.asked.fetch_max(seqno, Ordering::SeqCst);
    }
}

/// Which life a shard has, as far as one look can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    version: u64,
    pub(crate) current: Option<Incarnation>,
}

impl View {
    /// Whether the shard had this life all the time from this look to `later`.
    pub(crate) fn held_until(&self, later: &View) -> bool {
        self.version.is_multiple_of(2) && self == later
    }
}

/// One shard, through all its lives.
#[derive(Debug)]
pub(crate) struct ShardLedger {
    pub(crate) shard: ShardId,
    pub(crate) kind: Kind,
    /// Held while its life is changed: one change of one shard at a time. Changes of different
    /// shards race with each other.
    pub(crate) changing: Mutex<Changes>,
    /// Odd while its life is changed.
    version: AtomicU64,
    /// The incarnation plus one; 0 while it is not tracked.
    current: AtomicU64,
    /// The highest incarnation that a look-up has found.
    pub(crate) found: AtomicU64,
    /// At most this was asked for by id.
    pub(crate) asked_by_id: AtomicU64,
    /// What the advancers by id wrote, with nothing but the subject to publish it.
    pub(crate) written_by_id: AtomicU64,
    /// Asked for by id while its life was changed: each may have hit either life.
    pub(crate) strays: Mutex<Vec<SeqNo>>,
    lives: Mutex<Lives>,
}

/// How often the life of a shard was changed, and the newest incarnation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) count: u64,
    pub(crate) newest: Option<Incarnation>,
}

#[derive(Debug, Default)]
struct Lives {
    by_incarnation: BTreeMap<Incarnation, Arc<Life>>,
    /// Those below are forgotten.
    remembered_from: Incarnation,
}

impl ShardLedger {
    fn new((shard, kind): (ShardId, Kind)) -> Self {
        ShardLedger {
            shard,
            kind,
            changing: Mutex::default(),
            version: AtomicU64::new(0),
            current: AtomicU64::new(0),
            found: AtomicU64::new(0),
            asked_by_id: AtomicU64::new(0),
            written_by_id: AtomicU64::new(0),
            strays: Mutex::default(),
            lives: Mutex::default(),
        }
    }

    pub(crate) fn view(&self) -> View {
        let version = self.version.load(Ordering::SeqCst);
        let current = self.current.load(Ordering::SeqCst);
        View { version, current: current.checked_sub(1).map(Incarnation) }
    }

    pub(crate) fn change_begins(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn change_ends(&self, now: Option<Incarnation>) {
        self.current.store(now.map_or(0, |i| i.0.saturating_add(1)), Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// The record of one life, begun by whoever meets it first; `None` where it ended long ago.
    pub(crate) fn life(&self, incarnation: Incarnation) -> Option<Arc<Life>> {
        let mut lives = locked(&self.lives);
        if incarnation < lives.remembered_from {
            return None;
        }
        let life = lives.by_incarnation.entry(incarnation);
        let new = || Arc::new(Life::new(self.shard, self.kind, incarnation));
        let life = Arc::clone(life.or_insert_with(new));
        while lives.by_incarnation.len() > REMEMBERED {
            if let Some((oldest, _)) = lives.by_incarnation.pop_first() {
                lives.remembered_from = Incarnation(oldest.0.saturating_add(1));
            }
        }
        Some(life)
    }
}

/// All shards.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) shards: Vec<ShardLedger>,
    /// Set before the call that closes the state.
    pub(crate) closing: AtomicBool,
    /// Set after that call.
    pub(crate) closed: AtomicBool,
}

impl Ledger {
    pub(crate) fn new(shards: &[(ShardId, Kind)]) -> Self {
        Ledger {
            shards: shards.iter().copied().map(ShardLedger::new).collect(),
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn shard(&self, shard: ShardId) -> Option<&ShardLedger> {
        self.shards.iter().find(|s| s.shard == shard)
    }

    pub(crate) fn life(&self, shard: ShardId, incarnation: Incarnation) -> Option<Arc<Life>> {
        self.shard(shard)?.life(incarnation)
    }
}
