//! May a shard go on from its saved mark, must it begin with a base copy, or is something lost?
//!
//! | mark | at the mark | |
//! | --- | --- | --- |
//! | none | | nothing is claimed: a base copy, whatever file lies there |
//! | some | no replica, or no position | what the mark speaks of is gone |
//! | some | same log, same checksum | go on |
//! | some | a new log, which a restart record joins to the mark | go on at its start |
//! | some | anything else | the log was reset behind the follower's back |
//!
//! Where something is lost the follower stops and says so. Told to rebase, it gives the mark up
//! first and copies then:
//! 1. remove the shard, and save twice, so that no generation claims it any more;
//! 2. make the base copy as for a new shard. A crash in between leaves a shard without a mark.

use std::path::PathBuf;

use repl_checkpoint::{CheckpointError, Checkpointer};
use repl_core::{SeqNo, Shard, ShardId};
use thiserror::Error;

use crate::durable::FileError;
use crate::layout::Layout;
use crate::position::{Mark, Position};
use crate::positions::{Positions, PositionsError};
use crate::restart::{NotContinued, RestartRecords};
use crate::tail::{Step, Tail, TailError};

/// How a shard begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// From its mark: the place behind which the log goes on, and the log's end as it is now.
    Resume { shard: Shard, position: Position, log_end: SeqNo },
    /// With a base copy.
    Copy,
}

/// Why a shard cannot go on from its mark.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error(
        "shard {shard}: the checkpoint says that all up to {} is applied, but there is no replica \
         {}; put it back, or run again with --rebase to copy the database anew",
        Mark(*mark), path.display()
    )]
    NoReplica { shard: ShardId, mark: SeqNo, path: PathBuf },
    #[error(
        "shard {shard}: {} does not say which place of the log the mark {} is; put it back, or run \
         again with --rebase to copy the database anew",
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
    /// Whether a base copy helps: where nothing could be read it would be made for no reason.
    fn asks_for_rebase(&self) -> bool {
        match self {
            StartError::NoReplica { .. }
            | StartError::NoPosition { .. }
            | StartError::LogReset(_) => true,
            StartError::Tail(_) | StartError::File(_) => false,
        }
    }
}

/// The log was reset behind the follower's back: transactions may be missing, and no one can tell.
#[derive(Debug, Error)]
#[error(
    "shard {shard}: the log {} was reset behind the follower, which had applied all up to {}: \
     {reason}. Transactions may be lost to the replica. Find out who checkpointed the database; \
     then run again with --rebase to copy it anew",
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
    #[error("there is no log any more")]
    NoLog,
    #[error("the frame at that place is another one now")]
    Rewritten,
    #[error("{0}")]
    NotContinued(#[from] NotContinued),
}

/// Decides how a shard begins.
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
        // It restarts at this very moment, which it may only do at our end.
        _ => position,
    };
    // In a log of which nothing is applied yet the mark still stands in the one before.
    let log_end = if end.at.frame == 0 { mark } else { end.seqno() };
    Ok(Start::Resume { shard: shard.clone(), position, log_end })
}

/// The place from which to read on: `position`, or the start of the log that follows there.
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

/// Decides for all shards; where something is lost, gives those marks up if that is allowed.
pub(crate) fn decide_all(
    layout: &Layout,
    positions: &Positions,
    checkpointer: &mut Checkpointer,
    rebase: bool,
) -> Result<Vec<(ShardId, Start)>, DecideError> {
    let floors = checkpointer.floors();
    let state = checkpointer.state().clone();
    let mut starts = Vec::new();
    let mut given_up = false;
    for (id, _) in &state.snapshot() {
        let Some(shard) = state.shard(id) else { continue };
        let start = match decide(layout, positions, &shard) {
            Err(e) if rebase && e.asks_for_rebase() => {
                eprintln!("follower: {e}; rebasing");
                given_up = true;
                Start::Copy
            }
            decided => decided?,
        };
        if matches!(start, Start::Copy) {
            state.remove_shard(id); // 1
        }
        starts.push((id, start));
    }
    if given_up {
        for _ in 0..2 {
            // Nothing was written yet, and the marks that stay are the recovered ones.
            let saved = checkpointer.checkpoint(|marks| positions.save(marks, &floors));
            saved.map_err(DecideError::GiveUp)?;
        }
    }
    Ok(starts)
}

/// The start of some shard could not be decided.
#[derive(Debug, Error)]
pub(crate) enum DecideError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot give up the marks of the shards to copy anew")]
    GiveUp(#[source] CheckpointError<PositionsError>),
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
