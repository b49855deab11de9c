//! Simulates power cuts, for tests.
//!
//! A killed process leaves its unsynced pages in the page cache, so a kill alone does not reveal a
//! missing sync. With `--drop-page-cache` the follower keeps a copy of each file as of its last
//! sync, and the parent restores that copy after a kill. Of all states that a power cut may leave,
//! this is the one where everything unsynced is lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::events;
use crate::folder::Folder;

/// An error while restoring a copy.
#[derive(Debug, Error)]
#[error("cannot restore the last synced copy of {}", path.display())]
pub(crate) struct PowerCutError {
    path: PathBuf,
    source: io::Error,
}

/// Discards from the replicas what the follower had not synced. The follower must have ended.
pub(crate) fn restore_replicas(folder: &Folder) -> Result<(), PowerCutError> {
    let layout = &folder.layout;
    for shard in events::shards(folder.run.databases) {
        restore(&layout.replica_image(shard), &layout.replica(shard))?;
    }
    Ok(())
}

/// Discards from the logs what was not synced. The leader and the follower must have ended.
///
/// The copies are of syncs by the follower. The leader also syncs its log before it ends it, but by
/// then the follower has synced and applied all of it.
pub(crate) fn restore_logs(folder: &Folder) -> Result<(), PowerCutError> {
    let layout = &folder.layout;
    for shard in events::shards(folder.run.databases) {
        restore(&layout.log_image(shard), &layout.log(shard))?;
    }
    Ok(())
}

fn restore(image: &Path, path: &Path) -> Result<(), PowerCutError> {
    if !image.exists() {
        return Ok(());
    }
    fs::copy(image, path).map(drop).map_err(|source| {
        let path = path.to_owned();
        PowerCutError { path, source }
    })
}
