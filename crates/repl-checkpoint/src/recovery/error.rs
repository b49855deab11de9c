//! Errors of recovery, and why a checkpoint cannot be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::causes::with_causes;
use crate::envelope::UnsealError;
use crate::ids::Generation;
use crate::remote_store::RemoteError;
use crate::store::hint::to_do;
use crate::store::{CheckpointStore, LoadError};
use crate::unshared::Unshared;

/// A checkpoint that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct CorruptCheckpoint {
    /// Its path.
    pub path: PathBuf,
    /// Why it cannot be used.
    pub reason: CorruptReason,
}

impl fmt::Display for CorruptCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint {} cannot be used", self.path.display())
    }
}

impl Error for CorruptCheckpoint {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.reason)
    }
}

/// Why a checkpoint cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CorruptReason {
    /// It could not be read.
    Read(io::Error),
    /// Its bytes are refused.
    Unseal(UnsealError),
}

impl fmt::Display for CorruptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorruptReason::Read(error) => write!(f, "it cannot be read{}", to_do(error)),
            CorruptReason::Unseal(error) => error.fmt(f),
        }
    }
}

impl Error for CorruptReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CorruptReason::Read(source) => Some(source),
            CorruptReason::Unseal(error) => error.source(),
        }
    }
}

impl From<UnsealError> for CorruptReason {
    fn from(error: UnsealError) -> Self {
        CorruptReason::Unseal(error)
    }
}

impl From<io::Error> for CorruptReason {
    fn from(error: io::Error) -> Self {
        // A store that saw the damage before it had read everything says so in this way.
        match error.downcast::<UnsealError>() {
            Ok(reason) => CorruptReason::Unseal(reason),
            Err(error) => CorruptReason::Read(error),
        }
    }
}

impl CorruptReason {
    /// Returns whether the checkpoint is lost, so that recovery may fall back.
    ///
    /// One that this process has no right, memory or descriptor to read is not lost, and neither is
    /// one of another store, codec or version.
    pub fn is_damage(&self) -> bool {
        match self {
            CorruptReason::Read(err) => err.raw_os_error() == Some(MEDIA_ERROR),
            CorruptReason::Unseal(reason) => reason.is_damage(),
        }
    }
}

/// `EIO`.
#[cfg(unix)]
const MEDIA_ERROR: i32 = 5;
/// `ERROR_CRC`.
#[cfg(not(unix))]
const MEDIA_ERROR: i32 = 23;

/// Recovery found no usable checkpoint; nothing was changed.
///
/// The error holds the store, still open and locked. [`into_store`](RecoverError::into_store)
/// returns it, to look at its checkpoints or to recover again, with
/// [`OnCorrupt::FallBack`](crate::OnCorrupt::FallBack) or another codec. Drop the error before you
/// open the store again.
pub struct RecoverError {
    kind: Box<RecoverErrorKind>,
    store: Unshared<dyn CheckpointStore>,
}

/// The reason of a [`RecoverError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum RecoverErrorKind {
    /// The store could not say what it keeps.
    Load(LoadError),
    /// A remote store could not be taken over or read. To try again may help, unless the error
    /// [is final](RemoteError::is_final).
    Remote(RemoteError),
    /// The newest checkpoint is damaged, and recovery did not fall back.
    ///
    /// The caller chose [`OnCorrupt::Fail`](crate::OnCorrupt::Fail), or no older checkpoint is
    /// whole.
    Corrupt {
        /// The newest checkpoint, and what is wrong with it.
        newest: CorruptCheckpoint,
        /// The newest older one that is whole.
        older: Option<(Generation, PathBuf)>,
    },
    /// A checkpoint is not damaged but cannot be used.
    ///
    /// It is of another codec, store or format version, or this process cannot read it.
    /// Falling back would hide the mistake, so recovery never does.
    Refused {
        /// The checkpoint, and why it cannot be used.
        refused: CorruptCheckpoint,
        /// Newer ones, which are damaged; the newest first.
        newer: Vec<CorruptCheckpoint>,
    },
}

impl RecoverErrorKind {
    /// Returns whether the same recovery may succeed later, without anyone mending anything.
    ///
    /// True if a remote store was not available, or its answer was lost. All else needs a decision.
    pub fn may_pass(&self) -> bool {
        matches!(self, RecoverErrorKind::Remote(error) if !error.is_final())
    }
}

impl RecoverError {
    pub(super) fn new(kind: RecoverErrorKind, store: Box<dyn CheckpointStore>) -> Self {
        RecoverError { kind: Box::new(kind), store: Unshared::new(store) }
    }

    /// Returns the reason.
    pub fn kind(&self) -> &RecoverErrorKind {
        &self.kind
    }

    /// Returns the store, still open.
    pub fn into_store(self) -> Box<dyn CheckpointStore> {
        self.store.into_inner()
    }

    /// Returns the reason and the store, still open.
    pub fn into_parts(self) -> (RecoverErrorKind, Box<dyn CheckpointStore>) {
        (*self.kind, self.store.into_inner())
    }
}

impl fmt::Debug for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoverError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for RecoverErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoverErrorKind::Load(error) => error.fmt(f),
            RecoverErrorKind::Remote(RemoteError::InDoubt { place, .. }) => write!(
                f,
                "in doubt: the takeover of {place} may have happened or not: call recover again"
            ),
            RecoverErrorKind::Remote(error) => error.fmt(f),
            RecoverErrorKind::Corrupt { newest, older } => {
                write!(f, "checkpoint {} is damaged; ", newest.path.display())?;
                match older {
                    Some((generation, path)) => write!(
                        f,
                        "generation {generation} in {} is whole: recover with OnCorrupt::FallBack \
                         to use it",
                        path.display()
                    ),
                    None => f.write_str(
                        "no older one is whole: restore a copy, or, if the log still begins at \
                         segment 1 or a base copy exists, move every checkpoint away, and the \
                         marker of a store on a disk, to begin again",
                    ),
                }
            }
            RecoverErrorKind::Refused { refused, newer } => {
                write!(f, "checkpoint {} was refused", refused.path.display())?;
                newer.iter().try_for_each(|damaged| write!(f, "; newer {}", with_causes(damaged)))
            }
        }
    }
}

impl Error for RecoverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl Error for RecoverErrorKind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RecoverErrorKind::Load(error) => error.source(),
            RecoverErrorKind::Remote(error) => error.source(),
            RecoverErrorKind::Corrupt { newest: corrupt, .. }
            | RecoverErrorKind::Refused { refused: corrupt, .. } => Some(&corrupt.reason),
        }
    }
}
