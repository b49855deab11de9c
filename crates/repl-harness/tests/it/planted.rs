//! A subject with room for bugs: the real one, but that each mark is kept in an atomic of its own
//! beside the real one, with a queue of those who wait, so that a bug can be planted in how it is
//! raised and awaited.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use repl_checkpoint::Saved;
use repl_core::{
    Advance, AppliedSet, ApplyWindow, Incarnation, NewShard, ReplicationState, SeqNo, SeqRange,
    Shard, ShardId, Snapshot, SnapshotEntry, WaitError, WindowError,
};
use repl_harness::stress::{
    FlushRefused, Handle, Honest, NotSaved, Subject, SubjectError, Waited, Waiting,
};

use crate::planted_life::{Life, PlantedChanges, Wait, locked};
use crate::planted_recovery::tamper;
use crate::planted_window::PlantedWindow;

/// What is wrong with a subject: nothing, unless told.
pub(crate) trait Bug: Send + Sync + 'static {
    const SAVES_BEFORE_FLUSH: bool = false;
    const FLOOR_OF_NEWEST_GENERATION: bool = false;
    const INHERITS_OLD_MARK: bool = false;
    /// Between looking at the mark and waiting nothing is looked at.
    const NO_SECOND_LOOK: bool = false;
    /// Some advances wake nobody.
    const FORGETS_TO_WAKE: bool = false;
    const CLOSE_FORGETS_ONE: bool = false;
    const REMOVE_FORGETS_ONE: bool = false;
    /// How far below its seqno a mark is taken for having reached it.
    const REACHED_EARLY_BY: u64 = 0;
    const CLAIMS_TWICE: bool = false;
    const CLAIMS_COMPLETED: bool = false;
    const LOSES_COMPLETIONS: bool = false;
    const PASSES_GAPS: bool = false;
    const KEEPS_DROPPED_CLAIMS: bool = false;
    const SAVE_LEAVES_OUT_COMPLETED: bool = false;

    /// What a recovery makes of what was recorded as completed.
    fn recover(_completed: &mut Vec<SeqRange>) {}

    /// Raises a mark, and returns where it was.
    fn raise(mark: &AtomicU64, to: SeqNo) -> SeqNo {
        mark.fetch_max(to, Ordering::AcqRel)
    }
}

pub(crate) struct Planted<B> {
    honest: Honest,
    lives: Mutex<Lives>,
    last_marks: Mutex<HashMap<ShardId, SeqNo>>,
    bug: PhantomData<B>,
}

#[derive(Default)]
struct Lives {
    by_id: HashMap<(ShardId, Incarnation), Arc<Life>>,
    closed: bool,
}

pub(crate) struct PlantedHandle<B> {
    pub(crate) real: Shard,
    pub(crate) life: Arc<Life>,
    bug: PhantomData<B>,
}

impl<B> Clone for PlantedHandle<B> {
    fn clone(&self) -> Self {
        PlantedHandle { real: self.real.clone(), life: Arc::clone(&self.life), bug: PhantomData }
    }
}

impl<B: Bug> PlantedHandle<B> {
    /// Brings the mark to where a window has brought the real one.
    pub(crate) fn follow_real(&self) {
        self.life.mark.fetch_max(self.real.applied(), Ordering::AcqRel);
        self.life.wake::<B>();
    }

    fn end(&self) {
        self.life.end(WaitError::Removed, B::REMOVE_FORGETS_ONE);
    }
}

impl<B: Bug> Handle for PlantedHandle<B> {
    type Changes = PlantedChanges<B>;
    type Window = PlantedWindow<B>;

    fn incarnation(&self) -> Incarnation {
        self.real.incarnation()
    }

    fn applied(&self) -> SeqNo {
        self.life.applied()
    }

    fn advance(&self, seqno: SeqNo) -> Advance {
        if self.real.advance(seqno) == Advance::Removed {
            return Advance::Removed;
        }
        let from = B::raise(&self.life.mark, seqno);
        if self.life.has_window.load(Ordering::SeqCst) {
            self.follow_real();
        } else {
            self.life.wake::<B>();
        }
        if from < seqno { Advance::Advanced { from } } else { Advance::Stale { at: from } }
    }

    fn wait_for(&self, seqno: SeqNo) -> Waited {
        Wait::<B>::new(&self.life, seqno).block(None)
    }

    fn wait_for_timeout(&self, seqno: SeqNo, timeout: Duration) -> Waited {
        Wait::<B>::new(&self.life, seqno).block(Some(timeout))
    }

    fn reached(&self, seqno: SeqNo) -> Waiting<'static> {
        Box::pin(Wait::<B>::new(&self.life, seqno))
    }

    fn changes(&self) -> PlantedChanges<B> {
        PlantedChanges { life: Arc::clone(&self.life), next: 0, bug: PhantomData }
    }

    fn completed(&self) -> AppliedSet {
        self.real.completed()
    }

    fn window(&self, capacity: u64) -> Result<PlantedWindow<B>, WindowError> {
        let real = ApplyWindow::new(self.real.clone(), capacity)?;
        self.life.has_window.store(true, Ordering::SeqCst);
        Ok(PlantedWindow::new(real, self.clone()))
    }
}

impl<B: Bug> Planted<B> {
    fn planted(&self, real: Shard) -> PlantedHandle<B> {
        let life = self.life(real.id(), real.incarnation(), real.applied());
        PlantedHandle { real, life, bug: PhantomData }
    }

    /// Nothing advances a life before it was asked for here, so `real` is its start.
    fn life(&self, shard: ShardId, incarnation: Incarnation, real: SeqNo) -> Arc<Life> {
        let mut lives = locked(&self.lives);
        let closed = lives.closed;
        let life = lives.by_id.entry((shard, incarnation));
        Arc::clone(life.or_insert_with(|| Arc::new(Life::new(real, closed))))
    }

    fn applied_in(&self, entry: &SnapshotEntry) -> SeqNo {
        let life = self.life(entry.shard, entry.incarnation, entry.mark);
        if life.has_window.load(Ordering::SeqCst) {
            // Whoever has moved the real one may not have come to this one yet.
            life.mark.fetch_max(entry.mark, Ordering::AcqRel);
            life.wake::<B>();
        }
        life.applied()
    }
}

impl<B: Bug> Subject for Planted<B> {
    type Handle = PlantedHandle<B>;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        tamper::<B>(dir).map_err(SubjectError::new)?;
        Ok(Planted {
            honest: Honest::open(dir, shards)?,
            lives: Mutex::default(),
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
        let planted = ReplicationState::restore(entries, real.next_incarnation());
        for (shard, ranges) in real.all_completed() {
            if let Some(shard) = planted.shard(shard) {
                for range in ranges {
                    shard.complete(*range);
                }
            }
        }
        planted.snapshot()
    }

    fn add(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        let last = locked(&self.last_marks).get(&new.shard).copied();
        // A shard with a window has small marks: how far it is goes by what was completed.
        let inherits = |last: &SeqNo| B::INHERITS_OLD_MARK && *last >= 1 << 28;
        let inherited = last.filter(inherits).unwrap_or(0);
        self.honest.add(new.with_mark(new.mark.max(inherited))).map(|real| self.planted(real))
    }

    fn reset(&self, new: NewShard) -> Option<PlantedHandle<B>> {
        let ended = self.handle(new.shard);
        let began = self.honest.reset(new).map(|real| self.planted(real));
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
        let removed = self.honest.remove(shard);
        if let Some(handle) = ended {
            handle.end();
        }
        removed
    }

    fn wait_for_timeout(&self, shard: ShardId, seqno: SeqNo, timeout: Duration) -> Waited {
        let handle = self.handle(shard).ok_or(WaitError::UnknownShard)?;
        handle.wait_for_timeout(seqno, timeout)
    }

    fn close(&self) {
        let mut lives = locked(&self.lives);
        lives.closed = true;
        let lives: Vec<_> = lives.by_id.values().cloned().collect();
        for life in lives {
            life.end(WaitError::Closed, B::CLOSE_FORGETS_ONE);
        }
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
                flush(snapshot)?;
                for (shard, _) in &snapshot.clone() {
                    if B::SAVE_LEAVES_OUT_COMPLETED {
                        snapshot.forget_completed(shard);
                    }
                }
                Ok(())
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
