//! A subject with room for bugs. It drives the real types, but keeps each mark in an atomic of its
//! own beside the real one, with its own queue of waiters. So a bug can be planted in how a mark is
//! raised and awaited.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use repl_checkpoint::Generation;
use repl_core::{
    Advance, AppliedSet, ApplyWindow, Incarnation, NewShard, SeqNo, SeqRange, Shard, ShardId,
    Snapshot, SnapshotEntry, WaitError, WindowError,
};
use repl_harness::stress::{Attempt, Handle, NotSaved, Real, Subject, SubjectError};

use crate::planted_attempt::{PlantedAttempt, PlantedCheckpointer};
use crate::planted_mark::{PlantedChanges, PlantedMark, PlantedWait, locked};
use crate::planted_recovery::tamper;
use crate::planted_window::PlantedWindow;

/// The bugs of a subject. By default it has none.
pub(crate) trait Bug: Send + Sync + 'static {
    const SAVES_BEFORE_FLUSH: bool = false;
    const FLOOR_OF_NEWEST_GENERATION: bool = false;
    const INHERITS_OLD_MARK: bool = false;
    /// A wait does not check the mark again under the lock of the queue.
    const NO_SECOND_LOOK: bool = false;
    /// Some advances wake no waiter.
    const FORGETS_TO_WAKE: bool = false;
    const CLOSE_FORGETS_ONE: bool = false;
    const REMOVE_FORGETS_ONE: bool = false;
    /// The distance below a seqno at which the seqno counts as reached.
    const REACHED_EARLY_BY: u64 = 0;
    const CLAIMS_TWICE: bool = false;
    const CLAIMS_COMPLETED: bool = false;
    const LOSES_COMPLETIONS: bool = false;
    const PASSES_GAPS: bool = false;
    const KEEPS_DROPPED_CLAIMS: bool = false;
    const SAVE_LEAVES_OUT_COMPLETED: bool = false;
    const SAVES_FAILED_FLUSHES: bool = false;
    const SAVES_SUPERSEDED: bool = false;
    /// The end of any attempt clears the flag that a newer one has set.
    const OLDER_DROP_CLEARS_FLAG: bool = false;

    /// Changes the completed ranges that a recovery finds.
    fn recover(_completed: &mut Vec<SeqRange>) {}

    /// Raises a mark, and returns its previous value.
    fn raise(mark: &AtomicU64, to: SeqNo) -> SeqNo {
        mark.fetch_max(to, Ordering::AcqRel)
    }
}

pub(crate) struct Planted<B> {
    real: Arc<Real>,
    checkpointer: Arc<PlantedCheckpointer>,
    marks: Mutex<Marks>,
    last_marks: Mutex<HashMap<ShardId, SeqNo>>,
    bug: PhantomData<B>,
}

#[derive(Default)]
struct Marks {
    by_id: HashMap<(ShardId, Incarnation), Arc<PlantedMark>>,
    closed: bool,
}

pub(crate) struct PlantedHandle<B> {
    pub(crate) real: Shard,
    pub(crate) mark: Arc<PlantedMark>,
    bug: PhantomData<B>,
}

impl<B> Clone for PlantedHandle<B> {
    fn clone(&self) -> Self {
        PlantedHandle { real: self.real.clone(), mark: Arc::clone(&self.mark), bug: PhantomData }
    }
}

impl<B: Bug> PlantedHandle<B> {
    /// Raises the mark to the real one, which a window has moved.
    pub(crate) fn follow_real(&self) {
        self.mark.value.fetch_max(self.real.applied(), Ordering::AcqRel);
        self.mark.wake::<B>();
    }

    fn end(&self) {
        self.mark.end(WaitError::Removed, B::REMOVE_FORGETS_ONE);
    }
}

impl<B: Bug> Handle for PlantedHandle<B> {
    type Reached = PlantedWait<B>;
    type Changes = PlantedChanges<B>;
    type Window = PlantedWindow<B>;

    fn incarnation(&self) -> Incarnation {
        self.real.incarnation()
    }

    fn applied(&self) -> SeqNo {
        self.mark.applied()
    }

    fn advance(&self, seqno: SeqNo) -> Advance {
        if self.real.advance(seqno) == Advance::Removed {
            return Advance::Removed;
        }
        let from = B::raise(&self.mark.value, seqno);
        if self.mark.has_window.load(Ordering::SeqCst) {
            self.follow_real();
        } else {
            self.mark.wake::<B>();
        }
        if from < seqno { Advance::Advanced { from } } else { Advance::Stale { at: from } }
    }

    fn reached(&self, seqno: SeqNo) -> PlantedWait<B> {
        PlantedWait::new(&self.mark, seqno)
    }

    fn changes(&self) -> PlantedChanges<B> {
        PlantedChanges { mark: Arc::clone(&self.mark), next: 0, bug: PhantomData }
    }

    fn contains(&self, seqno: SeqNo) -> bool {
        self.real.contains(seqno)
    }

    fn applied_set(&self) -> AppliedSet {
        let applied = self.real.applied_set();
        self.mark.value.fetch_max(applied.mark(), Ordering::AcqRel);
        self.mark.wake::<B>();
        applied
    }

    fn window(&self, capacity: u64) -> Result<PlantedWindow<B>, WindowError> {
        let real = ApplyWindow::new(self.real.clone(), capacity)?;
        self.mark.has_window.store(true, Ordering::SeqCst);
        Ok(PlantedWindow::new(real, self.clone()))
    }
}

impl<B: Bug> Planted<B> {
    fn planted(&self, real: Shard) -> PlantedHandle<B> {
        let mark = self.mark(real.id(), real.incarnation(), real.applied());
        PlantedHandle { real, mark, bug: PhantomData }
    }

    /// The mark of an incarnation. It is created before the first advance, so `real` is its start.
    fn mark(&self, shard: ShardId, incarnation: Incarnation, real: SeqNo) -> Arc<PlantedMark> {
        let mut marks = locked(&self.marks);
        let closed = marks.closed;
        let mark = marks.by_id.entry((shard, incarnation));
        Arc::clone(mark.or_insert_with(|| Arc::new(PlantedMark::new(real, closed))))
    }

    fn applied_in(&self, entry: &SnapshotEntry) -> SeqNo {
        let mark = self.mark(entry.shard, entry.incarnation, entry.mark());
        if mark.has_window.load(Ordering::SeqCst) {
            // The thread that has moved the real mark may not have raised this one yet.
            mark.value.fetch_max(entry.mark(), Ordering::AcqRel);
            mark.wake::<B>();
        }
        mark.applied()
    }
}

impl<B: Bug> Subject for Planted<B> {
    type Handle = PlantedHandle<B>;
    type Attempt = PlantedAttempt<B>;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        tamper::<B>(dir).map_err(SubjectError::new)?;
        let real = Arc::new(Real::open(dir, shards)?);
        Ok(Planted {
            checkpointer: Arc::new(PlantedCheckpointer::new(Arc::clone(&real), dir)),
            real,
            marks: Mutex::default(),
            last_marks: Mutex::default(),
            bug: PhantomData,
        })
    }

    fn handle(&self, shard: ShardId) -> Option<PlantedHandle<B>> {
        self.real.handle(shard).map(|real| self.planted(real))
    }

    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        self.handle(shard).map_or(Advance::UnknownShard, |handle| handle.advance(seqno))
    }

    fn applied(&self, shard: ShardId) -> Option<SeqNo> {
        self.handle(shard).map(|handle| handle.applied())
    }

    fn snapshot(&self) -> Snapshot {
        let real = self.real.snapshot();
        let planted = real.entries().map(|entry| {
            let applied = AppliedSet::new(self.applied_in(&entry), entry.applied_set.above());
            SnapshotEntry::new(entry.shard, applied)
                .with_log(entry.log)
                .with_incarnation(entry.incarnation)
        });
        planted.collect::<Snapshot>().with_next_incarnation(real.next_incarnation())
    }

    fn add(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        let last = locked(&self.last_marks).get(&new.shard).copied();
        // Marks of shards with a window are small: their completions decide the mark.
        let inherits = |last: &SeqNo| B::INHERITS_OLD_MARK && *last >= 1 << 28;
        let inherited = last.filter(inherits).unwrap_or(0);
        self.real.add(new.with_mark(new.mark.max(inherited))).map(|real| self.planted(real))
    }

    fn reset(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        let ended = self.handle(new.shard);
        let began = self.real.reset(new).map(|real| self.planted(real));
        if let Some(handle) = ended {
            handle.end();
        }
        began
    }

    fn remove(&self, shard: ShardId) -> bool {
        let ended = self.handle(shard);
        if let Some(handle) = &ended {
            locked(&self.last_marks).insert(shard, handle.applied());
        }
        let removed = self.real.remove(shard);
        if let Some(handle) = ended {
            handle.end();
        }
        removed
    }

    fn reached(&self, shard: ShardId, seqno: SeqNo) -> PlantedWait<B> {
        let handle = self.handle(shard);
        handle.map_or_else(PlantedWait::of_unknown_shard, |handle| handle.reached(seqno))
    }

    fn close(&self) {
        let mut marks = locked(&self.marks);
        marks.closed = true;
        let marks: Vec<_> = marks.by_id.values().cloned().collect();
        for mark in marks {
            mark.end(WaitError::Closed, B::CLOSE_FORGETS_ONE);
        }
    }

    fn begin(&self) -> Result<Option<PlantedAttempt<B>>, SubjectError> {
        let attempt = PlantedAttempt::begin(&self.checkpointer)?;
        Ok(attempt.map(|mut attempt| {
            for entry in attempt.marks().entries().collect::<Vec<_>>() {
                attempt.lower(entry.shard, self.applied_in(&entry));
            }
            attempt.begun();
            attempt
        }))
    }

    fn save(&self, attempt: PlantedAttempt<B>) -> Result<Option<Generation>, NotSaved> {
        attempt.save()
    }

    fn is_unreferenced(&self, shard: ShardId) -> bool {
        self.checkpointer.is_unreferenced::<B>(shard)
    }

    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.real.checkpointed(shard)
    }

    fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        if B::FLOOR_OF_NEWEST_GENERATION {
            self.real.checkpointed(shard)
        } else {
            self.real.floor(shard)
        }
    }
}
