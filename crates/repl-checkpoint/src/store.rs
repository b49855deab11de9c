//! Where sealed bytes are kept, and what a save promises.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::envelope::{Generation, StoreId};
use crate::slot_store::SlotFileError;

/// Keeps sealed checkpoints: bytes with a generation number. Knows nothing of marks.
///
/// What a store promises:
/// - `Ok` from [`save`](CheckpointStore::save) means that these bytes survive a crash at any later
///   instant.
/// - [`SaveError::NotSaved`] means that what was saved before is untouched, and that the next save
///   may succeed.
/// - [`SaveError::InDoubt`] means that these bytes or the older ones are found after a crash, whole
///   either way. From then on the store refuses to save until it is opened again.
/// - The generation `confirmed` of a save, and all newer ones, are kept. A store that makes all that
///   it keeps durable with each save may drop the oldest of these where two others are kept beside
///   the new one.
/// - What [`load`](CheckpointStore::load) gives may not be on the disk yet: the process that saved
///   it may have died before its sync. Nothing may be deleted on its word alone.
pub trait CheckpointStore: Send {
    /// The store's own name: stands in the header of all that it saves.
    fn store_id(&self) -> StoreId;

    /// All that is kept, the newest generation first. Empty where nothing was ever saved.
    ///
    /// # Errors
    /// Where it cannot be told what is kept. CorruptCheckpoint bytes are no error here: whoever opens them
    /// finds out.
    fn load(&mut self) -> Result<Vec<Candidate>, LoadError>;

    /// Saves one checkpoint. Generations ascend from call to call.
    ///
    /// # Errors
    /// [`SaveError`] says what is known of the disk.
    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError>;

    /// How many damaged checkpoints an unfinished save may leave above the newest whole one.
    /// Recovery passes over so many and reports them, even with [`OnCorrupt::Fail`].
    ///
    /// A store may say so only where nothing was deleted on the word of those: the retention floor
    /// is the mark in the acknowledged generation before the newest, so 1 is the most. A store that
    /// wraps another hands its answer on.
    ///
    /// [`OnCorrupt::Fail`]: crate::OnCorrupt::Fail
    fn max_torn(&self) -> usize {
        0
    }
}

impl<T: CheckpointStore + ?Sized> CheckpointStore for Box<T> {
    fn store_id(&self) -> StoreId {
        (**self).store_id()
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        (**self).load()
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        (**self).save(save)
    }

    fn max_torn(&self) -> usize {
        (**self).max_torn()
    }
}

/// One checkpoint as a store keeps it.
#[derive(Debug)]
pub struct Candidate {
    /// Where it is, for messages.
    pub path: PathBuf,
    /// The generation that its place says; `None` where the place does not say it.
    pub generation: Option<Generation>,
    /// Its bytes, or why they could not be read.
    pub bytes: io::Result<Vec<u8>>,
}

/// What to save.
#[derive(Debug, Clone, Copy)]
pub struct Save<'a> {
    /// The number of this save, above every earlier one.
    pub generation: Generation,
    /// The newest generation that must survive, whatever comes of this save; 0 for none.
    pub confirmed: Generation,
    /// The sealed bytes.
    pub bytes: &'a [u8],
}

/// What is kept could not be listed, or is not what a store keeps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The operating system refused.
    #[error("failed to {act} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory, a symbolic link or something stranger stands in a checkpoint's place.
    #[error(
        "{path} is {found}, not a checkpoint file: nothing was read; find out who put it there and \
         move it away", path = .path.display()
    )]
    NotAFile {
        /// The place.
        path: PathBuf,
        /// What stands there.
        found: &'static str,
    },
    /// What stands in a slot file's place cannot be one of this store.
    #[error("{path} {reason}; nothing was read", path = .path.display())]
    Slots {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: SlotFileError,
    },
    /// A store of another kind failed in its own way.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

/// A save failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// What was saved before is untouched; the next save may succeed.
    #[error("not saved: failed to {act} {path}: {source}; the older checkpoint stands",
        path = .path.display())]
    NotSaved {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The new or the older checkpoint is found after a crash: open the store again to learn more.
    #[error("in doubt: failed to {act} {path}: {source}; no more is saved until the store is \
        opened again", path = .path.display())]
    InDoubt {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An earlier save was in doubt: nothing was tried.
    #[error("not tried: an earlier save to {path} was in doubt; open the store again",
        path = .path.display())]
    Poisoned {
        /// The store.
        path: PathBuf,
    },
}

impl SaveError {
    /// Whether the store refuses further saves until it is opened again.
    pub fn is_poisoning(&self) -> bool {
        match self {
            SaveError::NotSaved { .. } => false,
            SaveError::InDoubt { .. } | SaveError::Poisoned { .. } => true,
        }
    }
}
