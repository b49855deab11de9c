//! Errors of starting and of closing a background checkpointer.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::checkpointer::{CheckpointError, Checkpointer};

/// Closing a background checkpointer failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseError {
    /// The last save failed; the checkpointer is given back.
    LastSave {
        /// The error of the save.
        source: Arc<CheckpointError>,
        /// The checkpointer, with its store still open.
        checkpointer: Box<Checkpointer>,
    },
    /// A function given to the thread panicked, with this message; the store is closed.
    Panicked(String),
    /// This process was forked from that of the thread; nothing was changed.
    Inherited,
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseError::LastSave { .. } => f.write_str("the last checkpoint before closing failed"),
            CloseError::Panicked(message) => {
                write!(f, "the background checkpointer panicked: {message}")
            }
            CloseError::Inherited => f.write_str(
                "the background checkpointer belongs to the process that this one was forked from",
            ),
        }
    }
}

impl Error for CloseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CloseError::LastSave { source, .. } => Some(source),
            CloseError::Panicked(_) | CloseError::Inherited => None,
        }
    }
}

/// A requested save did not succeed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SaveAndWaitError {
    /// The checkpoint failed.
    Failed(Arc<CheckpointError>),
    /// The checkpoint has not ended in time; it goes on.
    Timeout,
    /// The thread ended before the request had a result: it was dropped, or a function given to it
    /// panicked.
    ///
    /// A panic of `on_save` comes after a save.
    Ended,
}

impl fmt::Display for SaveAndWaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SaveAndWaitError::Failed(_) => "the requested checkpoint failed",
            SaveAndWaitError::Timeout => "the requested checkpoint has not ended in time",
            SaveAndWaitError::Ended => {
                "the background checkpointer ended before the requested checkpoint had a result"
            }
        })
    }
}

impl Error for SaveAndWaitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SaveAndWaitError::Failed(source) => Some(source),
            SaveAndWaitError::Timeout | SaveAndWaitError::Ended => None,
        }
    }
}

/// The operating system could not start a thread.
///
/// The error holds the checkpointer, with its store still open.
pub struct SpawnError {
    pub(crate) source: io::Error,
    pub(super) checkpointer: Box<Checkpointer>,
}

impl SpawnError {
    /// Returns the checkpointer.
    pub fn into_checkpointer(self) -> Checkpointer {
        *self.checkpointer
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to start the checkpointer's thread")
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("source", &self.source).finish_non_exhaustive()
    }
}
