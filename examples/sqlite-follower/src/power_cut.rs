//! What would a power cut have left? A stand-in for one, for tests.
//!
//! A process that is killed leaves its unsynced pages in the page cache, so a kill alone cannot
//! show that something was not synced in time. Asked for it, a follower keeps a copy of each file
//! as of its last sync, and at a kill the parent puts that copy back: of all that a power cut could
//! leave the case where everything unsynced is lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::events;
use crate::folder::Folder;

/// A copy could not be put back.
#[derive(Debug, Error)]
#[error("cannot play a power cut on {}", path.display())]
pub(crate) struct PowerCutError {
    path: PathBuf,
    source: io::Error,
}

/// Takes from the replicas what the follower, which is dead, had not synced.
pub(crate) fn strike_replicas(folder: &Folder) -> Result<(), PowerCutError> {
    let layout = &folder.layout;
    for shard in events::shards(folder.run.databases) {
        put_back(&layout.replica_image(shard), &layout.replica(shard))?;
    }
    Ok(())
}

/// Takes from the logs what nobody had synced; the leader and the follower are dead.
///
/// A leader syncs its log too, when it ends it. The follower has applied all of it by then, and had
/// to sync it for that.
pub(crate) fn strike_logs(folder: &Folder) -> Result<(), PowerCutError> {
    let layout = &folder.layout;
    for shard in events::shards(folder.run.databases) {
        put_back(&layout.log_image(shard), &layout.log(shard))?;
    }
    Ok(())
}

fn put_back(image: &Path, path: &Path) -> Result<(), PowerCutError> {
    if !image.exists() {
        return Ok(());
    }
    fs::copy(image, path).map(drop).map_err(|source| {
        let path = path.to_owned();
        PowerCutError { path, source }
    })
}
