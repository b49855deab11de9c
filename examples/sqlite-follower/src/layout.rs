//! The paths of one run.
//!
//! ```text
//! DIR/run                         what the folder was made for
//! DIR/LOCK                        locked by the parent
//! DIR/leader/LOCK                 locked by the leader
//! DIR/leader/db0, db0-wal ...     the leader's databases
//! DIR/leader/db0.copies           locked by base copies, and by a leader that opens db0
//! DIR/leader/db0.restarts         where each log ended, written by the leader
//! DIR/follower/floors             what the leader may drop, written by the follower
//! DIR/follower/positions          the place in the log of each saved mark
//! DIR/follower/checkpoint/        the marks, and the follower's lock
//! DIR/follower/db0 ...            the replicas
//! ```

use std::path::{Path, PathBuf};

use repl_core::ShardId;

use crate::durable::beside;

/// The paths below one folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn run_file(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn run_lock(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(crate) fn leader(&self) -> PathBuf {
        self.root.join("leader")
    }

    pub(crate) fn leader_lock(&self) -> PathBuf {
        self.leader().join("LOCK")
    }

    pub(crate) fn database(&self, shard: ShardId) -> PathBuf {
        self.leader().join(format!("db{shard}"))
    }

    pub(crate) fn log(&self, shard: ShardId) -> PathBuf {
        beside(&self.database(shard), "-wal")
    }

    pub(crate) fn restarts(&self, shard: ShardId) -> PathBuf {
        beside(&self.database(shard), ".restarts")
    }

    /// Locked by base copies (shared) and by a leader that opens the database (exclusive).
    pub(crate) fn copies_lock(&self, shard: ShardId) -> PathBuf {
        beside(&self.database(shard), ".copies")
    }

    pub(crate) fn follower(&self) -> PathBuf {
        self.root.join("follower")
    }

    pub(crate) fn floors(&self) -> PathBuf {
        self.follower().join("floors")
    }

    pub(crate) fn positions(&self) -> PathBuf {
        self.follower().join("positions")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.follower().join("checkpoint")
    }

    pub(crate) fn replica(&self, shard: ShardId) -> PathBuf {
        self.follower().join(format!("db{shard}"))
    }

    /// The replica as of its last sync, only with simulated power cuts.
    pub(crate) fn replica_image(&self, shard: ShardId) -> PathBuf {
        beside(&self.replica(shard), ".synced")
    }

    /// The log as of its last sync, only with simulated power cuts.
    pub(crate) fn log_image(&self, shard: ShardId) -> PathBuf {
        beside(&self.replica(shard), "-log.synced")
    }
}
