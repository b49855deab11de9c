//! Which shards a restored state tracks.

use std::collections::BTreeMap;

use repl_core::{NewShard, ShardId};

/// Which shards to restore from a checkpoint, and how those that it lacks begin.
///
/// A slice of shard ids converts into [`Track::only`].
///
/// ```
/// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, Track, recover};
/// use repl_core::{LogId, NewShard, ShardId};
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
/// // Shard 7 begins from a base copy that holds segments 1 to 40 of its log.
/// let copied = NewShard::new(ShardId(7)).with_mark(40).with_log(LogId(0xfeed));
/// let recovered = recover(store, JsonCodec, Track::all().or_start([copied]), OnCorrupt::Fail)?;
/// assert_eq!(recovered.state.applied_seqno(ShardId(7)), Some(40));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Track {
    all: bool,
    /// The shards given without a start, ascending: often all of many.
    only: Vec<ShardId>,
    /// How the others that are given begin if the checkpoint lacks them; some may be in `only` too.
    starts: BTreeMap<ShardId, NewShard>,
}

impl Track {
    /// Tracks every shard that the checkpoint holds.
    pub fn all() -> Self {
        Track { all: true, only: Vec::new(), starts: BTreeMap::new() }
    }

    /// Tracks `shards` and no others; one that the checkpoint lacks begins at mark 0.
    ///
    /// The other shards of the checkpoint are orphaned: they are not tracked.
    pub fn only(shards: &[ShardId]) -> Self {
        let mut only = shards.to_vec();
        only.sort();
        only.dedup();
        Track { all: false, only, starts: BTreeMap::new() }
    }

    /// Tracks these shards too; one that the checkpoint lacks begins at the given mark and log, with
    /// the given epochs.
    ///
    /// A shard that the checkpoint holds keeps what is saved of it, whatever is given here. Of
    /// two starts for one shard the later counts.
    #[must_use]
    pub fn or_start(mut self, shards: impl IntoIterator<Item = NewShard>) -> Self {
        self.starts.extend(shards.into_iter().map(|new| (new.shard, new)));
        self
    }

    /// Looks up shards that ascend.
    pub(crate) fn look_up(&self) -> LookUp<'_> {
        LookUp { all: self.all, only: &self.only, starts: &self.starts }
    }

    /// The shards given by id that `saved`, which ascends, lacks; and how they begin. Ascending.
    pub(super) fn missing(&self, saved: impl Iterator<Item = ShardId>) -> Vec<NewShard> {
        let mut saved = saved.peekable();
        let is_missing = |shard: &ShardId| {
            while saved.next_if(|saved| saved < shard).is_some() {}
            saved.peek() != Some(shard)
        };
        self.given().into_iter().filter(is_missing).map(|shard| self.start(shard)).collect()
    }

    /// The shards given by id, ascending.
    fn given(&self) -> Vec<ShardId> {
        let mut given = self.only.clone();
        if !self.starts.is_empty() {
            given.extend(self.starts.keys());
            given.sort();
            given.dedup();
        }
        given
    }

    fn start(&self, shard: ShardId) -> NewShard {
        self.starts.get(&shard).cloned().unwrap_or_else(|| NewShard::new(shard))
    }
}

impl PartialEq for Track {
    fn eq(&self, other: &Self) -> bool {
        let given = self.given();
        self.all == other.all
            && given == other.given()
            && given.into_iter().all(|shard| self.start(shard) == other.start(shard))
    }
}

impl Eq for Track {}

/// A pass over the shards of a [`Track`].
#[derive(Debug)]
pub(crate) struct LookUp<'a> {
    all: bool,
    /// Those from the last one on that was looked up.
    only: &'a [ShardId],
    starts: &'a BTreeMap<ShardId, NewShard>,
}

impl LookUp<'_> {
    /// Whether a shard is tracked, which is not below those looked up before.
    #[inline]
    pub(crate) fn includes(&mut self, shard: ShardId) -> bool {
        while let [first, rest @ ..] = self.only
            && *first < shard
        {
            self.only = rest;
        }
        self.all || self.only.first() == Some(&shard) || self.starts.contains_key(&shard)
    }
}

impl From<&[ShardId]> for Track {
    fn from(shards: &[ShardId]) -> Self {
        Track::only(shards)
    }
}

impl<const N: usize> From<&[ShardId; N]> for Track {
    fn from(shards: &[ShardId; N]) -> Self {
        Track::only(shards)
    }
}

impl From<&Vec<ShardId>> for Track {
    fn from(shards: &Vec<ShardId>) -> Self {
        Track::only(shards)
    }
}
