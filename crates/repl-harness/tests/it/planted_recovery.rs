//! Bugs of a recovery: it finds a checkpoint that was changed.

use std::cmp::Reverse;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use repl_checkpoint::{Checkpoint, Header, JsonCodec, StoreId};

use crate::planted::Bug;

type Found = (PathBuf, Header, Checkpoint);

/// Reads the checkpoints in a directory, the newest first. A file that is removed in the meantime
/// is left out.
pub(crate) fn checkpoints(dir: &Path) -> Result<Vec<Found>, Box<dyn Error + Send + Sync>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_none_or(|e| e != "checkpoint") {
            continue;
        }
        let bytes = match fs::read(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        let (header, checkpoint) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes)?;
        found.push((path, header, checkpoint));
    }
    found.sort_by_key(|(_, header, _)| Reverse(header.generation));
    Ok(found)
}

/// Changes the completed ranges in the newest checkpoint to what a recovery with the bug finds.
pub(crate) fn tamper<B: Bug>(dir: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Some((path, header, found)) = checkpoints(dir)?.into_iter().next() else {
        return Ok(());
    };
    let mut changed = found.clone();
    for shard in &mut changed.shards {
        let mut completed = shard.completed.to_vec();
        B::recover(&mut completed);
        shard.completed = completed.into();
    }
    if changed != found {
        fs::write(path, changed.seal(&JsonCodec, header)?)?;
    }
    Ok(())
}
