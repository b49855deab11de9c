//! Which shards there are, and the flush of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use example_support::{Context, Error, files, rng};
use repl_core::ShardId;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::replica::Replica;

/// The durable list of shards.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ShardList {
    /// The number of shards that there ever were, which is the number of the newest.
    pub(crate) ever: u64,
    pub(crate) live: BTreeSet<ShardId>,
    /// Removed, but not yet deleted.
    pub(crate) removed: BTreeSet<ShardId>,
}

impl ShardList {
    /// Reads the list, which is empty at the first start. Blocks.
    pub(crate) fn load(root: &Path) -> Result<ShardList, Error> {
        Ok(files::load(&root.join("shards"))?.unwrap_or_default())
    }

    /// Makes the list durable. Blocks.
    pub(crate) fn store(&self, root: &Path) -> Result<(), Error> {
        files::save(&root.join("shards"), self)
    }

    /// Adds a shard, with a number that no shard had before.
    pub(crate) fn add(&mut self) -> ShardId {
        self.ever += 1;
        self.live.insert(ShardId(self.ever));
        ShardId(self.ever)
    }

    /// Moves a shard from the live ones to the removed ones.
    pub(crate) fn remove(&mut self, shard: ShardId) {
        self.live.remove(&shard);
        self.removed.insert(shard);
    }
}

/// The folder with the data and the log of a shard.
pub(crate) fn folder(root: &Path, shard: ShardId) -> PathBuf {
    root.join(format!("shard-{shard}"))
}

/// The live shards.
pub(crate) type Live = BTreeMap<ShardId, Arc<Replica>>;

/// Picks a shard at random.
pub(crate) fn pick(live: &Live, words: &[u64]) -> Option<Arc<Replica>> {
    rng(words).choice(live.values()).cloned()
}

/// Makes the data of all shards durable.
pub(crate) async fn flush(live: Live) -> Result<(), Error> {
    let mut flushes = JoinSet::new();
    for replica in live.into_values() {
        flushes.spawn_blocking(move || replica.flush());
    }
    while let Some(flushed) = flushes.join_next().await {
        flushed??;
    }
    Ok(())
}

/// Deletes the data and the log of a removed shard. Returns false if a client was just appending:
/// then it must be tried again. Blocks.
pub(crate) fn delete(root: &Path, shard: ShardId) -> Result<bool, Error> {
    let folder = folder(root, shard);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
        deleted => deleted.map(|()| true).at("delete", &folder),
    }
}
