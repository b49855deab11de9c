//! The shards of a snapshot, ascending, in runs that snapshots share.

use std::sync::Arc;

use crate::ids::{Key, ShardId};

/// The largest number of keys in a run.
pub(crate) const RUN: usize = 256;

pub(crate) struct Keys {
    /// None is empty.
    runs: Box<[Run]>,
    len: usize,
}

#[derive(Debug)]
struct Run {
    /// The number of keys before this run.
    before: usize,
    keys: Arc<[Key]>,
}

impl Keys {
    /// From runs that ascend.
    pub(crate) fn of_runs(runs: impl IntoIterator<Item = Arc<[Key]>>) -> Self {
        let mut len = 0;
        let run = |keys: Arc<[Key]>| {
            let before = len;
            len += keys.len();
            Run { before, keys }
        };
        let runs = runs.into_iter().filter(|keys| !keys.is_empty()).map(run).collect();
        Keys { runs, len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of a shard. O(log shards).
    pub(crate) fn find(&self, shard: ShardId) -> Option<(usize, &Key)> {
        let starts_by = |run: &Run| run.keys.first().is_some_and(|key| key.shard <= shard);
        let run = self.runs.get(self.runs.partition_point(starts_by).checked_sub(1)?)?;
        let i = run.keys.binary_search_by_key(&shard, |key| key.shard).ok()?;
        Some((run.before + i, &run.keys[i]))
    }

    /// The runs, none of which is empty or longer than [`RUN`].
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Arc<[Key]>> {
        self.runs.iter().map(|run| &run.keys)
    }

    /// The same keys in runs that are full, but for the last one.
    pub(crate) fn in_full_runs(self: &Arc<Self>) -> Arc<Self> {
        let before_last = self.runs.split_last().map_or(&[][..], |(_, rest)| rest);
        if before_last.iter().all(|run| run.keys.len() == RUN) {
            return Arc::clone(self);
        }
        Arc::new(self.iter().copied().collect::<Vec<_>>().into())
    }

    pub(crate) fn iter(&self) -> KeysIter<'_> {
        KeysIter { runs: self.runs.iter(), run: [].iter(), left: self.len }
    }
}

impl From<Vec<Key>> for Keys {
    fn from(keys: Vec<Key>) -> Self {
        Keys::of_runs(keys.chunks(RUN).map(Arc::from))
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct KeysIter<'a> {
    runs: std::slice::Iter<'a, Run>,
    run: std::slice::Iter<'a, Key>,
    left: usize,
}

impl<'a> Iterator for KeysIter<'a> {
    type Item = &'a Key;

    #[inline]
    fn next(&mut self) -> Option<&'a Key> {
        loop {
            if let Some(key) = self.run.next() {
                self.left -= 1;
                return Some(key);
            }
            self.run = self.runs.next()?.keys.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for KeysIter<'_> {}
