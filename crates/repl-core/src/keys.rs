//! The shards of a snapshot, ascending, in runs that snapshots share.

mod column;
mod run;

use std::sync::Arc;

use crate::ids::{Key, ShardId};

pub(crate) use self::run::Run;

/// The largest number of keys in a run.
pub(crate) const RUN: usize = 256;

#[derive(Default)]
pub(crate) struct Keys {
    /// None is empty. Each with the number of keys before it.
    runs: Box<[(usize, Arc<Run>)]>,
    len: usize,
}

impl Keys {
    /// From runs that ascend.
    pub(crate) fn of_runs(runs: impl IntoIterator<Item = Arc<Run>>) -> Self {
        let mut len = 0;
        let counted = |run: Arc<Run>| {
            let before = len;
            len += run.len();
            (before, run)
        };
        let runs = runs.into_iter().filter(|run| !run.is_empty()).map(counted).collect();
        Keys { runs, len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of a shard. O(log shards).
    pub(crate) fn find(&self, shard: ShardId) -> Option<(usize, Key)> {
        let begins_by = |(_, run): &(usize, Arc<Run>)| run.shards().first() <= Some(&shard);
        let (before, run) = self.runs.get(self.runs.partition_point(begins_by).checked_sub(1)?)?;
        let i = run.shards().binary_search(&shard).ok()?;
        Some((before + i, run.key(i)))
    }

    /// The runs, none of which is empty or longer than [`RUN`].
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.runs.iter().map(|(_, run)| run)
    }

    /// The same keys in runs that are full, but for the last one.
    pub(crate) fn in_full_runs(self: &Arc<Self>) -> Arc<Self> {
        let before_last = self.runs.split_last().map_or(&[][..], |(_, rest)| rest);
        if before_last.iter().all(|(_, run)| run.len() == RUN) {
            return Arc::clone(self);
        }
        Arc::new(self.iter().collect())
    }

    pub(crate) fn iter(&self) -> KeysIter<'_> {
        KeysIter { runs: self.runs.iter(), run: None, at: 0, left: self.len }
    }
}

/// Keys in full runs, as they come.
#[derive(Debug, Default)]
pub(crate) struct KeysBuilder {
    runs: Vec<Arc<Run>>,
    run: Run,
}

impl KeysBuilder {
    /// Adds a key of a shard above all that are here.
    #[inline]
    pub(crate) fn push(&mut self, key: Key) {
        if self.run.len() == RUN {
            self.end_run(RUN);
        }
        self.run.push(key);
    }

    /// The last shard of all.
    pub(crate) fn last(&self) -> Option<ShardId> {
        self.run.shards().last().copied()
    }

    pub(crate) fn build(mut self) -> Keys {
        self.end_run(0);
        Keys::of_runs(self.runs)
    }

    /// Ends a run, and begins one with room for some keys.
    fn end_run(&mut self, room: usize) {
        self.run.shrink();
        self.runs.push(Arc::new(std::mem::replace(&mut self.run, Run::with_room(room))));
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut builder = KeysBuilder::default();
        keys.into_iter().for_each(|key| builder.push(key));
        builder.build()
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct KeysIter<'a> {
    runs: std::slice::Iter<'a, (usize, Arc<Run>)>,
    run: Option<&'a Run>,
    /// The place of the next key in the run.
    at: usize,
    left: usize,
}

impl Iterator for KeysIter<'_> {
    type Item = Key;

    #[inline]
    fn next(&mut self) -> Option<Key> {
        loop {
            if let Some(run) = self.run.filter(|run| self.at < run.len()) {
                let key = run.key(self.at);
                self.at += 1;
                self.left -= 1;
                return Some(key);
            }
            self.run = Some(&self.runs.next()?.1);
            self.at = 0;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for KeysIter<'_> {}
