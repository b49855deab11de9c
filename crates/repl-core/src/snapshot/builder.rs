//! A snapshot from entries that come one after another.

use std::sync::Arc;

use super::{Snapshot, SnapshotEntry};
use crate::ids::{Incarnation, Key, SeqNo};
use crate::keys::KeysBuilder;
use crate::table::Above;

/// Builds a [`Snapshot`] from entries that come one after another.
///
/// Entries that ascend by shard are kept as a snapshot keeps them, in 16 bytes a shard where logs
/// and incarnations are the same. Where entries come in an iterator, collect that: the result is
/// the same.
///
/// ```
/// use repl_core::{AppliedSet, ReplicationState, ShardId, SnapshotBuilder, SnapshotEntry};
///
/// let mut saved = SnapshotBuilder::new();
/// for row in ["1 10", "2 7"] {
///     let (shard, mark) = row.split_once(' ').ok_or("not a row")?;
///     let applied = AppliedSet::up_to(mark.parse()?);
///     saved.push(SnapshotEntry::new(ShardId(shard.parse()?), applied));
/// }
/// let state = ReplicationState::restore(&saved.build());
/// assert_eq!(state.applied_seqno(ShardId(2)), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    keys: KeysBuilder,
    /// Parallel to `keys`.
    marks: Vec<SeqNo>,
    above: Above,
    /// Entries that did not come after those before them.
    others: Vec<SnapshotEntry>,
    next_incarnation: Incarnation,
}

impl SnapshotBuilder {
    /// Creates a builder without an entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry; of two with the same shard the one with the larger mark counts.
    ///
    /// O(1) amortized, if its shard is above those before it.
    #[inline]
    pub fn push(&mut self, entry: SnapshotEntry) {
        self.next_incarnation = self.next_incarnation.max(entry.incarnation.next());
        if self.keys.last().is_some_and(|last| last >= entry.shard) {
            return self.others.push(entry);
        }
        let SnapshotEntry { shard, log, incarnation, applied_set, epochs } = entry;
        self.keys.push(Key { shard, incarnation, log }, epochs);
        self.marks.push(applied_set.mark());
        let ranges = applied_set.into_ranges_above();
        if !ranges.is_empty() {
            self.above.insert(shard, ranges);
        }
    }

    /// Returns the snapshot of all entries. Its next incarnation is the one after the highest, as
    /// [`Snapshot::with_next_incarnation`] says.
    ///
    /// O(1) if the entries ascended by shard, O(shards log shards) otherwise.
    pub fn build(mut self) -> Snapshot {
        self.marks.shrink_to_fit();
        let keys = Arc::new(self.keys.build());
        let ascending = Snapshot::of(keys, self.marks, self.above, self.next_incarnation);
        if self.others.is_empty() {
            return ascending;
        }
        let mut entries: Vec<_> = ascending.entries().chain(self.others).collect();
        entries.sort_by_key(|entry| (entry.shard, std::cmp::Reverse(entry.mark())));
        entries.dedup_by_key(|entry| entry.shard);
        entries.into_iter().collect::<Snapshot>().with_next_incarnation(self.next_incarnation)
    }

    pub(super) fn with_room(shards: usize) -> Self {
        let mut builder = Self::default();
        builder.marks.reserve_exact(shards);
        builder
    }
}
