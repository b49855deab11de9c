//! Decides how a shard starts: at its saved mark, with a base copy, or not at all.
//!
//! | mark | found | start |
//! | --- | --- | --- |
//! | none | anything | with a base copy |
//! | saved | the same log with the same checksum at the mark | at the mark |
//! | saved | a new log, and a restart record that ends the old one at the mark | at its start |
//! | saved | no replica, no position of the mark, or any other log | error |
//!
//! The verdict of [`reconcile`] on the log is printed at each start.
//!
//! With `--rebase` the mark is discarded instead of that error:
//! 1. Remove the shard and save twice, so that no generation holds its mark any more.
//! 2. Make the base copy as for a new shard. A crash in between leaves a shard without a mark.

use example_support::{Context, Error, chain};
use repl_checkpoint::Checkpointer;
use repl_core::{LogBounds, Progress, SeqNo, Shard, ShardId, Verdict, reconcile};
use thiserror::Error;

use crate::bounds::{Seen, bounds, first_log, progress};
use crate::handover::RestartRecords;
use crate::layout::Layout;
use crate::positions::{Mark, Positions, seqno_of};
use crate::tail::{NO_LOG, Step, Tail};
use crate::wal::{LogPoint, WalHeader};

/// How a shard starts.
#[derive(Debug)]
pub(crate) enum Start {
    /// At its mark: the place to continue from, and the seqno of the current end of the log.
    Resume { shard: Shard, at: LogPoint, log_end: SeqNo },
    /// With a base copy.
    Copy(ShardId),
}

/// A shard cannot continue from its mark. A base copy solves that, unlike a read error.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct CannotContinue(String);

/// The error that the log at the mark is gone or different, so transactions may be missing.
pub(crate) fn reset(layout: &Layout, shard: &Shard, at: &LogPoint, why: &str) -> Error {
    let (id, mark) = (shard.id(), Mark(seqno_of(shard.log(), at)));
    CannotContinue(format!(
        "shard {id}: the log {} was reset, but the follower had applied only up to {mark}: {why}. \
         The replica may lack transactions. Find out which process checkpointed the database, then \
         run again with --rebase to copy it again",
        layout.log(id).display()
    ))
    .into()
}

/// The start of the log of `header`, if it continues the one that was followed up to `at`.
pub(crate) fn next_log(
    layout: &Layout,
    shard: &Shard,
    at: &LogPoint,
    header: &WalHeader,
) -> Result<LogPoint, Error> {
    let records = RestartRecords::load(&layout.restarts(shard.id()))?;
    records.follow(*at, header).map_err(|why| reset(layout, shard, at, why))
}

/// Decides how a shard starts.
pub(crate) fn decide(
    layout: &Layout,
    positions: &Positions,
    shard: &Shard,
) -> Result<Start, Error> {
    let (id, mark) = (shard.id(), shard.applied());
    let path = layout.replica(id);
    if mark == 0 {
        let ours = if path.exists() { Progress::DataWithoutMarks } else { Progress::Nothing };
        verdict(id, &ours, &first_log());
        return Ok(Start::Copy(id));
    }
    let advice = "restore it, or run again with --rebase to copy the database again";
    let cannot = |what| {
        let what = format!("shard {id}: {what} the mark {}: {advice}", Mark(mark));
        Err(CannotContinue(what).into())
    };
    if !path.exists() {
        return cannot(format!("there is no replica {} for", path.display()));
    }
    let Some(mut at) = positions.of(id, shard.log(), mark) else {
        let path = layout.positions();
        return cannot(format!("{} does not hold the position of", path.display()));
    };
    let mut tail = Tail::new(&layout.log(id));
    let (seen, why) = match tail.step(&at)? {
        Step::Idle | Step::Transaction(_) => (Seen::Holds, ""),
        Step::NewLog(header) => {
            match RestartRecords::load(&layout.restarts(id))?.follow(at, &header) {
                Ok(start) => {
                    at = start;
                    (Seen::Holds, "")
                }
                Err(why) => (Seen::Begins(seqno_of(shard.log(), &header.start())), why),
            }
        }
        Step::Reset(NO_LOG) => (Seen::Gone, NO_LOG),
        Step::Reset(why) => (Seen::Differs, why),
    };
    let log = bounds(shard.log(), mark, seen);
    let verdict = verdict(id, &progress(shard.log(), mark), &log);
    if !matches!(verdict, Verdict::Resume { .. }) {
        return Err(reset(layout, shard, &at, &format!("{why} ({verdict})")));
    }
    // If it restarts just now, it may do so only at this place.
    let end = tail.end(Some(at))?.filter(|end| end.salts == at.salts).unwrap_or(at);
    // If nothing of the log is applied yet, the mark is in the previous log.
    let log_end = if end.frame == 0 { mark } else { seqno_of(shard.log(), &end) };
    Ok(Start::Resume { shard: shard.clone(), at, log_end })
}

/// Prints what the follower makes of the log.
fn verdict(id: ShardId, ours: &Progress, log: &LogBounds) -> Verdict {
    let verdict = reconcile(ours, log);
    eprintln!("follower: shard {id}: {verdict}");
    verdict
}

/// Decides how all shards start. With `rebase`, discards the marks that cannot be used.
pub(crate) fn decide_all(
    layout: &Layout,
    positions: &Positions,
    checkpointer: &mut Checkpointer,
    rebase: bool,
) -> Result<Vec<Start>, Error> {
    let floors = checkpointer.floors();
    let state = checkpointer.state().clone();
    let mut starts = Vec::new();
    let mut discarded = false;
    for id in state.shards() {
        let Some(shard) = state.shard(id) else { continue };
        let start = match decide(layout, positions, &shard) {
            Err(e) if rebase && e.is::<CannotContinue>() => {
                eprintln!("follower: {}; rebasing", chain(&*e));
                discarded = true;
                Start::Copy(id)
            }
            decided => decided?,
        };
        if matches!(start, Start::Copy(_)) {
            state.remove_shard(id); // 1
        }
        starts.push(start);
    }
    for _ in 0..if discarded { 2 } else { 0 } {
        // Needs no flush: nothing was applied since the recovery.
        let saved = checkpointer.checkpoint(|a| positions.save(a.marks(), &floors));
        saved.context(|| "cannot discard the marks of the shards to copy again".to_owned())?;
    }
    Ok(starts)
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
