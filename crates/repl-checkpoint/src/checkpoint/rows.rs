//! The rows of a checkpoint, one after another.

#[cfg(feature = "serde")]
mod serde;

use repl_core::{Incarnation, LogId, ShardId, Snapshot, SnapshotEntries};

use super::rules::Rules;
use super::{Checkpoint, InvalidCheckpoint, ShardCheckpoint};

/// The rows of a checkpoint: the saved progress of its shards, one after another, ascending.
///
/// A [`Codec`](crate::Codec) encodes them. They come from a [`Checkpoint`], or straight from the
/// marks that are saved: then no row exists before it is reached. With the feature `serde`,
/// `Serialize` writes those that are left as a `Checkpoint` of them is written.
///
/// ```
/// use repl_checkpoint::Rows;
/// use repl_core::{ShardId, Snapshot};
///
/// let marks = Snapshot::from_iter([(ShardId(1), 10), (ShardId(2), 7)]);
/// let mut rows = Rows::of(&marks);
/// assert_eq!(rows.len(), 2);
/// while let Some(row) = rows.next() {
///     assert_eq!(marks.mark(row.shard), Some(row.mark));
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    next_incarnation: Incarnation,
    marks: Option<MarkRows<'a>>,
    /// Rows between those of the marks.
    saved: std::slice::Iter<'a, ShardCheckpoint>,
    rules: Rules,
}

/// The rows of a snapshot, in one place: each overwrites the one before it.
#[derive(Debug, Clone)]
struct MarkRows<'a> {
    entries: SnapshotEntries<'a>,
    row: ShardCheckpoint,
    /// Whether `row` is still to be returned.
    is_ready: bool,
}

impl<'a> Rows<'a> {
    /// Returns the rows of a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Rows::between(snapshot, &[])
    }

    /// The rows of a snapshot, and between them those of shards that it does not hold, ascending.
    pub(crate) fn between(marks: &'a Snapshot, others: &'a [ShardCheckpoint]) -> Self {
        let row = ShardCheckpoint {
            shard: ShardId(0),
            log: LogId::UNNAMED,
            incarnation: Incarnation(0),
            mark: 0,
            completed: Box::default(),
            epochs: Box::default(),
        };
        Rows {
            next_incarnation: marks.next_incarnation(),
            marks: Some(MarkRows { entries: marks.entries(), row, is_ready: false }),
            saved: others.iter(),
            rules: Rules::default(),
        }
    }

    pub(super) fn of_checkpoint(checkpoint: &'a Checkpoint) -> Self {
        Rows {
            next_incarnation: checkpoint.next_incarnation,
            marks: None,
            saved: checkpoint.shards.iter(),
            rules: Rules::default(),
        }
    }

    /// Returns the incarnation of the next shard that is added or reset.
    pub fn next_incarnation(&self) -> Incarnation {
        self.next_incarnation
    }

    /// Returns the number of rows that are left.
    pub fn len(&self) -> usize {
        let of_marks = |marks: &MarkRows<'_>| marks.entries.len() + usize::from(marks.is_ready);
        self.saved.len() + self.marks.as_ref().map_or(0, of_marks)
    }

    /// Returns whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the next row, or `None` after the last one.
    #[expect(clippy::should_implement_trait, reason = "each row is lent until the next call")]
    #[inline]
    pub fn next(&mut self) -> Option<&ShardCheckpoint> {
        let row = match &mut self.marks {
            None => self.saved.next()?,
            Some(marks) => match marks.ready(self.saved.as_slice().first()) {
                Some(row) => row,
                None => self.saved.next()?,
            },
        };
        self.rules.check(row, self.next_incarnation);
        Some(row)
    }

    /// Returns a checkpoint of the rows that are left.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let mut rows = self.clone();
        let mut shards = Vec::with_capacity(rows.len());
        while let Some(row) = rows.next() {
            shards.push(row.clone());
        }
        Checkpoint { next_incarnation: self.next_incarnation, shards }
    }

    /// Checks the rows that are left, and that all were valid.
    pub(crate) fn validate(&mut self) -> Result<(), InvalidCheckpoint> {
        while self.rules.broken().is_ok() && self.next().is_some() {}
        self.rules.broken()
    }
}

impl MarkRows<'_> {
    /// The next row, if it comes before `other`.
    #[inline]
    fn ready(&mut self, other: Option<&ShardCheckpoint>) -> Option<&ShardCheckpoint> {
        self.is_ready = self.is_ready || self.load();
        if !self.is_ready || other.is_some_and(|other| other.shard < self.row.shard) {
            return None;
        }
        self.is_ready = false;
        Some(&self.row)
    }

    #[inline]
    fn load(&mut self) -> bool {
        let Some(entry) = self.entries.next() else { return false };
        let row = &mut self.row;
        row.shard = entry.shard;
        row.log = entry.log;
        row.incarnation = entry.incarnation;
        row.mark = entry.mark();
        if entry.applied_set.range_count() > 0 || !row.completed.is_empty() {
            row.completed = entry.applied_set.above().collect();
        }
        if *row.epochs != *entry.epochs.as_slice() {
            row.epochs = entry.epochs.as_slice().into();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beside_those_of_marks_are_counted_until_they_are_returned() {
        let marks = Snapshot::from_iter([(ShardId(1), 10), (ShardId(4), 7)]);
        let orphans = Snapshot::from_iter([2, 3, 5].map(|shard| (ShardId(shard), 1)));
        let orphans = Rows::of(&orphans).to_checkpoint().shards;
        let mut rows = Rows::between(&marks, &orphans);
        for shard in 1..=5 {
            assert_eq!((rows.len(), rows.is_empty()), (6 - shard, false));
            assert_eq!(rows.next().unwrap().shard, ShardId(shard as u64));
        }
        assert!(rows.is_empty() && rows.next().is_none());
    }
}
