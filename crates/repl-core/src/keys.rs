//! The shards of a snapshot, ascending, in runs that snapshots share.

mod column;
mod run;
#[cfg(all(test, not(loom_models)))]
mod tests;

use std::sync::Arc;

use crate::epochs::Epochs;
use crate::ids::{Incarnation, Key, LogId, ShardId};

pub(crate) use self::run::Run;

/// The largest number of keys in a run.
pub(crate) const RUN: usize = 256;

#[derive(Default)]
pub(crate) struct Keys {
    /// None is empty.
    runs: Box<[Counted]>,
    len: usize,
}

#[derive(Debug)]
struct Counted {
    /// The number of keys before this run.
    before: usize,
    run: Arc<Run>,
}

impl Keys {
    /// From runs that ascend.
    pub(crate) fn of_runs(runs: impl IntoIterator<Item = Arc<Run>>) -> Self {
        let mut len = 0;
        let counted = |run: Arc<Run>| {
            let before = len;
            len += run.len();
            Counted { before, run }
        };
        let runs = runs.into_iter().filter(|run| !run.is_empty()).map(counted).collect();
        Keys { runs, len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The key of a shard. O(log shards).
    pub(crate) fn find(&self, shard: ShardId) -> Option<KeyRef<'_>> {
        let begins_by = |here: &Counted| here.run.shards().first() <= Some(&shard);
        let here = self.runs.get(self.runs.partition_point(begins_by).checked_sub(1)?)?;
        let i = here.run.shards().binary_search(&shard).ok()?;
        Some(KeyRef { run: &here.run, before: here.before, i })
    }

    /// The runs, none of which is empty or longer than [`RUN`].
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.runs.iter().map(|here| &here.run)
    }

    /// The run in place `i` among the runs.
    #[inline]
    pub(crate) fn run(&self, i: usize) -> Option<&Arc<Run>> {
        self.runs.get(i).map(|here| &here.run)
    }

    /// The key in place `at` of the run in place `i`.
    pub(crate) fn key(&self, i: usize, at: usize) -> Option<KeyRef<'_>> {
        let here = self.runs.get(i)?;
        Some(KeyRef { run: &here.run, before: here.before, i: at })
    }

    /// The number of keys in the run in place `i`, without a look at the run itself.
    #[inline]
    pub(crate) fn run_len(&self, i: usize) -> usize {
        let before = |i: usize| self.runs.get(i).map_or(self.len, |run| run.before);
        before(i + 1) - before(i)
    }

    /// The same keys in runs that are full, but for the last one.
    pub(crate) fn in_full_runs(self: &Arc<Self>) -> Arc<Self> {
        let before_last = self.runs.split_last().map_or(&[][..], |(_, rest)| rest);
        if before_last.iter().all(|here| here.run.len() == RUN) {
            return Arc::clone(self);
        }
        Arc::new(self.iter().map(KeyRef::with_epochs).collect())
    }

    pub(crate) fn iter(&self) -> KeysIter<'_> {
        KeysIter { runs: self.runs.iter(), next: None, end: 0, len: self.len }
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
    pub(crate) fn push(&mut self, key: Key, epochs: Epochs) {
        if self.run.len() == RUN {
            self.end_run(RUN);
        }
        self.run.push(key, epochs);
    }

    /// The last shard of all.
    #[inline]
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

impl FromIterator<(Key, Epochs)> for Keys {
    fn from_iter<I: IntoIterator<Item = (Key, Epochs)>>(keys: I) -> Self {
        let mut builder = KeysBuilder::default();
        keys.into_iter().for_each(|(key, epochs)| builder.push(key, epochs));
        builder.build()
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().map(KeyRef::whole).eq(other.iter().map(KeyRef::whole))
    }
}

/// A key where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRef<'a> {
    run: &'a Run,
    /// The number of keys before the run.
    before: usize,
    /// Its place in the run.
    i: usize,
}

impl<'a> KeyRef<'a> {
    /// The key that many places after this one, in the same run.
    #[inline]
    pub(crate) fn plus(self, keys: usize) -> Self {
        KeyRef { i: self.i + keys, ..self }
    }

    /// Its place among all keys.
    #[inline]
    pub(crate) fn place(self) -> usize {
        self.before + self.i
    }

    #[inline]
    pub(crate) fn shard(self) -> ShardId {
        self.run.shards()[self.i]
    }

    #[inline]
    pub(crate) fn incarnation(self) -> Incarnation {
        self.run.incarnation(self.i)
    }

    #[inline]
    pub(crate) fn log(self) -> LogId {
        self.run.log(self.i)
    }

    /// The epochs, if there are any.
    #[inline]
    pub(crate) fn epochs(self) -> Option<&'a Epochs> {
        self.run.epochs(self.shard())
    }

    fn whole(self) -> (Key, Option<&'a Epochs>) {
        (self.key(), self.epochs())
    }

    #[inline]
    pub(crate) fn with_epochs(self) -> (Key, Epochs) {
        (self.key(), self.epochs().cloned().unwrap_or_default())
    }

    #[inline]
    pub(crate) fn key(self) -> Key {
        Key { shard: self.shard(), incarnation: self.incarnation(), log: self.log() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct KeysIter<'a> {
    /// The runs after the one that the next key is in.
    runs: std::slice::Iter<'a, Counted>,
    /// The next key, unless it is behind its run.
    next: Option<KeyRef<'a>>,
    /// The number of keys in its run.
    end: usize,
    /// The number of all keys.
    len: usize,
}

impl<'a> KeysIter<'a> {
    /// The next key, which stays the next one.
    #[inline]
    fn peek(&mut self) -> Option<KeyRef<'a>> {
        match self.next {
            Some(next) if next.i < self.end => Some(next),
            _ => self.begin_run(),
        }
    }

    #[cold]
    fn begin_run(&mut self) -> Option<KeyRef<'a>> {
        let Counted { before, run } = self.runs.next()?;
        self.end = run.len();
        self.next = Some(KeyRef { run, before: *before, i: 0 });
        self.next
    }

    /// The shards of the next keys, as many as are in one run; none at the end.
    pub(crate) fn rest_of_run(&mut self) -> &'a [ShardId] {
        self.peek().map_or(&[], |next| &next.run.shards()[next.i..])
    }

    /// Passes that many keys of a run. Returns the first of them.
    pub(crate) fn pass(&mut self, keys: usize) -> Option<KeyRef<'a>> {
        let first = self.peek().filter(|_| keys > 0)?;
        self.next = Some(first.plus(keys));
        Some(first)
    }
}

impl<'a> Iterator for KeysIter<'a> {
    type Item = KeyRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<KeyRef<'a>> {
        let key = self.peek()?;
        self.next = Some(key.plus(1));
        Some(key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next.map_or(0, KeyRef::place);
        (left, Some(left))
    }
}

impl ExactSizeIterator for KeysIter<'_> {}
