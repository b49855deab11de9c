//! Bugs of a recovery: it finds a checkpoint that was changed.

use std::error::Error;
use std::fs;
use std::path::Path;

use repl_checkpoint::{Checkpoint, JsonCodec, StoreId};

use crate::planted::Bug;

/// Changes the completed ranges in the newest checkpoint to what a recovery with the bug finds.
pub(crate) fn tamper<B: Bug>(dir: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let files = fs::read_dir(dir)?.map(|file| file.map(|file| file.path()));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let checkpoints =
        files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "checkpoint"));
    let opened = checkpoints.map(|path| {
        let (header, found) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &fs::read(&path)?)?;
        Ok((path, header, found))
    });
    let opened = opened.collect::<Result<Vec<_>, Box<dyn Error + Send + Sync>>>()?;
    let newest = opened.into_iter().max_by_key(|(_, header, _)| header.generation);
    let Some((path, header, found)) = newest else { return Ok(()) };
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
