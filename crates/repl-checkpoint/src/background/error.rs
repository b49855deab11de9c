//! Errors of starting and of closing a background checkpointer.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::checkpointer::{CheckpointError, Checkpointer};

/// Closing a background checkpointer failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The last save failed; the checkpointer is given back.
    #[error("the last checkpoint before closing failed")]
    LastSave {
        /// The error of the save.
        source: Arc<CheckpointError>,
        /// The checkpointer, with its store still open.
        checkpointer: Box<Checkpointer>,
    },
    /// A function given to the thread panicked, with this message; the store is closed.
    #[error("the background checkpointer panicked: {0}")]
    Panicked(String),
    /// This process was forked from that of the thread; nothing was changed.
    #[error("the background checkpointer belongs to the process that this one was forked from")]
    Inherited,
}

/// A requested save did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SaveAndWaitError {
    /// The checkpoint failed.
    #[error("the requested checkpoint failed")]
    Failed(#[source] Arc<CheckpointError>),
    /// The checkpoint has not ended in time; it goes on.
    #[error("the requested checkpoint has not ended in time")]
    Timeout,
    /// The thread ended before the request had a result: it was dropped, or a function given to it
    /// panicked.
    ///
    /// A panic of `on_save` comes after a save.
    #[error("the background checkpointer ended before the requested checkpoint had a result")]
    Ended,
}

/// The operating system could not start a thread.
///
/// The error holds the checkpointer, with its store still open.
#[derive(thiserror::Error)]
#[error("failed to start the checkpointer's thread")]
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

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("source", &self.source).finish_non_exhaustive()
    }
}
