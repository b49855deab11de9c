//! Decides how a shard starts: at its saved mark, with a base copy, or not at all.
//!
//! | mark | found | start |
//! | --- | --- | --- |
//! | none | anything | with a base copy |
//! | saved | no replica, or no position of the mark | error: the mark cannot be used |
//! | saved | the same log with the same checksum at the mark | at the mark |
//! | saved | a new log, and a restart record that ends the old one at the mark | at its start |
//! | saved | any other log | error: the log was reset |
//!
//! After an error the follower ends. With `--rebase` it discards the mark and copies the database:
//! 1. Remove the shard and save twice, so that no generation holds its mark any more.
//! 2. Make the base copy as for a new shard. A crash in between leaves a shard without a mark.

use std::path::PathBuf;

use repl_checkpoint::{CheckpointError, Checkpointer};
use repl_core::{SeqNo, Shard, ShardId};
use thiserror::Error;

use crate::durable::FileError;
use crate::layout::Layout;
use crate::position::{Mark, Position};
use crate::positions::Positions;
use crate::restart::{NotContinued, RestartRecords};
use crate::tail::{Step, Tail, TailError};

/// How a shard starts.
#[derive(Debug)]
pub(crate) enum Start {
    /// At its mark: the position to continue from, and the seqno of the current end of the log.
    Resume { shard: Shard, position: Position, log_end: SeqNo },
    /// With a base copy.
    Copy,
}

/// The reason why a shard cannot continue from its mark.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error(
        "shard {shard}: the checkpoint holds the mark {}, but there is no replica {}: restore it, \
         or run again with --rebase to copy the database again",
        Mark(*mark), path.display()
    )]
    NoReplica { shard: ShardId, mark: SeqNo, path: PathBuf },
    #[error(
        "shard {shard}: {} does not hold the position of the mark {}: restore it, or run again \
         with --rebase to copy the database again",
        path.display(), Mark(*mark)
    )]
    NoPosition { shard: ShardId, mark: SeqNo, path: PathBuf },
    #[error(transparent)]
    LogReset(#[from] LogReset),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl StartError {
    /// Whether a base copy solves the problem. After a read error it would be pointless.
    fn allows_rebase(&self) -> bool {
        match self {
            StartError::NoReplica { .. }
            | StartError::NoPosition { .. }
            | StartError::LogReset(_) => true,
            StartError::Tail(_) | StartError::File(_) => false,
        }
    }
}

/// The log at the mark is gone or different, so transactions may be missing.
#[derive(Debug, Error)]
#[error(
    "shard {shard}: the log {} was reset, but the follower had applied only up to {}: {reason}. \
     The replica may lack transactions. Find out which process checkpointed the database, then run \
     again with --rebase to copy it again",
    log.display(), Mark(*mark)
)]
pub(crate) struct LogReset {
    pub(crate) shard: ShardId,
    pub(crate) log: PathBuf,
    pub(crate) mark: SeqNo,
    pub(crate) reason: ResetReason,
}

#[derive(Debug, Error)]
pub(crate) enum ResetReason {
    #[error("the log is gone")]
    NoLog,
    #[error("the frame at that place is different now")]
    Rewritten,
    #[error(transparent)]
    NotContinued(#[from] NotContinued),
}

/// Decides how a shard starts.
pub(crate) fn decide(
    layout: &Layout,
    positions: &Positions,
    shard: &Shard,
) -> Result<Start, StartError> {
    let (id, mark) = (shard.id(), shard.applied());
    if mark == 0 {
        return Ok(Start::Copy);
    }
    let path = layout.replica(id);
    if !path.exists() {
        return Err(StartError::NoReplica { shard: id, mark, path });
    }
    let Some(position) = positions.of(id, shard.log(), mark) else {
        return Err(StartError::NoPosition { shard: id, mark, path: layout.positions() });
    };
    let mut tail = Tail::new(&layout.log(id));
    let position = go_on(layout, id, &mut tail, position)?;
    let end = match tail.header()? {
        Some(header) if header.salts == position.at.salts => {
            position.moved_to(tail.end_after(&header, position.at)?)
        }
        // It restarts just now, which it may do only at this position.
        _ => position,
    };
    // If nothing of the log is applied yet, the mark is in the previous log.
    let log_end = if end.at.frame == 0 { mark } else { end.seqno() };
    Ok(Start::Resume { shard: shard.clone(), position, log_end })
}

/// The position to continue from: `position`, or the start of the log that continues there.
fn go_on(
    layout: &Layout,
    shard: ShardId,
    tail: &mut Tail,
    position: Position,
) -> Result<Position, StartError> {
    let reset = |reason| reset(layout, shard, position, reason);
    match tail.step(&position.at)? {
        Step::Idle | Step::Transaction(_) => Ok(position),
        Step::NewLog(header) => {
            let records = RestartRecords::load(&layout.restarts(shard))?;
            Ok(records.follow(position, &header).map_err(|e| reset(e.into()))?)
        }
        Step::Rewritten => Err(reset(ResetReason::Rewritten).into()),
        Step::NoLog => Err(reset(ResetReason::NoLog).into()),
    }
}

pub(crate) fn reset(
    layout: &Layout,
    shard: ShardId,
    position: Position,
    reason: ResetReason,
) -> LogReset {
    let (log, mark) = (layout.log(shard), position.seqno());
    LogReset { shard, log, mark, reason }
}

/// Decides how all shards start. With `rebase`, discards the marks that cannot be used.
pub(crate) fn decide_all(
    layout: &Layout,
    positions: &Positions,
    checkpointer: &mut Checkpointer,
    rebase: bool,
) -> Result<Vec<(ShardId, Start)>, DecideError> {
    let floors = checkpointer.floors();
    let state = checkpointer.state().clone();
    let mut starts = Vec::new();
    let mut discarded = false;
    for (id, _) in &state.snapshot() {
        let Some(shard) = state.shard(id) else { continue };
        let start = match decide(layout, positions, &shard) {
            Err(e) if rebase && e.allows_rebase() => {
                eprintln!("follower: {}; rebasing", crate::chain(&e));
                discarded = true;
                Start::Copy
            }
            decided => decided?,
        };
        if matches!(start, Start::Copy) {
            state.remove_shard(id); // 1
        }
        starts.push((id, start));
    }
    if discarded {
        for _ in 0..2 {
            // Needs no flush: nothing was applied since the recovery.
            let saved = checkpointer.checkpoint(|a| Ok(positions.save(a.marks(), &floors)?));
            saved.map_err(DecideError::Discard)?;
        }
    }
    Ok(starts)
}

/// An error while deciding how the shards start.
#[derive(Debug, Error)]
pub(crate) enum DecideError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot discard the marks of the shards to copy again")]
    Discard(#[source] CheckpointError),
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
