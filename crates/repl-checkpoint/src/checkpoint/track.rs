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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    all: bool,
    /// The shards given by id, and how each begins if the checkpoint lacks it.
    starts: BTreeMap<ShardId, NewShard>,
}

impl Track {
    /// Tracks every shard that the checkpoint holds.
    pub fn all() -> Self {
        Track { all: true, starts: BTreeMap::new() }
    }

    /// Tracks `shards` and no others; one that the checkpoint lacks begins at mark 0.
    ///
    /// The other shards of the checkpoint are orphaned: they are not tracked.
    pub fn only(shards: &[ShardId]) -> Self {
        let starts = shards.iter().map(|shard| (*shard, NewShard::new(*shard))).collect();
        Track { all: false, starts }
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

    pub(crate) fn includes(&self, shard: ShardId) -> bool {
        self.all || self.starts.contains_key(&shard)
    }

    /// The shards given by id, ascending.
    pub(super) fn starts(&self) -> impl Iterator<Item = NewShard> {
        self.starts.values().cloned()
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
