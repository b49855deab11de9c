//! The promises of a remote store to one process, and how a violation is reported.

use std::error::Error;
use std::fmt;

/// A promise of a [`RemoteStore`](repl_checkpoint::RemoteStore) that one process can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemoteStorePromise {
    /// Calls succeed or are refused when nothing fails, also after a future was dropped.
    Works,
    /// Nothing panics.
    NoPanic,
    /// Its id is the one that it was opened with.
    IdStays,
    /// Only a takeover without a witness makes a record; what has vanished stays vanished.
    OnlyTakeOverMakes,
    /// A takeover makes a new holder, and raises the token by one.
    TakeOverIsNew,
    /// A takeover with a witness is refused if token or generation are below it.
    WitnessIsCompared,
    /// A renewal is refused unless the holder is the same and the token is higher.
    RenewalIsConditional,
    /// A save is refused unless holder, token and generation are exactly as it expects them.
    SaveIsConditional,
    /// A refused call tells what the record is.
    RefusalTellsRecord,
    /// What is saved is loaded, byte for byte, also by another store; and so is the generation
    /// before it. A refused save leaves nothing.
    SavedIsLoaded,
    /// A call whose future was dropped has its effect as a whole or not at all, and later calls get
    /// answers of their own.
    DroppedIsInDoubt,
    /// One record does not change with another.
    RecordsAreApart,
}

impl fmt::Display for RemoteStorePromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RemoteStorePromise::Works => "calls succeed or are refused when nothing fails",
            RemoteStorePromise::NoPanic => "nothing panics",
            RemoteStorePromise::IdStays => "its id is the one that it was opened with",
            RemoteStorePromise::OnlyTakeOverMakes => {
                "only a takeover without a witness makes a record"
            }
            RemoteStorePromise::TakeOverIsNew => {
                "a takeover makes a new holder and raises the token by one"
            }
            RemoteStorePromise::WitnessIsCompared => "a takeover below its witness is refused",
            RemoteStorePromise::RenewalIsConditional => {
                "a renewal needs the same holder and a higher token"
            }
            RemoteStorePromise::SaveIsConditional => {
                "a save needs exactly its holder, token and generation"
            }
            RemoteStorePromise::RefusalTellsRecord => "a refused call tells what the record is",
            RemoteStorePromise::SavedIsLoaded => "what is saved is loaded, and nothing else",
            RemoteStorePromise::DroppedIsInDoubt => {
                "a dropped call takes effect whole or not at all, and disturbs no later one"
            }
            RemoteStorePromise::RecordsAreApart => "one record does not change with another",
        })
    }
}

/// A promise that a remote store breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStoreViolation {
    /// The promise.
    pub promise: RemoteStorePromise,
    /// What was observed.
    pub what: String,
}

impl RemoteStoreViolation {
    pub(super) fn new(promise: RemoteStorePromise, what: impl Into<String>) -> Self {
        RemoteStoreViolation { promise, what: what.into() }
    }
}

impl fmt::Display for RemoteStoreViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.promise, self.what)
    }
}

impl Error for RemoteStoreViolation {}

/// Counts of what a remote store was tested with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RemoteStoreReport {
    /// The number of calls.
    pub calls: u64,
    /// The number of calls that were refused.
    pub refused: u64,
    /// The number of calls whose futures were dropped before they had ended.
    pub dropped: u64,
}

impl fmt::Display for RemoteStoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RemoteStoreReport { calls, refused, dropped } = self;
        write!(f, "{calls} calls, {refused} refused, {dropped} dropped")
    }
}
