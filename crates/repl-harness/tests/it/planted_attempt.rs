//! Checkpoints step by step, with bugs in when they are saved and in the flag behind
//! `is_unreferenced`.

use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use repl_checkpoint::{Checkpoint, Generation, Header, JsonCodec};
use repl_core::{SeqNo, ShardId, Snapshot};
use repl_harness::stress::{Attempt, NotSaved, Real, Subject, SubjectError};

use crate::planted::Bug;
use crate::planted_recovery::checkpoints;

/// The real checkpointer, and what a wrong one keeps beside it.
pub(crate) struct PlantedCheckpointer {
    real: Arc<Real>,
    dir: PathBuf,
    /// Set by each attempt before its snapshot.
    is_open: AtomicBool,
    saves: AtomicU64,
}

impl PlantedCheckpointer {
    pub(crate) fn new(real: Arc<Real>, dir: &Path) -> Self {
        let (is_open, saves) = (AtomicBool::new(false), AtomicU64::new(0));
        PlantedCheckpointer { real, dir: dir.to_owned(), is_open, saves }
    }

    pub(crate) fn is_unreferenced<B: Bug>(&self, shard: ShardId) -> bool {
        if !B::OLDER_DROP_CLEARS_FLAG {
            return self.real.is_unreferenced(shard);
        }
        let saved_twice = self.saves.load(Ordering::SeqCst) >= 2;
        if self.is_open.load(Ordering::SeqCst) || !saved_twice {
            return false;
        }
        let found = checkpoints(&self.dir).unwrap_or_default();
        found.iter().all(|(_, _, checkpoint)| checkpoint.shard(shard).is_none())
    }

    /// Replaces the newest checkpoint by these marks: what a crash then leaves.
    fn save_again(&self, marks: &Snapshot) -> Option<Generation> {
        let (path, header, _) = checkpoints(&self.dir).ok()?.into_iter().next()?;
        let Header { generation, .. } = header;
        let bytes = Checkpoint::of(marks).seal(&JsonCodec, header).ok()?;
        fs::write(path, bytes).ok()?;
        Some(generation)
    }
}

pub(crate) struct PlantedAttempt<B: Bug> {
    checkpointer: Arc<PlantedCheckpointer>,
    real: Option<<Real as Subject>::Attempt>,
    marks: Snapshot,
    /// The result, if it was saved before the flush.
    saved: Option<Result<Option<Generation>, NotSaved>>,
    bug: PhantomData<B>,
}

impl<B: Bug> PlantedAttempt<B> {
    pub(crate) fn begin(
        checkpointer: &Arc<PlantedCheckpointer>,
    ) -> Result<Option<Self>, SubjectError> {
        checkpointer.is_open.store(true, Ordering::SeqCst);
        Ok(checkpointer.real.begin()?.map(|real| PlantedAttempt {
            checkpointer: Arc::clone(checkpointer),
            marks: real.marks().clone(),
            real: Some(real),
            saved: None,
            bug: PhantomData,
        }))
    }

    /// Ends the call that has begun it.
    pub(crate) fn begun(&mut self) {
        if B::SAVES_BEFORE_FLUSH {
            self.saved = self.real.take().map(|real| self.checkpointer.real.save(real));
        }
    }

    pub(crate) fn save(mut self) -> Result<Option<Generation>, NotSaved> {
        if B::SAVE_LEAVES_OUT_COMPLETED {
            self.marks.clone().shards().for_each(|shard| self.drop_above(shard));
        }
        let checkpointer = Arc::clone(&self.checkpointer);
        let saved = match self.real.take() {
            Some(real) => checkpointer.real.save(real),
            None => self.saved.take().unwrap_or(Ok(None)),
        };
        if matches!(saved, Ok(Some(_))) {
            checkpointer.saves.fetch_add(1, Ordering::SeqCst);
        }
        match saved {
            Err(NotSaved::Superseded) if B::SAVES_SUPERSEDED => {
                Ok(checkpointer.save_again(&self.marks))
            }
            saved => saved,
        }
    }
}

impl<B: Bug> Attempt for PlantedAttempt<B> {
    fn marks(&self) -> &Snapshot {
        &self.marks
    }

    fn lower(&mut self, shard: ShardId, mark: SeqNo) {
        self.marks.lower(shard, mark);
        if let Some(real) = &mut self.real {
            real.lower(shard, mark);
        }
    }

    fn drop_above(&mut self, shard: ShardId) {
        self.marks.drop_above(shard);
        if let Some(real) = &mut self.real {
            real.drop_above(shard);
        }
    }
}

impl<B: Bug> Drop for PlantedAttempt<B> {
    fn drop(&mut self) {
        self.checkpointer.is_open.store(false, Ordering::SeqCst);
        if let Some(real) = self.real.take().filter(|_| B::SAVES_FAILED_FLUSHES) {
            let _ = self.checkpointer.real.save(real);
        }
    }
}
