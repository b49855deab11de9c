//! Opening the store of a running checkpointer again.

use std::error::Error;
use std::fmt;

use super::{Found, OnCorrupt, RecoverErrorKind, find};
use crate::checkpoint::Track;
use crate::checkpointer::{Checkpointer, Written};
use crate::content::Unsealed;
use crate::ids::{Generation, StoreId};
use crate::observe;
use crate::store::CheckpointStore;

/// A store could not be opened again; no save is tried until `reopen` succeeds.
///
/// The state, its handles and the checkpointer stay. Call
/// [`reopen`](crate::Checkpointer::reopen) again once the cause is mended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReopenError {
    /// The function given to `reopen` failed.
    Open(Box<dyn Error + Send + Sync>),
    /// The store has another id.
    OtherStore {
        /// The store of the checkpointer.
        expected: StoreId,
        /// The store that was opened.
        found: StoreId,
    },
    /// The store holds no checkpoint that can be used.
    Recover(Box<RecoverErrorKind>),
    /// Its newest checkpoint is neither the last acknowledged save nor the save in doubt.
    OtherCheckpoint {
        /// The generation found; 0 if the store is empty.
        found: Generation,
        /// The last acknowledged generation, or the recovered one; 0 if there is none.
        acknowledged: Generation,
        /// The generation in doubt.
        in_doubt: Option<Generation>,
    },
}

impl fmt::Display for ReopenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReopenError::Open(_) => f.write_str("failed to open the store again"),
            ReopenError::OtherStore { expected, found } => write!(
                f,
                "store {found} was opened, and the checkpointer saves to store {expected}: open \
                 that one"
            ),
            ReopenError::Recover(kind) => kind.fmt(f),
            ReopenError::OtherCheckpoint { found, acknowledged, in_doubt } => {
                match found {
                    0 => f.write_str("the store that was opened is empty")?,
                    _ => write!(f, "the newest checkpoint in the store is generation {found}")?,
                }
                write!(f, ", and not what this process saved (generation {acknowledged}")?;
                if let Some(generation) = in_doubt {
                    write!(f, ", or {generation} in doubt")?;
                }
                f.write_str(match found {
                    0 => {
                        "): put its directory back in the place of the empty one, then open it \
                         again"
                    }
                    _ => {
                        "): another process or a restored copy has replaced it; end this process, \
                         and recover"
                    }
                })
            }
        }
    }
}

impl Error for ReopenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ReopenError::Open(source) => Some(&**source),
            ReopenError::OtherStore { .. } | ReopenError::OtherCheckpoint { .. } => None,
            ReopenError::Recover(kind) => kind.source(),
        }
    }
}

impl Checkpointer {
    /// Opens the store again, and goes on with the same state and handles.
    ///
    /// Drops the store, so that its lock is free, calls `open`, and reads what the store holds. It
    /// goes on if the newest checkpoint is exactly the save in doubt
    /// ([`SaveError::InDoubt`](crate::SaveError::InDoubt)) or the last acknowledged one.
    /// Generations that were attempted are not used again, and an attempt that was begun before
    /// cannot be saved.
    ///
    /// What it finds may be in the cache alone, as after a start: so
    /// [`checkpointed`](crate::Floors::checkpointed) is `None` until the next save, and
    /// [`retention_floor`](crate::Floors::retention_floor) is `None` until the second. Both
    /// saves are written even if no mark has moved. Nothing that was deleted up to an earlier floor
    /// is needed.
    ///
    /// It only reads: whether the disk can be written to again, the next save shows. A background
    /// checkpointer is [closed](crate::BackgroundCheckpointer::close) first. Blocks for the call of
    /// `open`, and to read the store.
    ///
    /// ```
    /// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, recover};
    /// use repl_core::ShardId;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let open = || FileStore::open(dir.path(), StoreId::UNNAMED);
    /// let mut follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
    /// if let Err(error) = follower.checkpointer.checkpoint(|_| Ok(()))
    ///     && error.is_poisoning()
    /// {
    ///     follower.checkpointer.reopen(open)?; // after the disk was looked at
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReopenError`]. The checkpointer then has no store, and saves nothing until this succeeds.
    pub fn reopen<S, E>(&mut self, open: impl FnOnce() -> Result<S, E>) -> Result<(), ReopenError>
    where
        S: CheckpointStore + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.close_store();
        let store = open().map_err(|error| ReopenError::Open(error.into()));
        let reopened = store.and_then(|store| self.continue_with(Box::new(store)));
        let (_, id) = self.format();
        observe::reopened(id, reopened.as_ref().copied().map_err(|error| error as &dyn Error));
        reopened.map(drop)
    }

    /// Returns the generation to go on from.
    fn continue_with(
        &mut self,
        mut store: Box<dyn CheckpointStore>,
    ) -> Result<Generation, ReopenError> {
        let (codec, expected) = self.format();
        let found = store.store_id();
        if found != expected {
            return Err(ReopenError::OtherStore { expected, found });
        }
        // Damage above an acknowledged save does no harm: the state has all that was ever saved.
        let found = find(&mut *store, codec, &Track::all(), OnCorrupt::FallBack)
            .map_err(|kind| ReopenError::Recover(Box::new(kind)))?;
        let Some(newest) = self.expected().find(|written| is(written, &found)).cloned() else {
            return Err(self.other(&found));
        };
        let generation = newest.header.generation;
        self.go_on(store, newest, found.attempted);
        Ok(generation)
    }

    fn other(&self, found: &Found) -> ReopenError {
        let (acknowledged, in_doubt) = self.generations();
        ReopenError::OtherCheckpoint {
            found: found.newest.header.generation,
            acknowledged,
            in_doubt,
        }
    }
}

/// Whether the store holds exactly what was written: the header and every shard.
fn is(written: &Written, found: &Found) -> bool {
    let Unsealed { header, content, .. } = &found.newest;
    written.header == *header && written.content.says_the_same(content)
}
