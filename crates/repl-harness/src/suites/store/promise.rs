//! What a store promises, and how a broken promise is told.

use std::error::Error;
use std::fmt;

/// What holds of a store beside what all promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreOptions {
    /// Whether a second one is refused while the first one lives.
    pub locks: bool,
    /// Whether all that is kept lies in files below its directory, which the suite may damage.
    pub in_files: bool,
}

impl Default for StoreOptions {
    /// Both.
    fn default() -> Self {
        StoreOptions { locks: true, in_files: true }
    }
}

/// A promise of a [`CheckpointStore`](repl_checkpoint::CheckpointStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorePromise {
    /// Opens, loads and saves succeed where nothing is wrong.
    Works,
    /// Nothing panics, whatever the files hold.
    NoPanic,
    /// Nothing is found where nothing was saved.
    FreshIsEmpty,
    /// It has one name for good.
    IdStays,
    /// While it is open, no second one is.
    OneOwner,
    /// What is saved is loaded, byte for byte.
    SavedIsLoaded,
    /// A checkpoint is called by its own generation.
    GenerationIsRight,
    /// The newest generation comes first.
    NewestFirst,
    /// The confirmed generation and all newer ones are kept.
    ConfirmedIsKept,
    /// What was saved is found after the store is opened again.
    SurvivesReopen,
    /// A recovery gives the marks that were saved last.
    MarksComeBack,
    /// No damage makes bytes that are accepted and were never saved.
    NothingUnsaved,
    /// Damage to the newest checkpoint is an error, or is handed on above the older one.
    DamageIsReported,
}

impl fmt::Display for StorePromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorePromise::Works => "opens, loads and saves succeed",
            StorePromise::NoPanic => "nothing panics",
            StorePromise::FreshIsEmpty => "nothing is found where nothing was saved",
            StorePromise::IdStays => "it has one name for good",
            StorePromise::OneOwner => "one store at a time holds a directory",
            StorePromise::SavedIsLoaded => "what is saved is loaded",
            StorePromise::GenerationIsRight => "a checkpoint is called by its own generation",
            StorePromise::NewestFirst => "the newest comes first",
            StorePromise::ConfirmedIsKept => "the confirmed generation and newer ones are kept",
            StorePromise::SurvivesReopen => "what was saved is found after an open",
            StorePromise::MarksComeBack => "a recovery gives the marks that were saved last",
            StorePromise::NothingUnsaved => "nothing is found that was not saved",
            StorePromise::DamageIsReported => "damage is never passed over in silence",
        })
    }
}

/// A promise that a store breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreViolation {
    /// The promise.
    pub promise: StorePromise,
    /// What was seen.
    pub what: String,
    /// The file that was damaged before, and how; `None` where none was.
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

/// What a store was held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreReport {
    /// How many checkpoints were saved.
    pub saves: u64,
    /// How many damaged directories were opened.
    pub damaged: u64,
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} saves, {} damaged directories", self.saves, self.damaged)
    }
}
