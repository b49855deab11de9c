//! The errors of a run.

use std::error::Error;
use std::io;

use super::violation::Violation;

/// The error of a store or a checkpointer.
pub(crate) type Source = Box<dyn Error + Send + Sync>;

/// An error of a run.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// A promise is broken.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// A call failed although nothing was wrong.
    #[error("failed to {act}; seed {seed}")]
    Failed {
        /// The operation that failed.
        act: &'static str,
        /// The seed of the run.
        seed: u64,
        /// The error of the store or the checkpointer.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The directory of the run, or a file in it, cannot be used.
    #[error("failed to use the stress directory")]
    Dir(#[from] io::Error),
}

impl StressError {
    /// The violation, if a promise was broken.
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            StressError::Violation(violation) => Some(violation),
            StressError::Failed { .. } | StressError::Dir(_) => None,
        }
    }
}
