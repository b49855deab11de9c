//! Changes of a checkpoint that a store never makes by itself. They touch no file.

#[cfg(test)]
mod tests;

use std::fmt;

use repl_checkpoint::{Checkpoint, ShardCheckpoint};
use repl_core::{Incarnation, SeqNo, SeqRange, ShardId};
use serde::Serialize;

use crate::row::Row;

/// What the operator has said may happen to data.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// Allow a mark to be lowered: segments are applied again
    #[arg(long)]
    pub(crate) replay: bool,
    /// Allow a mark to be raised: the segments below are not offered again, and their data is missing
    /// unless the engine has applied it
    #[arg(long)]
    pub(crate) skip: bool,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedEdit {
    #[error("shard {0} is not in it")]
    NoShard(ShardId),
    #[error(
        "{0}: `--replay` allows that, if apply is idempotent: the segments that the log has there \
         now are applied, and those that it no longer has are skipped"
    )]
    Replay(String),
    #[error(
        "{0}: `--skip` allows that, and their data is missing unless the engine has applied it"
    )]
    Skip(String),
    #[error("no incarnation is left for shard {0}")]
    NoIncarnation(ShardId),
}

/// Exactly as it is saved: nothing is merged.
impl From<&ShardCheckpoint> for Row {
    fn from(saved: &ShardCheckpoint) -> Self {
        Row {
            shard: saved.shard.0,
            log: saved.log.to_string(),
            incarnation: saved.incarnation.0,
            mark: saved.mark,
            completed: saved.completed.iter().map(|r| (r.first(), r.last())).collect(),
            epochs: saved.epochs.iter().map(|e| (e.epoch, e.first)).collect(),
        }
    }
}

/// Segments that a change skips or offers again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Segments(pub(crate) Vec<SeqRange>);

impl fmt::Display for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("segments ")?;
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let (first, last) = (range.first(), range.last());
            write!(f, "{comma}{first}")?;
            if first < last {
                write!(f, " to {last}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Segments {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|range| [range.first(), range.last()]))
    }
}

/// A shard at another mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) before: ShardCheckpoint,
    pub(crate) after: ShardCheckpoint,
    /// What is never applied.
    pub(crate) skipped: Segments,
    /// What was applied and is offered again.
    pub(crate) replayed: Segments,
}

/// Moves a shard to another mark, in a new incarnation. `None` if it is there, and nothing is
/// completed above.
pub(crate) fn set(
    checkpoint: &Checkpoint,
    shard: ShardId,
    to: SeqNo,
    allowed: Allowed,
) -> Result<Option<Edit>, RefusedEdit> {
    let before = checkpoint.shard(shard).ok_or(RefusedEdit::NoShard(shard))?.clone();
    if to == before.mark && before.completed.is_empty() {
        return Ok(None);
    }
    let (skipped, replayed) = (skipped(&before, to), replayed(&before, to));
    if to > before.mark && !allowed.skip {
        let what = format!("shard {shard} is at {}, and {to} would skip {skipped}", before.mark);
        return Err(RefusedEdit::Skip(what));
    }
    if to <= before.mark && !allowed.replay {
        let what = format!("shard {shard} is at {}, and {to} would replay {replayed}", before.mark);
        return Err(RefusedEdit::Replay(what));
    }
    let (incarnation, next_incarnation) = new_incarnation(checkpoint, shard)?;
    let after = ShardCheckpoint {
        incarnation,
        mark: to,
        completed: Box::default(),
        epochs: before.epochs.iter().copied().filter(|epoch| epoch.first <= to).collect(),
        ..before.clone()
    };
    let rows = checkpoint.shards.iter().map(|row| if row.shard == shard { &after } else { row });
    let checkpoint = Checkpoint { next_incarnation, shards: rows.cloned().collect() };
    Ok(Some(Edit { checkpoint, before, after, skipped, replayed }))
}

/// Leaves a shard out.
pub(crate) fn forget(
    checkpoint: &Checkpoint,
    shard: ShardId,
    is_allowed: bool,
) -> Result<(Checkpoint, ShardCheckpoint), RefusedEdit> {
    let before = checkpoint.shard(shard).ok_or(RefusedEdit::NoShard(shard))?.clone();
    let replayed = replayed(&before, 0);
    if !replayed.0.is_empty() && !is_allowed {
        let what = format!(
            "shard {shard} is at {}, and an engine that still has it would replay \
                            {replayed}",
            before.mark
        );
        return Err(RefusedEdit::Replay(what));
    }
    let rows = checkpoint.shards.iter().filter(|row| row.shard != shard);
    let shards = rows.cloned().collect();
    Ok((Checkpoint { next_incarnation: checkpoint.next_incarnation, shards }, before))
}

/// The incarnation that a shard begins, and the next one.
fn new_incarnation(
    checkpoint: &Checkpoint,
    shard: ShardId,
) -> Result<(Incarnation, Incarnation), RefusedEdit> {
    let new = checkpoint.next_incarnation;
    if new.next() == new {
        return Err(RefusedEdit::NoIncarnation(shard));
    }
    Ok((new, new.next()))
}

/// A checkpoint with all shards in a new incarnation, above all of another one.
pub(crate) fn begun_again(
    mut checkpoint: Checkpoint,
    beside: Option<&Checkpoint>,
) -> Result<Checkpoint, RefusedEdit> {
    let there = beside.map_or(Incarnation(0), |beside| beside.next_incarnation);
    checkpoint.next_incarnation = checkpoint.next_incarnation.max(there);
    let Some(first) = checkpoint.shards.first() else { return Ok(checkpoint) };
    let (incarnation, next) = new_incarnation(&checkpoint, first.shard)?;
    checkpoint.shards.iter_mut().for_each(|row| row.incarnation = incarnation);
    checkpoint.next_incarnation = next;
    Ok(checkpoint)
}

/// Checks that no mark moves in a direction that is not allowed.
pub(crate) fn check_marks(
    before: Option<&Checkpoint>,
    after: &Checkpoint,
    allowed: Allowed,
) -> Result<(), RefusedEdit> {
    let Some(before) = before else { return Ok(()) };
    for row in &before.shards {
        let (shard, mark) = (row.shard, row.mark);
        let to = after.shard(shard).map(|row| row.mark);
        if to < Some(mark) && !allowed.replay {
            let to = to.map_or_else(|| "not there".to_owned(), |to| format!("at {to}"));
            let what = format!("shard {shard} is at {mark}, and in the backup {to}");
            return Err(RefusedEdit::Replay(format!("{what}, which would replay segments")));
        }
    }
    for row in &after.shards {
        let (shard, to) = (row.shard, row.mark);
        let mark = before.shard(shard).map(|row| row.mark);
        if Some(to) > mark && to > 0 && !allowed.skip {
            let mark = mark.map_or_else(|| "not there".to_owned(), |mark| format!("at {mark}"));
            let what = format!("shard {shard} is {mark}, and in the backup at {to}");
            return Err(RefusedEdit::Skip(format!("{what}, which would skip segments")));
        }
    }
    Ok(())
}

/// What of `before` is not applied, up to a mark.
fn skipped(before: &ShardCheckpoint, to: SeqNo) -> Segments {
    let (mut gaps, mut applied) = (Vec::new(), before.mark);
    for range in &before.completed {
        gaps.push(SeqRange::new(applied.saturating_add(1), to.min(range.first() - 1)));
        applied = range.last();
    }
    if applied < to {
        gaps.push(SeqRange::new(applied + 1, to));
    }
    gaps.retain(|gap| !gap.is_empty());
    Segments(gaps)
}

/// What of `before` is applied above a mark.
fn replayed(before: &ShardCheckpoint, to: SeqNo) -> Segments {
    let mut ranges = Vec::new();
    if to < before.mark {
        ranges.push(SeqRange::new(to + 1, before.mark));
    }
    let above = before.completed.iter().filter(|range| range.last() > to);
    ranges.extend(above.map(|range| SeqRange::new(range.first().max(to + 1), range.last())));
    Segments(ranges)
}
