//! Some keys, ascending by shard.

use std::ops::Range;

use super::column::Column;
use crate::epochs::Epochs;
use crate::ids::{Incarnation, Key, LogId, ShardId};

/// Keys, ascending by shard. A log or an incarnation that all of them have is kept once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    shards: Vec<ShardId>,
    incarnations: Column<Incarnation>,
    logs: Column<LogId>,
    /// Of shards that have any, ascending. An empty list takes no memory.
    epochs: Vec<(ShardId, Epochs)>,
}

impl Run {
    pub(crate) fn with_room(keys: usize) -> Self {
        let mut run = Run::default();
        run.shards.reserve_exact(keys);
        run
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    #[inline]
    pub(crate) fn shards(&self) -> &[ShardId] {
        &self.shards
    }

    #[inline]
    pub(crate) fn incarnation(&self, i: usize) -> Incarnation {
        *self.incarnations.get(i)
    }

    #[inline]
    pub(crate) fn log(&self, i: usize) -> LogId {
        *self.logs.get(i)
    }

    /// The epochs of a shard, if it has any.
    #[inline]
    pub(crate) fn epochs(&self, shard: ShardId) -> Option<&Epochs> {
        if self.epochs.is_empty() {
            return None;
        }
        let i = self.epochs.binary_search_by_key(&shard, |(shard, _)| *shard).ok()?;
        Some(&self.epochs[i].1)
    }

    fn set_epochs(&mut self, shard: ShardId, epochs: Epochs) {
        match self.epochs.binary_search_by_key(&shard, |(shard, _)| *shard) {
            Ok(i) if epochs.is_empty() => drop(self.epochs.remove(i)),
            Ok(i) => self.epochs[i].1 = epochs,
            Err(_) if epochs.is_empty() => {}
            Err(i) => self.epochs.insert(i, (shard, epochs)),
        }
    }

    /// Where the epochs of shards from place `i` on begin.
    fn epochs_from(&self, i: usize) -> usize {
        let below = |first: &ShardId| self.epochs.partition_point(|(shard, _)| shard < first);
        self.shards.get(i).map_or(self.epochs.len(), below)
    }

    /// Adds a key of a shard above all that are here.
    #[inline]
    pub(crate) fn push(&mut self, key: Key, epochs: Epochs) {
        let len = self.len();
        self.shards.push(key.shard);
        self.incarnations.push(len, key.incarnation);
        self.logs.push(len, key.log);
        if !epochs.is_empty() {
            self.epochs.push((key.shard, epochs));
        }
    }

    /// Adds a key in place `i`.
    pub(crate) fn insert(&mut self, i: usize, key: Key, epochs: Epochs) {
        self.set_epochs(key.shard, epochs);
        let len = self.len();
        self.shards.insert(i, key.shard);
        self.incarnations.insert(len, i, key.incarnation);
        self.logs.insert(len, i, key.log);
    }

    /// Replaces the key in place `i` by another of its shard.
    pub(crate) fn set(&mut self, i: usize, key: Key, epochs: Epochs) {
        debug_assert_eq!(self.shards[i], key.shard);
        self.set_epochs(key.shard, epochs);
        self.incarnations.set(self.len(), i, key.incarnation);
        self.logs.set(self.len(), i, key.log);
    }

    pub(crate) fn remove(&mut self, i: usize) {
        let shard = self.shards.remove(i);
        self.set_epochs(shard, Epochs::default());
        self.incarnations.remove(i);
        self.logs.remove(i);
    }

    /// Adds some keys of another run, of shards above all that are here.
    pub(crate) fn extend(&mut self, other: &Run, range: Range<usize>) {
        let len = self.len();
        let epochs = other.epochs_from(range.start)..other.epochs_from(range.end);
        self.epochs.extend_from_slice(&other.epochs[epochs]);
        self.shards.extend_from_slice(&other.shards[range.clone()]);
        self.incarnations.extend(len, &other.incarnations, range.clone());
        self.logs.extend(len, &other.logs, range);
    }

    /// Splits off the keys from place `i` on.
    pub(crate) fn split_off(&mut self, i: usize) -> Self {
        let epochs = self.epochs.split_off(self.epochs_from(i));
        let shards = self.shards.split_off(i);
        let (incarnations, logs) = (self.incarnations.split_off(i), self.logs.split_off(i));
        let mut rest = Run { shards, incarnations, logs, epochs };
        rest.shrink();
        rest
    }

    /// How many of the columns keep a value for each key.
    #[cfg(all(test, not(loom_models)))]
    pub(super) fn lists(&self) -> usize {
        usize::from(!self.incarnations.is_one()) + usize::from(!self.logs.is_one())
    }

    /// Gives back memory that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.shards.shrink_to_fit();
        self.incarnations.shrink();
        self.logs.shrink();
        self.epochs.shrink_to_fit();
    }
}
