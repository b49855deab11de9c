//! Every error of this crate as an [`io::Error`] that keeps it as its cause.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

use crate::background::{CloseError, SaveAndWaitError, SpawnError};
use crate::checkpoint::InvalidCheckpoint;
use crate::checkpointer::CheckpointError;
use crate::codec::CodecError;
use crate::envelope::{SealError, UnsealError};
use crate::peek::PeekError;
use crate::recovery::{
    CorruptCheckpoint, CorruptReason, RecoverError, RecoverErrorKind, ReopenError,
};
use crate::remote_store::RemoteError;
use crate::store::{LoadError, OpenStoreError, SaveError, SlotFileError};

/// The kind that an error has as an [`io::Error`].
trait IoKind {
    fn io_kind(&self) -> ErrorKind;
}

/// The kind of the first I/O error among the causes of an error of unknown type.
fn kind_of(error: &(dyn Error + 'static)) -> ErrorKind {
    successors(Some(error), |error| (*error).source())
        .find_map(|error| error.downcast_ref::<io::Error>())
        .map_or(ErrorKind::Other, io::Error::kind)
}

impl IoKind for InvalidCheckpoint {
    fn io_kind(&self) -> ErrorKind {
        ErrorKind::InvalidData
    }
}

impl IoKind for CodecError {
    fn io_kind(&self) -> ErrorKind {
        ErrorKind::InvalidData
    }
}

impl IoKind for SealError {
    fn io_kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl IoKind for UnsealError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            UnsealError::Version { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::InvalidData,
        }
    }
}

impl IoKind for OpenStoreError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            OpenStoreError::Locked { .. } => ErrorKind::ResourceBusy,
            OpenStoreError::NotADirectory { .. } => ErrorKind::NotADirectory,
            OpenStoreError::OtherKind { .. } => ErrorKind::InvalidInput,
            OpenStoreError::Io { source, .. } => source.kind(),
        }
    }
}

impl IoKind for SlotFileError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            SlotFileError::Version { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::InvalidData,
        }
    }
}

impl IoKind for LoadError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            LoadError::Io { source, .. } => source.kind(),
            LoadError::NotAFile { .. } | LoadError::Vanished { .. } => ErrorKind::InvalidData,
            LoadError::Slots { reason, .. } => reason.io_kind(),
            LoadError::Store(source) => kind_of(&**source),
        }
    }
}

impl IoKind for SaveError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            SaveError::NotSaved { source, .. } | SaveError::InDoubt { source, .. } => source.kind(),
            SaveError::Replaced { .. }
            | SaveError::Inherited { .. }
            | SaveError::Poisoned { .. } => ErrorKind::Other,
        }
    }
}

impl IoKind for CorruptReason {
    fn io_kind(&self) -> ErrorKind {
        match self {
            CorruptReason::Read(source) => source.kind(),
            CorruptReason::Unseal(reason) => reason.io_kind(),
        }
    }
}

impl IoKind for CorruptCheckpoint {
    fn io_kind(&self) -> ErrorKind {
        self.reason.io_kind()
    }
}

impl IoKind for RemoteError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            RemoteError::Unavailable { source, .. } | RemoteError::InDoubt { source, .. } => {
                kind_of(&**source)
            }
            RemoteError::Vanished { .. } => ErrorKind::NotFound,
            RemoteError::Regressed { .. } => ErrorKind::InvalidData,
            RemoteError::Fenced { .. } => ErrorKind::Other,
        }
    }
}

impl IoKind for RecoverErrorKind {
    fn io_kind(&self) -> ErrorKind {
        match self {
            RecoverErrorKind::Load(source) => source.io_kind(),
            RecoverErrorKind::Remote(source) => source.io_kind(),
            RecoverErrorKind::Corrupt { newest: corrupt, .. }
            | RecoverErrorKind::Refused { refused: corrupt, .. } => corrupt.io_kind(),
        }
    }
}

impl IoKind for CheckpointError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            CheckpointError::Flush(source) => kind_of(&**source),
            CheckpointError::BelowLastSave { .. }
            | CheckpointError::Superseded
            | CheckpointError::OtherCheckpointer => ErrorKind::InvalidInput,
            CheckpointError::Seal(source) => source.io_kind(),
            CheckpointError::Save(source) => source.io_kind(),
            CheckpointError::Remote(source) => source.io_kind(),
            CheckpointError::NoGenerationLeft | CheckpointError::Poisoned { .. } => {
                ErrorKind::Other
            }
        }
    }
}

impl IoKind for CloseError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            CloseError::LastSave { source, .. } => source.io_kind(),
            CloseError::Panicked(_) | CloseError::Inherited => ErrorKind::Other,
        }
    }
}

impl IoKind for SaveAndWaitError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            SaveAndWaitError::Failed(source) => source.io_kind(),
            SaveAndWaitError::Timeout => ErrorKind::TimedOut,
            SaveAndWaitError::Ended => ErrorKind::Other,
        }
    }
}

impl IoKind for ReopenError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            ReopenError::Open(source) => kind_of(&**source),
            ReopenError::OtherStore { .. } => ErrorKind::InvalidInput,
            ReopenError::Recover(source) => source.io_kind(),
            ReopenError::OtherCheckpoint { .. } => ErrorKind::InvalidData,
        }
    }
}

impl IoKind for PeekError {
    fn io_kind(&self) -> ErrorKind {
        match self {
            PeekError::Io { source, .. } => source.kind(),
            PeekError::Nothing { .. } => ErrorKind::NotFound,
            PeekError::Damaged { source, .. } => source.io_kind(),
        }
    }
}

impl IoKind for SpawnError {
    fn io_kind(&self) -> ErrorKind {
        self.source.kind()
    }
}

macro_rules! into_io_error {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for io::Error {
            fn from(error: $error) -> Self {
                io::Error::new(error.io_kind(), error)
            }
        })+
    };
}

into_io_error! {
    CheckpointError, CloseError, CodecError, CorruptCheckpoint, CorruptReason, InvalidCheckpoint,
    LoadError, OpenStoreError, PeekError, RecoverErrorKind, RemoteError, ReopenError, SaveAndWaitError, SaveError, SealError,
    SlotFileError, SpawnError, UnsealError,
}

/// Keeps the reason and drops the store, whose lock is free then.
impl From<RecoverError> for io::Error {
    fn from(error: RecoverError) -> Self {
        error.into_parts().0.into()
    }
}
