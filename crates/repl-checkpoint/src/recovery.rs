//! What is found at the start, and what becomes of it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use repl_core::{NewShard, ReplicationState, ShardId, SnapshotEntry};

use crate::checkpoint::{Checkpoint, ShardCheckpoint};
use crate::checkpointer::{Checkpointer, Start};
use crate::codec::Codec;
use crate::envelope::{Generation, Header, StoreId, UnsealError, open};
use crate::store::{Candidate, CheckpointStore, LoadError};

/// What to do where the newest checkpoint is damaged. Nothing is ever removed or reset for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnCorrupt {
    /// Stop with an error that names the file, the reason, and the older checkpoint that could be
    /// used. What an unfinished save of a [`SlotStore`](crate::SlotStore) leaves stops nobody: it
    /// is reported as [`Source::FellBack`].
    #[default]
    Fail,
    /// Use the newest older checkpoint that is whole, and report it. Its marks are lower, and
    /// segments above them are offered again. [`Floors::retention_floor`] never passed them where
    /// one checkpoint is damaged; where two or more are, look whether the log still holds all that
    /// is offered again.
    ///
    /// [`Floors::retention_floor`]: crate::Floors::retention_floor
    FallBack,
}

/// A follower's marks as they were saved last, and the checkpointer that goes on from there.
#[derive(Debug)]
pub struct Recovered {
    /// The shards that the engine named, at their saved marks, with what was completed above them:
    /// neither is offered again, with an [`ApplyWindow`](repl_core::ApplyWindow) or without.
    pub state: Arc<ReplicationState>,
    /// Saves the marks of `state`.
    pub checkpointer: Checkpointer,
    /// What was found.
    pub found: RecoveryReport,
}

/// What was found at the start.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Which checkpoint the marks come from.
    pub origin: Source,
    /// Shards of the checkpoint that the engine did not name, ascending. Every save keeps them
    /// until [`Checkpointer::drop_orphan`].
    pub unnamed: Vec<ShardId>,
    /// Shards that the engine named and the checkpoint lacks, ascending: they begin at 0, with
    /// unnamed logs (reset a shard to name its log). Beside existing data that means a lost
    /// checkpoint; the engine must decide.
    pub missing: Vec<ShardId>,
}

/// Where the recovered marks come from.
#[derive(Debug)]
pub enum Source {
    /// Nothing was ever saved in this store: every mark is 0.
    Fresh,
    /// The newest checkpoint.
    Resumed {
        /// Its generation.
        generation: Generation,
    },
    /// An older checkpoint, as the caller chose [`OnCorrupt::FallBack`], or where a save may not
    /// have been finished ([`CheckpointStore::max_torn`]).
    FellBack {
        /// Its generation.
        generation: Generation,
        /// The newer ones that are damaged, the newest first. The files of a `FileStore` stay
        /// until the second save; the next save of a `SlotStore` overwrites a damaged slot.
        damaged: Vec<CorruptCheckpoint>,
    },
}

/// A checkpoint that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}", path = .path.display())]
pub struct CorruptCheckpoint {
    /// Where it is.
    pub path: PathBuf,
    /// Why not.
    pub reason: CorruptReason,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptReason {
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// Its bytes are refused.
    #[error(transparent)]
    Open(#[from] UnsealError),
}

impl CorruptReason {
    /// Whether it is lost, so that an older one may take its place. What this process may not read,
    /// or has no memory or descriptor for, is not lost.
    fn is_damage(&self) -> bool {
        match self {
            CorruptReason::Read(err) => err.raw_os_error() == Some(MEDIA_ERROR),
            CorruptReason::Open(reason) => reason.is_damage(),
        }
    }
}

/// `EIO`.
#[cfg(unix)]
const MEDIA_ERROR: i32 = 5;
/// `ERROR_CRC`.
#[cfg(not(unix))]
const MEDIA_ERROR: i32 = 23;

/// Recovery found no marks to go on from. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The store could not say what it keeps.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The newest checkpoint is damaged, and the caller chose [`OnCorrupt::Fail`], or no older one
    /// is whole.
    #[error(
        "checkpoint {newest}; {advice}", newest = .newest,
        advice = .older.as_ref().map_or_else(
            || "no older one is whole: restore a copy, or move it away to apply all from the \
                beginning".to_owned(),
            |(generation, path)| format!(
                "generation {generation} in {} is whole: to go on from it, choose to fall back",
                path.display()
            ),
        )
    )]
    Corrupt {
        /// The newest, and what is wrong with it.
        #[source]
        newest: CorruptCheckpoint,
        /// The newest older one that is whole.
        older: Option<(Generation, PathBuf)>,
    },
    /// A checkpoint is not damaged but cannot be used: it is another codec's, another store's, or
    /// of a newer version, or this process may not read it. Falling back would hide the mistake, so
    /// it is never done.
    #[error("checkpoint {refused}; nothing was read from it{}", also_damaged(.newer))]
    Refused {
        /// The checkpoint, and why it cannot be used.
        #[source]
        refused: Box<CorruptCheckpoint>,
        /// Newer ones, which are damaged; the newest first.
        newer: Vec<CorruptCheckpoint>,
    },
}

fn also_damaged(newer: &[CorruptCheckpoint]) -> String {
    newer.iter().fold(String::new(), |said, damaged| said + &format!("; checkpoint {damaged}"))
}

/// Opens what `store` keeps, and gives the marks of `shards` and the checkpointer for them.
///
/// A shard that is not found begins at 0. The engine may start from the marks at once, but they may
/// not be on the disk yet (the process that saved them may have died before its sync), so the
/// [`Floors`](crate::Floors) are unset until this process has saved itself.
///
/// An empty or short file is never taken for an empty state, and nothing is reset or removed.
///
/// # Errors
/// [`RecoverError`].
///
/// ```
/// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
/// let recovered = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// assert_eq!(recovered.state.applied_seqno(ShardId(1)), Some(0));
/// assert_eq!(recovered.found.missing, [ShardId(1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(
    mut store: impl CheckpointStore + 'static,
    codec: impl Codec + 'static,
    shards: &[ShardId],
    on_corrupt: OnCorrupt,
) -> Result<Recovered, RecoverError> {
    let candidates = store.load()?;
    let attempted = candidates.iter().filter_map(|c| c.generation).max().unwrap_or(0);
    let passed_over = match on_corrupt {
        OnCorrupt::Fail => store.max_torn(),
        OnCorrupt::FallBack => usize::MAX,
    };
    let (origin, header, checkpoint) = choose(candidates, &codec, store.store_id(), passed_over)?;
    let restored = Restored::of(&checkpoint, shards);
    let state = Arc::new(restored.state);
    let found = RecoveryReport {
        origin,
        unnamed: restored.unnamed.iter().map(|s| s.shard).collect(),
        missing: restored.missing,
    };
    let checkpointer = Checkpointer::new(Start {
        state: Arc::clone(&state),
        store: Box::new(store),
        codec: Box::new(codec),
        found: checkpoint,
        unnamed: restored.unnamed,
        confirmed: header.confirmed,
        attempted: attempted.max(header.generation),
    });
    Ok(Recovered { state, checkpointer, found })
}

/// The newest candidate that is whole, above which at most `passed_over` are damaged.
fn choose(
    candidates: Vec<Candidate>,
    codec: &dyn Codec,
    store: StoreId,
    passed_over: usize,
) -> Result<(Source, Header, Checkpoint), RecoverError> {
    let mut damaged = Vec::new();
    for candidate in candidates {
        let path = candidate.path.clone();
        let (header, checkpoint) = match open_candidate(candidate, codec, store) {
            Ok(opened) => opened,
            Err(reason) if !reason.is_damage() => {
                let refused = Box::new(CorruptCheckpoint { path, reason });
                return Err(RecoverError::Refused { refused, newer: damaged });
            }
            Err(reason) => {
                damaged.push(CorruptCheckpoint { path, reason });
                continue;
            }
        };
        let generation = header.generation;
        if damaged.is_empty() {
            return Ok((Source::Resumed { generation }, header, checkpoint));
        }
        if damaged.len() > passed_over {
            let newest = damaged.swap_remove(0);
            return Err(RecoverError::Corrupt { newest, older: Some((generation, path)) });
        }
        return Ok((Source::FellBack { generation, damaged }, header, checkpoint));
    }
    match damaged.into_iter().next() {
        Some(newest) => Err(RecoverError::Corrupt { newest, older: None }),
        None => Ok((Source::Fresh, Header::default(), Checkpoint::default())),
    }
}

fn open_candidate(
    candidate: Candidate,
    codec: &dyn Codec,
    store: StoreId,
) -> Result<(Header, Checkpoint), CorruptReason> {
    let bytes = candidate.bytes.map_err(CorruptReason::Read)?;
    let (header, checkpoint) = open(codec, store, &bytes)?;
    match candidate.generation.filter(|expected| *expected != header.generation) {
        None => Ok((header, checkpoint)),
        Some(expected) => {
            Err(UnsealError::OtherGeneration { expected, found: header.generation }.into())
        }
    }
}

/// A state made of a checkpoint.
pub(crate) struct Restored {
    pub(crate) state: ReplicationState,
    unnamed: Vec<ShardCheckpoint>,
    missing: Vec<ShardId>,
}

impl Restored {
    /// Those of the checkpoint's shards that are named, and the named ones that it lacks at 0.
    pub(crate) fn of(checkpoint: &Checkpoint, named: &[ShardId]) -> Self {
        let named: BTreeSet<ShardId> = named.iter().copied().collect();
        let (known, unnamed): (Vec<_>, Vec<_>) =
            checkpoint.shards.iter().partition(|s| named.contains(&s.shard));
        let entries = known.iter().map(|s| SnapshotEntry::from(*s));
        let state = ReplicationState::restore(entries, checkpoint.next_incarnation);
        for shard in known.iter().filter(|s| !s.completed.is_empty()) {
            if let Some(cell) = state.shard(shard.shard) {
                shard.completed.iter().for_each(|range| cell.complete(*range));
            }
        }
        let missing: Vec<ShardId> =
            named.into_iter().filter(|s| checkpoint.shard(*s).is_none()).collect();
        let new: Vec<NewShard> = missing.iter().copied().map(NewShard::new).collect();
        if !new.is_empty() {
            // Cannot fail: none of them is in the checkpoint, and a set holds none twice.
            let _ = state.add_shards(&new);
        }
        Restored { state, unnamed: unnamed.into_iter().cloned().collect(), missing }
    }
}
