//! What became of a call to a remote store, and what to do about it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Witness;

/// A remote store could not be reached, left a save in doubt, or is lost to this process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RemoteError {
    /// The server was not reached, or it refused the call, or what it holds cannot be read: nothing
    /// was changed. The source says why; most causes pass, and a damaged record does not.
    Unavailable {
        /// The store.
        place: String,
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The answer was lost. The next [`begin`](crate::RemoteCheckpointer::begin) settles what became
    /// of the save. Try again later.
    InDoubt {
        /// The store.
        place: String,
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Another process has taken the store over. Stop applying: the data may be its own now.
    ///
    /// A copy of this process, as a fork or a virtual machine that was restored, may be the other.
    Fenced {
        /// The store.
        place: String,
        /// The name that the holder gave.
        by: String,
        /// The holder: a random number that it got when it took over.
        holder: u128,
        /// When it took over, as in [`Held::since`](super::Held::since).
        since: SystemTime,
    },
    /// The server has lost acknowledged saves or leases. Stop applying, and reconcile.
    ///
    /// Its marks are below what this process knows to be saved. The log may lack segments above them:
    /// compare data, marks and log, then recover without a witness.
    Regressed {
        /// The store.
        place: String,
        /// What the server is known to have held.
        expected: Witness,
        /// What it holds.
        found: Witness,
    },
    /// The server has lost the record of this store. Stop applying; restore a copy.
    ///
    /// It is never taken for a new store.
    Vanished {
        /// The store.
        place: String,
    },
}

impl RemoteError {
    /// Returns whether this process can save to the store no more, and must stop applying.
    pub fn is_final(&self) -> bool {
        match self {
            RemoteError::Unavailable { .. } | RemoteError::InDoubt { .. } => false,
            RemoteError::Fenced { .. }
            | RemoteError::Regressed { .. }
            | RemoteError::Vanished { .. } => true,
        }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteError::Unavailable { place, .. } => {
                write!(
                    f,
                    "{place} is not available, and nothing was changed: mend the cause, or try \
                     again later"
                )
            }
            RemoteError::InDoubt { place, .. } => write!(
                f,
                "in doubt: {place} may hold the save or not; the next checkpoint settles it first"
            ),
            RemoteError::Fenced { place, by, holder, since } => {
                write!(f, "fenced: {place} was taken over by \"{by}\" (holder {holder:032x}")?;
                if let Ok(since) = since.duration_since(SystemTime::UNIX_EPOCH) {
                    write!(f, ", {} s after 1970", since.as_secs())?;
                }
                f.write_str("): stop applying, and end this process")
            }
            RemoteError::Regressed { place, expected, found } => write!(
                f,
                "{place} has lost acknowledged saves: it holds {found}, and held {expected}; stop \
                 applying, compare the data with the log, then recover without a witness"
            ),
            RemoteError::Vanished { place } => write!(
                f,
                "{place} has lost all that was saved: stop applying, and restore a copy; or, if \
                 the log still begins at segment 1 or a base copy exists, recover without a witness"
            ),
        }
    }
}

impl Error for RemoteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RemoteError::Unavailable { source, .. } | RemoteError::InDoubt { source, .. } => {
                Some(&**source)
            }
            RemoteError::Fenced { .. }
            | RemoteError::Regressed { .. }
            | RemoteError::Vanished { .. } => None,
        }
    }
}
