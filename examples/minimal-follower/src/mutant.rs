//! Deliberately wrong engines, which the check must catch.

use std::io;

use clap::ValueEnum;
use repl_checkpoint::Saved;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Mutant {
    /// Saves the marks before the flush.
    SaveBeforeFlush,
    /// Deletes the segments up to the marks of the newest checkpoint, not of the one before.
    DeleteToCheckpointed,
    /// Deletes the segments up to the marks in memory.
    DeleteToApplied,
}

/// Takes a checkpoint as the engine does, or as a mutant does.
pub(crate) fn checkpoint(mutant: Option<Mutant>, engine: &mut Engine) -> io::Result<Saved> {
    let Some(mutant) = mutant else {
        return engine.checkpoint();
    };
    let flush = || engine.tables.iter().try_for_each(|table| table.flush());
    let checkpointer = &mut engine.checkpointer;
    let saved = if mutant == Mutant::SaveBeforeFlush {
        let attempt = checkpointer.begin()?;
        let saved = attempt.map_or(Ok(Saved::Unchanged), |attempt| checkpointer.save(attempt))?;
        flush()?;
        saved
    } else {
        checkpointer.checkpoint(|_attempt| Ok(flush()?))?
    };
    let floors = match mutant {
        Mutant::SaveBeforeFlush => checkpointer.floors().retention_floors(),
        Mutant::DeleteToCheckpointed => checkpointer.floors().checkpointed_marks(),
        Mutant::DeleteToApplied => checkpointer.state().snapshot(),
    };
    engine.delete_up_to(&floors)?;
    Ok(saved)
}
