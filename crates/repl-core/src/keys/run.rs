//! Some keys, ascending by shard.

use std::ops::Range;

use super::column::Column;
use crate::ids::{Incarnation, Key, LogId, ShardId};

/// Keys, ascending by shard. A log or an incarnation that all of them have is kept once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    shards: Vec<ShardId>,
    incarnations: Column<Incarnation>,
    logs: Column<LogId>,
}

impl Run {
    pub(crate) fn with_room(keys: usize) -> Self {
        Run { shards: Vec::with_capacity(keys), ..Run::default() }
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

    /// Adds a key of a shard above all that are here.
    #[inline]
    pub(crate) fn push(&mut self, key: Key) {
        let len = self.len();
        self.shards.push(key.shard);
        self.incarnations.push(len, key.incarnation);
        self.logs.push(len, key.log);
    }

    /// Adds a key in place `i`.
    pub(crate) fn insert(&mut self, i: usize, key: Key) {
        let len = self.len();
        self.shards.insert(i, key.shard);
        self.incarnations.insert(len, i, key.incarnation);
        self.logs.insert(len, i, key.log);
    }

    /// Replaces the key in place `i` by another of its shard.
    pub(crate) fn set(&mut self, i: usize, key: Key) {
        debug_assert_eq!(self.shards[i], key.shard);
        self.incarnations.set(self.len(), i, key.incarnation);
        self.logs.set(self.len(), i, key.log);
    }

    pub(crate) fn remove(&mut self, i: usize) {
        self.shards.remove(i);
        self.incarnations.remove(i);
        self.logs.remove(i);
    }

    /// Adds some keys of another run, of shards above all that are here.
    pub(crate) fn extend(&mut self, other: &Run, range: Range<usize>) {
        let len = self.len();
        self.shards.extend_from_slice(&other.shards[range.clone()]);
        self.incarnations.extend(len, &other.incarnations, range.clone());
        self.logs.extend(len, &other.logs, range);
    }

    /// Splits off the keys from place `i` on.
    pub(crate) fn split_off(&mut self, i: usize) -> Self {
        let shards = self.shards.split_off(i);
        let (incarnations, logs) = (self.incarnations.split_off(i), self.logs.split_off(i));
        let mut rest = Run { shards, incarnations, logs };
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
    }
}
