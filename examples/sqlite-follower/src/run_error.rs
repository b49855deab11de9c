//! The errors of a run.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use crate::clients::StaleRead;
use crate::folder::FolderError;
use crate::power_cut::PowerCutError;
use crate::source::SourceError;
use crate::verify::VerifyError;

/// An error that ends the run.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot {act} the {child}")]
    Process { act: &'static str, child: &'static str, source: io::Error },
    #[error("the {child} stopped with {status}: see its error above")]
    Stopped { child: &'static str, status: ExitStatus },
    #[error("other processes killed the {child} too often")]
    KilledTooOften { child: &'static str },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot read the progress of {}", path.display())]
    Progress { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    PowerCut(#[from] PowerCutError),
    #[error(transparent)]
    StaleRead(#[from] StaleRead),
    #[error("clients made {done} reads of their writes, but {requested} were requested")]
    TooFewReads { done: u64, requested: u64 },
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Adds to an I/O error what was to be done to which child.
pub(crate) fn failed(act: &'static str, child: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Process { act, child, source }
}
