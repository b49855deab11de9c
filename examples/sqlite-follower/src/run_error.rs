//! Why may a run not come to its end?

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use crate::clients::StaleRead;
use crate::folder::FolderError;
use crate::power_cut::PowerCutError;
use crate::source::SourceError;
use crate::verify::VerifyError;

/// The run could not be brought to its end.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot {act} the {who}")]
    Process { act: &'static str, who: &'static str, source: io::Error },
    #[error("the {who} stopped with {status}; what it said stands above")]
    Stopped { who: &'static str, status: ExitStatus },
    #[error("the {who} was killed too often")]
    KilledTooOften { who: &'static str },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot read how far {} is", path.display())]
    Progress { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    PowerCut(#[from] PowerCutError),
    #[error(transparent)]
    StaleRead(#[from] StaleRead),
    #[error("clients have read {done} of their writes, and were asked for {asked}")]
    TooFewReads { done: u64, asked: u64 },
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// What a child could not be made to do.
pub(crate) fn failed(act: &'static str, who: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Process { act, who, source }
}
