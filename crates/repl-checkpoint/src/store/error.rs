//! Errors of opening a store, loading from it and saving to it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::ids::StoreId;

/// A store could not be opened; no checkpoint was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Another store, in this or another process, holds the directory or the file.
    #[error(
        "{path} is in use: one follower owns a store; stop the other one or give each its own",
        path = .path.display()
    )]
    Locked {
        /// The directory, or the slot file of a store that was opened by its file.
        path: PathBuf,
    },
    /// The path exists but is not a directory.
    #[error("{path} is not a directory: move it away or name another", path = .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory belongs to a store of another kind.
    #[error(
        "{dir} holds {file}, a file of a {expected}: open it as one, or give this store a \
         directory of its own", dir = .dir.display()
    )]
    OtherKind {
        /// The directory.
        dir: PathBuf,
        /// The file in it that shows this.
        file: String,
        /// The store to open it as.
        expected: &'static str,
    },
    /// The operating system returned an error.
    #[error("failed to {act} {path}", path = .path.display())]
    Io {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// A store could not say what it keeps; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The operating system returned an error.
    #[error("failed to {act} {path}", path = .path.display())]
    Io {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path of a checkpoint exists but is not a regular file.
    #[error(
        "{path} is {found}, not a checkpoint file: nothing was read; find out what put it there \
         and move it away", path = .path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// No checkpoint is left where a store has saved some.
    #[error(
        "{dir} holds no checkpoint, and {marker} says that a store has saved some: restore a copy; \
         or, if the log still begins at segment 1 or a base copy exists, remove {marker} to begin \
         again", dir = .dir.display(), marker = .marker.display()
    )]
    Vanished {
        /// The directory.
        dir: PathBuf,
        /// The file that every store creates with its first save.
        marker: PathBuf,
    },
    /// The slot file is not this store's, or not a slot file.
    #[error("slot file {path} cannot be used; nothing was read", path = .path.display())]
    Slots {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        #[source]
        reason: SlotFileError,
    },
    /// A store of another crate failed.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

/// A save failed; the variant says what a crash may leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The older checkpoints are untouched; the next save may succeed.
    #[error(
        "not saved: failed to {act} {path}; the older checkpoint is untouched",
        path = .path.display()
    )]
    NotSaved {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A crash leaves the new or the older checkpoint. Open the store again before the next save.
    #[error(
        "in doubt: failed to {act} {path}; open the store again before the next save",
        path = .path.display()
    )]
    InDoubt {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file of the store is no longer the one at its path, so another store may have opened and
    /// saved there. Nothing was acknowledged.
    #[error(
        "not acknowledged: {what} {path} was removed, moved or replaced under the open store, so \
         that another store can save there; find out what did it, and open the store again",
        path = .path.display()
    )]
    Replaced {
        /// What it is: the lock file, the directory or the file of the checkpoint.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// The store was opened by another process, from which this one was forked. Nothing was tried.
    #[error(
        "not saved: {path} was opened by another process, from which this one was forked; open a \
         store of its own here", path = .path.display()
    )]
    Inherited {
        /// The directory of the store.
        path: PathBuf,
    },
    /// An earlier save was in doubt, so nothing was tried.
    #[error("not tried: an earlier save to {path} is in doubt; open the store again",
        path = .path.display())]
    Poisoned {
        /// The directory of the store.
        path: PathBuf,
    },
}

impl SaveError {
    /// Returns whether the store refuses to save until it is opened again.
    pub fn is_poisoning(&self) -> bool {
        match self {
            SaveError::NotSaved { .. } | SaveError::Inherited { .. } => false,
            SaveError::InDoubt { .. } | SaveError::Replaced { .. } | SaveError::Poisoned { .. } => {
                true
            }
        }
    }
}

/// Why a file is not a slot file of this store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotFileError {
    /// Neither its first page nor any slot is whole.
    #[error(
        "it is not a slot file, or no part of it is whole: restore a copy, or find out what put it \
         there and move it away"
    )]
    NothingWhole,
    /// A newer format, which this version does not read.
    #[error("its slot format version is {version:?}, and this program reads version 1: upgrade it")]
    Version {
        /// The version.
        version: String,
    },
    /// It is the slot file of another store.
    #[error("it belongs to store {found}, and store {expected} was opened: open it by its own id")]
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the file.
        found: StoreId,
    },
    /// It was cut off or extended.
    #[error(
        "it has {found} bytes, and its first page says {expected}: restore a copy, or move it away \
         to apply all from the beginning"
    )]
    Length {
        /// The length that its first page says.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
}
