//! The paths of one run. `LOCK` and `run` in the root are those of its [`Folder`].
//!
//! [`Folder`]: example_support::Folder

use std::fs;
use std::path::PathBuf;

use example_support::{Context, Error, files};
use repl_core::ShardId;
use serde::{Deserialize, Serialize};

/// The paths below one folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layout(pub(crate) PathBuf);

macro_rules! paths {
    ($($name:ident $path:literal)*) => {
        $(pub(crate) fn $name(&self) -> PathBuf {
            self.0.join($path)
        })*
    };
}

macro_rules! paths_of_shards {
    ($($name:ident $path:literal)*) => {
        $(pub(crate) fn $name(&self, shard: ShardId) -> PathBuf {
            self.0.join(format!($path, shard))
        })*
    };
}

impl Layout {
    paths! {
        leader_lock "leader/LOCK" // locked by the leader
        floors "follower/floors" // what the leader may drop, written by the follower
        positions "follower/positions" // the place in the log of each saved mark
        checkpoint "follower/checkpoint" // the marks, and the follower's lock
    }

    paths_of_shards! {
        database "leader/db{}"
        log "leader/db{}-wal"
        restarts "leader/db{}.restarts" // where each log ended, written by the leader
        copies_lock "leader/db{}.copies" // shared by copies, exclusive to a leader that opens
        replica "follower/db{}"
        replica_image "follower/db{}.synced" // as of the last sync, with simulated power cuts
        log_image "follower/db{}-log.synced" // as of the last sync, with simulated power cuts
    }

    /// Creates the folders of the leader and the follower.
    pub(crate) fn create(&self) -> Result<(), Error> {
        let folders = [self.0.join("leader"), self.0.join("follower")];
        let created = folders.iter().try_for_each(fs::create_dir_all);
        created.and_then(|()| files::sync_folder_of(&folders[0])).at("create folders in", &self.0)
    }
}
