//! Checking everything at a path from outside: without a lock, and without changing anything.

mod examine;
mod files;
mod slots;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use repl_core::{Incarnation, Snapshot};

use crate::directory::names::{SLOT_FILE, generations_in, of_directory};
use crate::disk::{Disk, OsDisk};
use crate::envelope::{DeltaHeader, Header};
use crate::ids::StoreId;
use crate::reading::HEAD;
use crate::recovery::CorruptReason;
use crate::slot_store::is_slot_file;
use crate::store::LoadError;

/// Everything that a path holds, whole or not: see [`survey`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The store, by the newest header that is right; `None` if none is.
    pub store: Option<StoreId>,
    /// The name of its codec, by the same header.
    pub codec: Option<String>,
    /// What is there, in the order in which recovery takes it: the newest first.
    ///
    /// A damaged slot and a damaged first page count as newer than every whole checkpoint.
    pub found: Vec<Surveyed>,
    /// The marks of the newest whole checkpoint.
    pub newest: Option<Arc<Snapshot>>,
}

/// One generation that a path holds, or one damaged part of a slot file: see [`survey`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Surveyed {
    /// The file.
    pub path: PathBuf,
    /// The slot, from 0; `None` for a file of its own and for the first page of a slot file.
    pub slot: Option<usize>,
    /// The offset in the file at which it begins.
    pub offset: u64,
    /// The number of bytes of its records, without closing checksums; 0 if they were not read.
    pub length: u64,
    /// The header of its newest record; `None` if that is damaged.
    pub header: Option<Header>,
    /// The headers of its deltas, the oldest first.
    pub deltas: Vec<DeltaHeader>,
    /// What is in it, or why recovery cannot use it.
    pub checked: Result<CheckpointCounts, CorruptReason>,
    /// The offset in the file of what is damaged, as far as that is known.
    pub damaged_at: Option<u64>,
}

/// How much a whole checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct CheckpointCounts {
    /// The number of shards.
    pub shards: usize,
    /// The number of ranges completed above the marks.
    pub ranges: usize,
    /// The number of epochs.
    pub epochs: usize,
    /// The incarnation of the next shard that is added or reset.
    pub next_incarnation: Incarnation,
}

impl Survey {
    /// Returns the newest whole checkpoint: the one that recovery uses, if it may pass over what is
    /// damaged before it.
    pub fn newest_whole(&self) -> Option<&Surveyed> {
        self.found.iter().find(|found| found.checked.is_ok())
    }
}

/// Reads and checks everything at `path`: the directory of a store, a checkpoint file, or a slot
/// file.
///
/// It makes the same checks as recovery, by the same code, on every generation, and holds one
/// checkpoint at a time in memory beside the newest marks. It takes no lock and writes nothing, so
/// it may run beside a store that saves: a file that a save removes is not reported, and a slot
/// that a save writes to is read again, for some tenths of a second, until it does not change. As
/// after [`peek`](crate::peek()), more may have been saved by the time that it returns.
///
/// The id of the store and the codec need not be known: all that is there must be of those that the
/// newest header names. The survey is empty if nothing was saved at the path.
///
/// ```
/// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, recover, survey};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path(), StoreId(7))?;
/// let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// for mark in [42, 43] {
///     follower.state.advance(ShardId(1), mark);
///     follower.checkpointer.checkpoint(|_| Ok(()))?;
/// }
/// let found = survey(dir.path())?; // beside the store, which is still open
/// assert_eq!(found.store, Some(StoreId(7)));
/// assert_eq!(found.found.len(), 2);
/// assert!(found.found.iter().all(|generation| generation.checked.is_ok()));
/// assert_eq!(found.newest.ok_or("nothing")?.mark(ShardId(1)), Some(43));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError`], as [`CheckpointStore::load`](crate::CheckpointStore::load): the path cannot be
/// read, its checkpoints vanished, or a slot file is not usable as a whole. A slot file that never
/// stops changing for ten seconds is one that cannot be read.
pub fn survey(path: impl AsRef<Path>) -> Result<Survey, LoadError> {
    let path = path.as_ref();
    let kind = std::fs::metadata(path).map_err(failed("look at", path))?;
    if !kind.is_dir() {
        // Opening a pipe would wait for a writer.
        if !kind.is_file() {
            let found = "neither a file nor a directory";
            return Err(LoadError::NotAFile { path: path.to_owned(), found });
        }
        let head = OsDisk.read_at(path, 0, HEAD).map_err(failed("read", path))?;
        return if is_slot_file(path, &head) {
            slots::survey(path)
        } else {
            files::survey_one(path)
        };
    }
    let names = OsDisk.list(path).map_err(failed("list", path))?;
    if !generations_in(&names).is_empty() {
        return files::survey(path);
    }
    if names.iter().any(|name| name == SLOT_FILE) {
        return slots::survey(&path.join(SLOT_FILE));
    }
    let marker = of_directory().marker;
    if !names.contains(&marker) {
        return Ok(Survey::default());
    }
    // A first save may have ended in between.
    let found = files::survey(path)?;
    if found.found.is_empty() {
        let (dir, marker) = (path.to_owned(), path.join(marker));
        return Err(LoadError::Vanished { dir, marker });
    }
    Ok(found)
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl Fn(io::Error) -> LoadError + 'a {
    move |source| LoadError::Io { act, path: path.to_owned(), source }
}
