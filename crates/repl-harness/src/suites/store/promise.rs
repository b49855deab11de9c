//! The promises of a store, and how a violation is reported.

use std::error::Error;
use std::fmt;

/// The promises of a store that are optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreOptions {
    /// Whether a second open is refused while the store is open.
    pub locks: bool,
    /// Whether the store keeps everything in files below its directory. The suite damages them.
    pub in_files: bool,
}

impl Default for StoreOptions {
    /// Tests both.
    fn default() -> Self {
        StoreOptions { locks: true, in_files: true }
    }
}

/// A promise of a [`CheckpointStore`](repl_checkpoint::CheckpointStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorePromise {
    /// Opens, loads and saves succeed when nothing fails.
    Works,
    /// Nothing panics, whatever the files hold.
    NoPanic,
    /// A new store holds no checkpoint.
    FreshIsEmpty,
    /// Its id never changes.
    IdStays,
    /// No second store is opened in a directory while the first is open.
    OneOwner,
    /// What is saved is loaded, byte for byte.
    SavedIsLoaded,
    /// A checkpoint is reported with its own generation.
    GenerationIsRight,
    /// The newest generation comes first.
    NewestFirst,
    /// The confirmed generation and all newer ones are kept.
    ConfirmedIsKept,
    /// What was saved is found after the store is opened again.
    SurvivesReopen,
    /// A recovery returns the marks that were saved last.
    MarksComeBack,
    /// Bytes that were never saved are not accepted after damage.
    NothingUnsaved,
    /// Damage to the newest checkpoint is an error, or is returned above the older checkpoint.
    DamageIsReported,
}

impl fmt::Display for StorePromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorePromise::Works => "opens, loads and saves succeed",
            StorePromise::NoPanic => "nothing panics",
            StorePromise::FreshIsEmpty => "a new store holds no checkpoint",
            StorePromise::IdStays => "its id never changes",
            StorePromise::OneOwner => "at most one store owns a directory",
            StorePromise::SavedIsLoaded => "what is saved is loaded",
            StorePromise::GenerationIsRight => "a checkpoint is reported with its own generation",
            StorePromise::NewestFirst => "the newest generation comes first",
            StorePromise::ConfirmedIsKept => "the confirmed generation and newer ones are kept",
            StorePromise::SurvivesReopen => {
                "what was saved is found after the store is opened again"
            }
            StorePromise::MarksComeBack => "a recovery returns the marks that were saved last",
            StorePromise::NothingUnsaved => "bytes that were never saved are not accepted",
            StorePromise::DamageIsReported => "damage is reported",
        })
    }
}

/// A promise that a store breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreViolation {
    /// The promise.
    pub promise: StorePromise,
    /// What was observed.
    pub what: String,
    /// The file that was damaged, and how; `None` if none was.
    pub damage: Option<String>,
}

impl StoreViolation {
    pub(super) fn new(promise: StorePromise, what: impl Into<String>) -> Self {
        StoreViolation { promise, what: what.into(), damage: None }
    }

    pub(super) fn after(self, damage: String) -> Self {
        StoreViolation { damage: Some(damage), ..self }
    }
}

impl fmt::Display for StoreViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.promise, self.what)?;
        match &self.damage {
            Some(damage) => write!(f, "\n  after damage: {damage}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreViolation {}

/// Counts of what a store was tested with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreReport {
    /// The number of checkpoints that were saved.
    pub saves: u64,
    /// The number of damaged directories that were opened.
    pub damaged: u64,
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} saves, {} damaged directories", self.saves, self.damaged)
    }
}
