//! Records what was requested and observed, to check the subject's results.
//!
//! An upper bound of a mark is raised *before* the call that may move the mark there, a lower bound
//! *after* the mark was observed. So both hold at every instant. No lock is held over a call to the
//! subject, since that would hide its races.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use repl_core::{AppliedSet, Incarnation, SeqNo, ShardId};

use super::marks::Gone;
use super::work::Work;
use crate::locked::locked;

/// The number of ended incarnations of a shard whose records are kept.
const REMEMBERED: usize = 64;

/// How a shard is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is advanced to seqnos that encode how they were requested.
    Plain,
    /// It is advanced by two threads in turn.
    Relay,
    /// It is completed out of order, through a window of this capacity. Its seqnos are dense.
    Window { capacity: u64 },
}

impl Kind {
    pub(crate) fn has_window(self) -> bool {
        matches!(self, Kind::Window { .. })
    }
}

/// The record of one incarnation of one shard.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) shard: ShardId,
    pub(crate) incarnation: Incarnation,
    /// The first mark, once the call that began the incarnation has returned.
    pub(crate) start: OnceLock<SeqNo>,
    /// The highest seqno requested through handles: an upper bound.
    pub(crate) requested: AtomicU64,
    /// The highest seqno requested by id during the whole of this incarnation: a lower bound.
    pub(crate) requested_by_id: AtomicU64,
    /// The highest observed mark: a lower bound.
    pub(crate) seen: AtomicU64,
    /// The newest write of an advance through a handle. Only the subject makes it visible.
    pub(crate) written: AtomicU64,
    /// The record of its claims and completions, for a shard that is completed out of order.
    pub(crate) work: Option<Work>,
    /// The mark that is durable in the engine: a lower bound.
    pub(crate) flushed: AtomicU64,
    /// The highest checkpointed mark and floor that were returned.
    pub(crate) checkpointed: AtomicU64,
    pub(crate) floor: AtomicU64,
    /// Set before the call that ends the incarnation.
    pub(crate) ending: AtomicBool,
    /// Set after that call.
    pub(crate) ended: AtomicBool,
}

impl Record {
    fn new(shard: ShardId, kind: Kind, incarnation: Incarnation) -> Self {
        Record {
            shard,
            incarnation,
            start: OnceLock::new(),
            requested: AtomicU64::new(0),
            requested_by_id: AtomicU64::new(0),
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

    /// Records what is completed at the start.
    pub(crate) fn begins(&self, found: &AppliedSet) {
        if let Some(work) = &self.work {
            work.begins(found);
        }
        let _ = self.start.set(found.mark());
    }

    /// The lower bound of the mark.
    pub(crate) fn least_mark(&self) -> SeqNo {
        let seen = self.seen.load(Ordering::SeqCst);
        self.work.as_ref().map_or(seen, |work| seen.max(work.least()))
    }

    /// Must be called before an advance to `seqno` through a handle.
    pub(crate) fn requests(&self, seqno: SeqNo) {
        self.written.fetch_max(seqno, Ordering::Relaxed);
        self.requested.fetch_max(seqno, Ordering::SeqCst);
    }
}

/// The incarnation of a shard at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    version: u64,
    pub(crate) current: Option<Incarnation>,
}

impl View {
    /// Whether the shard had the same incarnation all the time from this look to `later`.
    pub(crate) fn unchanged_until(&self, later: &View) -> bool {
        self.version.is_multiple_of(2) && self == later
    }
}

/// The record of one shard, through all its incarnations.
#[derive(Debug)]
pub(crate) struct ShardLedger {
    pub(crate) shard: ShardId,
    pub(crate) kind: Kind,
    /// Held while the shard is added, reset or removed. Changes of different shards race with each
    /// other.
    pub(crate) changing: Mutex<Changes>,
    /// Odd while the shard is added, reset or removed.
    version: AtomicU64,
    /// The incarnation plus one; 0 while it is not tracked.
    current: AtomicU64,
    /// The highest incarnation that a look-up has returned.
    pub(crate) found: AtomicU64,
    /// Incarnations below this are in no checkpoint, and never will be.
    pub(crate) gone: AtomicU64,
    /// The highest seqno requested by id: an upper bound.
    pub(crate) requested_by_id: AtomicU64,
    /// The newest write of an advance by id. Only the subject makes it visible.
    pub(crate) written_by_id: AtomicU64,
    /// The seqnos requested by id during a change: each may have reached either incarnation.
    pub(crate) strays: Mutex<Vec<SeqNo>>,
    records: Mutex<Records>,
}

/// The number of changes of a shard, and its newest incarnation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) count: u64,
    pub(crate) newest: Option<Incarnation>,
}

#[derive(Debug, Default)]
struct Records {
    by_incarnation: BTreeMap<Incarnation, Arc<Record>>,
    /// The records of incarnations below this are dropped.
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
            gone: AtomicU64::new(0),
            requested_by_id: AtomicU64::new(0),
            written_by_id: AtomicU64::new(0),
            strays: Mutex::default(),
            records: Mutex::default(),
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

    /// The record of an incarnation, created at the first call; `None` if it was dropped.
    pub(crate) fn record(&self, incarnation: Incarnation) -> Option<Arc<Record>> {
        let mut records = locked(&self.records);
        if incarnation < records.remembered_from {
            return None;
        }
        let record = records.by_incarnation.entry(incarnation);
        let new = || Arc::new(Record::new(self.shard, self.kind, incarnation));
        let record = Arc::clone(record.or_insert_with(new));
        while records.by_incarnation.len() > REMEMBERED {
            if let Some((oldest, _)) = records.by_incarnation.pop_first() {
                records.remembered_from = Incarnation(oldest.0.saturating_add(1));
            }
        }
        Some(record)
    }
}

/// The records of all shards.
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

    /// The shards of which some incarnations are in no checkpoint.
    pub(crate) fn gone(&self) -> Gone {
        let gone = self.shards.iter().map(|s| (s.shard, s.gone.load(Ordering::SeqCst)));
        gone.filter(|(_, first)| *first > 0).map(|(s, first)| (s, Incarnation(first))).collect()
    }

    pub(crate) fn record(&self, shard: ShardId, incarnation: Incarnation) -> Option<Arc<Record>> {
        self.shard(shard)?.record(incarnation)
    }
}
