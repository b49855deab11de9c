//! The errors of a run.

use std::io;

use super::subject::SubjectError;
use super::violation::Violation;

/// An error of a run.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// The subject broke a promise.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The subject failed although nothing was wrong.
    #[error("failed to {act}; seed {seed}")]
    Subject {
        /// The operation that failed.
        act: &'static str,
        /// The seed of the run.
        seed: u64,
        /// The error of the subject.
        source: SubjectError,
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
            StressError::Subject { .. } | StressError::Dir(_) => None,
        }
    }
}
