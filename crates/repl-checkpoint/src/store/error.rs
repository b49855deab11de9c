//! Errors of opening a store, loading from it and saving to it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ids::Generation;

use super::hint::{to_do, to_do_at_open, to_do_first};
use super::slot_file_error::SlotFileError;

/// A store could not be opened; no checkpoint was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Another store, in this or another process, holds the directory or the file.
    Locked {
        /// The directory, or the slot file of a store that was opened by its file.
        path: PathBuf,
    },
    /// The path exists but is not a directory.
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory belongs to a store of another kind.
    OtherKind {
        /// The directory.
        dir: PathBuf,
        /// The file in it that shows this.
        file: String,
        /// The store to open it as.
        expected: &'static str,
    },
    /// The operating system returned an error.
    Io {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl fmt::Display for OpenStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenStoreError::Locked { path } => write!(
                f,
                "{} is in use: one follower owns a store; stop the other one, and the processes \
                 that it forked, or give each its own",
                path.display()
            ),
            OpenStoreError::NotADirectory { path } => {
                write!(f, "{} is not a directory: move it away or name another", path.display())
            }
            OpenStoreError::OtherKind { dir, file, expected } => write!(
                f,
                "{} holds {file}, a file of a {expected}: open it as one, or give this store a \
                 directory of its own",
                dir.display()
            ),
            OpenStoreError::Io { act, path, source } => {
                write!(f, "failed to {act} {}{}", path.display(), to_do_at_open(act, source))
            }
        }
    }
}

impl Error for OpenStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OpenStoreError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A store could not say what it keeps; nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The operating system returned an error.
    Io {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path of a checkpoint exists but is not a regular file.
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// No checkpoint is left where a store has saved some.
    ///
    /// Restore a copy. Or, if the log still begins at segment 1 or a base copy exists, remove the
    /// marker to begin again.
    Vanished {
        /// The directory.
        dir: PathBuf,
        /// The marker: a file that the first save in the directory creates, and no store removes.
        marker: PathBuf,
    },
    /// The slot file is not this store's, or not a slot file.
    Slots {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: SlotFileError,
    },
    /// A store of another crate failed.
    Store(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Io { act, path, source } => {
                write!(f, "failed to {act} {}{}", path.display(), to_do(source))
            }
            LoadError::NotAFile { path, found } => write!(
                f,
                "{} is {found}, not a checkpoint file: nothing was read; find out what put it \
                 there and move it away",
                path.display()
            ),
            LoadError::Vanished { dir, marker } => write!(
                f,
                "{} holds no checkpoint, and {marker} says that a store has saved some: restore a \
                 copy; or, if the log still begins at segment 1 or a base copy exists, remove \
                 {marker} to begin again",
                dir.display(),
                marker = marker.display()
            ),
            LoadError::Slots { path, .. } => {
                write!(f, "slot file {} cannot be used; nothing was read", path.display())
            }
            LoadError::Store(error) => error.fmt(f),
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LoadError::Io { source, .. } => Some(source),
            LoadError::NotAFile { .. } | LoadError::Vanished { .. } => None,
            LoadError::Slots { reason, .. } => Some(reason),
            LoadError::Store(error) => error.source(),
        }
    }
}

/// A save failed; the variant says what a crash may leave.
#[derive(Debug)]
#[non_exhaustive]
pub enum SaveError {
    /// The older checkpoints are untouched; the next save may succeed.
    NotSaved {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A crash leaves the new or the older checkpoint. Open the store again before the next save.
    InDoubt {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The lock file, the directory or the saved file was removed, moved or replaced.
    ///
    /// Another store may have opened and saved there, so nothing was acknowledged. A later recovery
    /// may find this save, an older one or another store's. Open the store again before the next
    /// save.
    Replaced {
        /// What it is: the lock file, the directory or the file of the checkpoint.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// The store was opened by another process, from which this one was forked. Nothing was tried.
    Inherited {
        /// The directory of the store.
        path: PathBuf,
    },
    /// An earlier save was in doubt, so nothing was tried.
    Poisoned {
        /// The directory of the store.
        path: PathBuf,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::NotSaved { act, path, source } => write!(
                f,
                "not saved: failed to {act} {}; the older checkpoint is untouched{}",
                path.display(),
                to_do(source)
            ),
            SaveError::InDoubt { act, path, source } => write!(
                f,
                "in doubt: failed to {act} {}; {}open the store again before the next save",
                path.display(),
                to_do_first(source)
            ),
            SaveError::Replaced { what, path } => write!(
                f,
                "not acknowledged: {what} {} was removed, moved or replaced under the open store, \
                 so another store can save there; find out what did it, and open the store again",
                path.display()
            ),
            SaveError::Inherited { path } => write!(
                f,
                "not saved: {} was opened by another process, from which this one was forked; \
                 open a store of its own here",
                path.display()
            ),
            SaveError::Poisoned { path } => write!(
                f,
                "not tried: an earlier save to {} is in doubt; open the store again",
                path.display()
            ),
        }
    }
}

impl SaveError {
    /// The refusal of a delta on a base that the store has not offered.
    pub(crate) fn other_base(path: PathBuf, base: Generation) -> Self {
        let source = io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it builds on generation {base}, which the store has not offered"),
        );
        SaveError::NotSaved { act: "save a delta in", path, source }
    }

    /// The refusal of a delta that is given as a whole checkpoint.
    pub(crate) fn without_base(path: PathBuf) -> Self {
        let reason = "its base is not named: a store that wraps another must pass on `Save::base`";
        let source = io::Error::new(io::ErrorKind::InvalidInput, reason);
        SaveError::NotSaved { act: "save a delta in", path, source }
    }
}

impl Error for SaveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SaveError::NotSaved { source, .. } | SaveError::InDoubt { source, .. } => Some(source),
            SaveError::Replaced { .. }
            | SaveError::Inherited { .. }
            | SaveError::Poisoned { .. } => None,
        }
    }
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
