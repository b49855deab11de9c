//! A subject with room for bugs: the real one, but that each mark is kept in an atomic of its own
//! beside the real one, so that a bug can be planted in how it is raised.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::Saved;
use repl_core::{
    Advance, Incarnation, NewShard, ReplicationState, SeqNo, Shard, ShardId, Snapshot,
    SnapshotEntry,
};
use repl_harness::stress::{FlushRefused, Handle, Honest, NotSaved, Subject, SubjectError};

/// What is wrong with a subject: nothing, unless told.
pub(crate) trait Bug: Send + Sync + 'static {
    const SAVES_BEFORE_FLUSH: bool = false;
    const FLOOR_OF_NEWEST_GENERATION: bool = false;
    const INHERITS_OLD_MARK: bool = false;

    /// Raises a mark, and returns where it was.
    fn raise(mark: &AtomicU64, to: SeqNo) -> SeqNo {
        mark.fetch_max(to, Ordering::AcqRel)
    }
}

pub(crate) struct Planted<B> {
    honest: Honest,
    marks: Mutex<HashMap<(ShardId, Incarnation), Arc<AtomicU64>>>,
    last_marks: Mutex<HashMap<ShardId, SeqNo>>,
    bug: PhantomData<B>,
}

pub(crate) struct PlantedHandle<B> {
    real: Shard,
    mark: Arc<AtomicU64>,
    bug: PhantomData<B>,
}

impl<B> Clone for PlantedHandle<B> {
    fn clone(&self) -> Self {
        PlantedHandle { real: self.real.clone(), mark: Arc::clone(&self.mark), bug: PhantomData }
    }
}

impl<B: Bug> Handle for PlantedHandle<B> {
    fn incarnation(&self) -> Incarnation {
        self.real.incarnation()
    }

    fn applied(&self) -> SeqNo {
        self.mark.load(Ordering::Acquire)
    }

    fn advance(&self, seqno: SeqNo) -> Advance {
        if self.real.advance(seqno) == Advance::Removed {
            return Advance::Removed;
        }
        let from = B::raise(&self.mark, seqno);
        if from < seqno { Advance::Moved { from } } else { Advance::AlreadyApplied { at: from } }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Bug> Planted<B> {
    fn planted(&self, real: Shard) -> PlantedHandle<B> {
        let mark = self.mark(real.id(), real.incarnation(), real.applied());
        PlantedHandle { real, mark, bug: PhantomData }
    }

    /// Nothing advances a life before its mark was asked for here, so `real` is its start.
    fn mark(&self, shard: ShardId, incarnation: Incarnation, real: SeqNo) -> Arc<AtomicU64> {
        let mut marks = locked(&self.marks);
        let mark = marks.entry((shard, incarnation));
        Arc::clone(mark.or_insert_with(|| Arc::new(AtomicU64::new(real))))
    }

    fn applied_in(&self, entry: &SnapshotEntry) -> SeqNo {
        self.mark(entry.shard, entry.incarnation, entry.mark).load(Ordering::Acquire)
    }
}

impl<B: Bug> Subject for Planted<B> {
    type Handle = PlantedHandle<B>;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        Ok(Planted {
            honest: Honest::open(dir, shards)?,
            marks: Mutex::default(),
            last_marks: Mutex::default(),
            bug: PhantomData,
        })
    }

    fn handle(&self, shard: ShardId) -> Option<PlantedHandle<B>> {
        self.honest.handle(shard).map(|real| self.planted(real))
    }

    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        self.handle(shard).map_or(Advance::UnknownShard, |handle| handle.advance(seqno))
    }

    fn applied(&self, shard: ShardId) -> Option<SeqNo> {
        self.handle(shard).map(|handle| handle.applied())
    }

    fn snapshot(&self) -> Snapshot {
        let real = self.honest.snapshot();
        let entries = real.entries().map(|e| SnapshotEntry { mark: self.applied_in(&e), ..e });
        ReplicationState::restore(entries, real.next_incarnation()).snapshot()
    }

    fn add(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        let last = locked(&self.last_marks).get(&new.shard).copied();
        let inherited = last.filter(|_| B::INHERITS_OLD_MARK).unwrap_or(0);
        self.honest.add(new.at(new.mark.max(inherited))).map(|real| self.planted(real))
    }

    fn reset(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        self.honest.reset(new).map(|real| self.planted(real))
    }

    fn remove(&self, shard: ShardId) -> bool {
        if let Some(mark) = self.applied(shard) {
            locked(&self.last_marks).insert(shard, mark);
        }
        self.honest.remove(shard)
    }

    fn checkpoint(
        &self,
        flush: &mut dyn FnMut(&mut Snapshot) -> Result<(), FlushRefused>,
    ) -> Result<Saved, NotSaved> {
        let planted = |snapshot: &mut Snapshot| {
            for entry in snapshot.entries().collect::<Vec<_>>() {
                snapshot.lower(entry.shard, self.applied_in(&entry));
            }
        };
        if !B::SAVES_BEFORE_FLUSH {
            return self.honest.checkpoint(&mut |snapshot| {
                planted(snapshot);
                flush(snapshot)
            });
        }
        let mut to_flush = None;
        let saved = self.honest.checkpoint(&mut |snapshot| {
            planted(snapshot);
            to_flush = Some(snapshot.clone());
            Ok(())
        });
        if let Some(mut snapshot) = to_flush {
            flush(&mut snapshot)?;
        }
        saved
    }

    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.honest.checkpointed(shard)
    }

    fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        if B::FLOOR_OF_NEWEST_GENERATION {
            self.honest.checkpointed(shard)
        } else {
            self.honest.floor(shard)
        }
    }
}
