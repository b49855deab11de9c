//! What became of a call to a remote store, and what to do about it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Witness;
use super::utc::Utc;
use crate::ids::Generation;

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
    /// of a save; a takeover is made again. Try again later.
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
    /// The server has lost the record of this store, or the bytes that the record names. Stop
    /// applying; restore a copy.
    ///
    /// It is never taken for a new store. A copy is older than a witness that was kept: recover from
    /// it without one.
    Vanished {
        /// The store.
        place: String,
        /// The generation that the record names, if the record is there and its bytes are not.
        generation: Option<Generation>,
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
                "in doubt: {place} may have done what was asked or not; the next try settles that \
                 first"
            ),
            RemoteError::Fenced { place, by, holder, since } => {
                write!(f, "fenced: {place} was taken over by ")?;
                match by.as_str() {
                    "" => f.write_str("an unnamed process")?,
                    by => write!(f, "\"{by}\"")?,
                }
                let since = Utc(*since);
                write!(f, " (holder {holder:032x}, {since}): stop applying, and end this process")
            }
            RemoteError::Regressed { place, expected, found } => write!(
                f,
                "{place} has lost acknowledged saves: it holds {found}, and held {expected}; stop \
                 applying, restore a newer copy, or compare the data with the log; then recover \
                 without a witness"
            ),
            RemoteError::Vanished { place, generation: None } => write!(
                f,
                "{place} has lost its record: stop applying, and restore a copy; or see that the \
                 log still begins at segment 1 or a base copy exists, to begin anew; then recover \
                 without a witness"
            ),
            RemoteError::Vanished { place, generation: Some(generation) } => write!(
                f,
                "{place} has a record of generation {generation}, and its bytes are gone: stop \
                 applying, and put them back (PostgreSQL: the rows of repl_generation; a bucket: \
                 the object); or use an older generation with OnCorrupt::FallBack; or, if the log \
                 still begins at segment 1 or a base copy exists, remove the record to begin anew"
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
