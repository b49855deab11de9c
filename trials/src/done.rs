//! The results of a trial, and where it works.

use std::error::Error;
use std::path::PathBuf;

/// A result whose error may move between threads.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The result of a trial.
pub(crate) type Done = Fallible<()>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let trials = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    trials.parent().map_or(trials.clone(), PathBuf::from)
}
