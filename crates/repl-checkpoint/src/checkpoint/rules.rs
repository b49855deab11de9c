//! The rules of a valid checkpoint, row by row.

use repl_core::{EpochStart, Incarnation, ShardId};

use super::{InvalidCheckpoint, ShardCheckpoint};

/// No incarnation is too high for it: numbers that have run out stay at the last one.
pub(crate) const NO_LIMIT: Incarnation = Incarnation(u64::MAX);

/// Checks rows in their order, and keeps the first rule that they break.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    before: Option<ShardId>,
    broken: Option<InvalidCheckpoint>,
}

impl Rules {
    /// Checks one row, unless an earlier one is not valid.
    #[inline]
    pub(crate) fn check(&mut self, row: &ShardCheckpoint, next: Incarnation) {
        let is_after = self.before.is_none_or(|before| before < row.shard);
        self.before = Some(row.shard);
        let is_plain = row.completed.is_empty() && row.epochs.is_empty();
        if !(is_after && row.incarnation < next && is_plain) {
            self.check_details(row, next, is_after);
        }
    }

    fn check_details(&mut self, row: &ShardCheckpoint, next: Incarnation, is_after: bool) {
        if self.broken.is_some() {
            return;
        }
        let (shard, incarnation) = (row.shard, row.incarnation);
        if !is_after {
            self.broken = Some(InvalidCheckpoint::ShardOrder { shard });
        } else if incarnation >= next && next != NO_LIMIT {
            self.broken = Some(InvalidCheckpoint::Incarnation { shard, incarnation, next });
        } else {
            self.broken = details(row).err();
        }
    }

    /// The first rule that is broken.
    #[inline]
    pub(crate) fn broken(&self) -> Result<(), InvalidCheckpoint> {
        self.broken.map_or(Ok(()), Err)
    }
}

/// Checks ranges and epochs.
fn details(row: &ShardCheckpoint) -> Result<(), InvalidCheckpoint> {
    let shard = row.shard;
    let mut below = row.mark;
    for &range in &row.completed {
        if range.is_empty() || range.first() <= below {
            return Err(InvalidCheckpoint::Range { shard, range });
        }
        below = range.last();
    }
    let ascends = |w: &[EpochStart]| w[0].epoch < w[1].epoch && w[0].first < w[1].first;
    match row.epochs.windows(2).find(|w| !ascends(w)) {
        Some(pair) => Err(InvalidCheckpoint::Epoch { shard, start: pair[1] }),
        None => Ok(()),
    }
}
