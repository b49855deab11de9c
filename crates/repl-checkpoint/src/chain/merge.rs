//! The rows of a checkpoint as they pass, with a patch merged into them.

use std::collections::btree_map;

use repl_core::{Incarnation, ShardId};

use super::patch::{Change, Patch, check_next, in_delta};
use crate::checkpoint::{InvalidCheckpoint, NO_LIMIT, Rules, ShardCheckpoint};
use crate::envelope::UnsealError;
use crate::ids::Generation;

/// Rows that come out ascend if those that go in do.
pub(super) struct Merge {
    /// The changes from here on, and the shard of the first of them.
    changes: btree_map::IntoIter<ShardId, Change>,
    change: Option<(ShardId, Change)>,
    first: (Generation, Incarnation),
    /// The rules for the rows of the checkpoint: one that is not valid could go unseen where it is
    /// changed or removed.
    rules: Rules,
    /// The highest incarnation in them, and its shard.
    highest: Option<(Incarnation, ShardId)>,
    result: Result<(), UnsealError>,
}

impl Merge {
    pub(super) fn new(patch: Patch) -> Self {
        let mut changes = patch.changes.into_iter();
        let change = changes.next();
        let (rules, result) = (Rules::default(), Ok(()));
        Merge { changes, change, first: patch.first, rules, highest: None, result }
    }

    /// Gives the next row of the checkpoint, changed or not, and new ones before it to `row`.
    #[inline]
    pub(super) fn push(&mut self, base: ShardCheckpoint, row: &mut dyn FnMut(ShardCheckpoint)) {
        self.rules.check(&base, NO_LIMIT);
        self.highest = self.highest.max(Some((base.incarnation, base.shard)));
        if self.change.as_ref().is_none_or(|(changed, _)| base.shard < *changed) {
            row(base);
        } else {
            self.push_changed(base, row);
        }
    }

    fn push_changed(&mut self, base: ShardCheckpoint, row: &mut dyn FnMut(ShardCheckpoint)) {
        while let Some((shard, change)) = self.change.take() {
            if shard > base.shard {
                self.change = Some((shard, change));
                break;
            }
            self.change = self.changes.next();
            let is_it = shard == base.shard;
            self.apply(shard, change, is_it.then_some(&base), row);
            if is_it {
                return;
            }
        }
        row(base);
    }

    fn apply(
        &mut self,
        shard: ShardId,
        change: Change,
        base: Option<&ShardCheckpoint>,
        row: &mut dyn FnMut(ShardCheckpoint),
    ) {
        if self.result.is_ok() {
            self.result = change.check(shard, base);
        }
        change.row.into_iter().for_each(row);
    }

    /// Ends after the last row of the checkpoint, whose next incarnation is `before`.
    pub(super) fn end(
        mut self,
        before: Incarnation,
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<(), UnsealError> {
        while let Some((shard, change)) = self.change.take() {
            self.change = self.changes.next();
            self.apply(shard, change, None, row);
        }
        self.rules.broken().map_err(UnsealError::Invalid)?;
        if let Some((incarnation, shard)) = self.highest
            && incarnation >= before
            && before != NO_LIMIT
        {
            let invalid = InvalidCheckpoint::Incarnation { shard, incarnation, next: before };
            return Err(UnsealError::Invalid(invalid));
        }
        self.result?;
        let (generation, next) = self.first;
        check_next(before, next).map_err(in_delta(generation))
    }
}
