//! The state of a checkpointer.

use std::time::Instant;

/// What a checkpointer is doing, and how its last checkpoints ended.
///
/// [`Floors::health`](crate::Floors::health) returns it. The floors move only while the status is
/// [`Status::Good`].
///
/// ```
/// use std::time::Duration;
/// use repl_checkpoint::{Health, Status};
///
/// /// Whether an operator must look after the checkpointer.
/// fn needs_care(health: &Health) -> bool {
///     let hangs = |since: std::time::Instant| since.elapsed() > Duration::from_secs(60);
///     health.status != Status::Good || health.running_since.is_some_and(hangs)
/// }
///
/// assert!(!needs_care(&Health::default()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Health {
    /// How the last checkpoints ended.
    pub status: Status,
    /// When the checkpoint that is in progress began; `None` if none is.
    ///
    /// If a flush or a save hangs, this instant stays the same.
    pub running_since: Option<Instant>,
    /// When the last checkpoint succeeded, if one did in this process.
    ///
    /// A checkpoint with nothing to save counts as a success. While a background checkpointer
    /// sleeps, as nothing has changed since the last one, it is the time of the call.
    pub last_success: Option<Instant>,
}

/// How the last checkpoints ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Status {
    /// The last checkpoint succeeded, or none has ended.
    #[default]
    Good,
    /// The last checkpoints failed; the next one may succeed.
    Failing {
        /// The number of failures in a row.
        failures: u64,
        /// The last error and its causes.
        error: String,
    },
    /// A save to a remote store is in doubt. The next
    /// [`begin`](crate::RemoteCheckpointer::begin) settles it, before anything else is saved.
    InDoubt {
        /// The error and its causes.
        error: String,
    },
    /// This checkpointer saves no more.
    ///
    /// A save is in doubt, until the store is [opened again](crate::Checkpointer::reopen). Or a
    /// remote store is [lost](crate::RemoteError::is_final) to this process: stop applying, and
    /// recover in a new one.
    Poisoned {
        /// The error and its causes.
        error: String,
    },
    /// The background thread ended: a function given to it panicked.
    Stopped {
        /// The message of the panic.
        error: String,
    },
}
