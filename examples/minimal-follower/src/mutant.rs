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

/// Takes a checkpoint as the engine does, and what a mutant does too early.
pub(crate) fn checkpoint(mutant: Option<Mutant>, engine: &mut Engine) -> io::Result<Saved> {
    let checkpointer = &mut engine.checkpointer;
    if mutant == Some(Mutant::SaveBeforeFlush)
        && let Some(attempt) = checkpointer.begin()?
    {
        checkpointer.save(attempt)?;
    }
    let saved = engine.checkpoint()?;
    let floors = match mutant {
        Some(Mutant::DeleteToCheckpointed) => engine.checkpointer.floors().checkpointed_marks(),
        Some(Mutant::DeleteToApplied) => engine.checkpointer.state().snapshot(),
        Some(Mutant::SaveBeforeFlush) | None => return Ok(saved),
    };
    engine.delete_up_to(&floors)?;
    Ok(saved)
}
