//! Mutants between a process and its checkpointer.

use std::sync::Arc;

use repl_checkpoint::{Attempt, CheckpointError, Checkpointer, Floors, OpenStoreError, Saved};
use repl_checkpoint::{CheckpointStore, ReopenError};
use repl_core::ReplicationState;

use super::Mutant;
use crate::crash::watched::Notes;

/// The checkpointer of a process, with one mutation.
pub(crate) struct Saver {
    checkpointer: Checkpointer,
    mutant: Option<Mutant>,
    notes: Notes,
}

impl Saver {
    pub(crate) fn new(checkpointer: Checkpointer, mutant: Option<Mutant>, notes: Notes) -> Self {
        Saver { checkpointer, mutant, notes }
    }

    pub(crate) fn state(&self) -> &Arc<ReplicationState> {
        self.checkpointer.state()
    }

    pub(crate) fn floors(&self) -> Floors {
        self.checkpointer.floors()
    }

    pub(crate) fn begin(&mut self) -> Result<Option<Attempt>, CheckpointError> {
        self.checkpointer.begin()
    }

    /// Begins a checkpoint whose flush fails.
    pub(crate) fn fail_to_flush(&mut self) -> Result<Saved, CheckpointError> {
        if self.mutant == Some(Mutant::FailedFlushSaved) {
            return self.checkpointer.checkpoint(|_| Ok(()));
        }
        self.checkpointer.checkpoint(|_| Err("the flush failed".into()))
    }

    /// Drops an attempt that was not flushed.
    pub(crate) fn drop_attempt(&mut self, attempt: Attempt) {
        if self.mutant == Some(Mutant::FailedFlushSaved) {
            let _ = self.checkpointer.save(attempt);
        }
    }

    pub(crate) fn save(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        let marks = attempt.marks().clone();
        match self.checkpointer.save(attempt) {
            Err(CheckpointError::Superseded) if self.mutant == Some(Mutant::SupersededSaved) => {
                self.notes.lock().instead = Some(marks);
                self.checkpointer.checkpoint(|_| Ok(()))
            }
            saved => saved,
        }
    }

    pub(crate) fn reopen(
        &mut self,
        open: impl FnOnce() -> Result<Box<dyn CheckpointStore>, OpenStoreError>,
    ) -> Result<(), ReopenError> {
        self.checkpointer.reopen(open)
    }
}
