//! Recovery: from the newest usable checkpoint to a running state.

mod candidate;
mod error;
mod reopen;

use std::sync::Arc;

use repl_core::{ReplicationState, ShardId};

use crate::checkpoint::{Track, restored};
use crate::checkpointer::{Checkpointer, Start};
use crate::codec::Codec;
use crate::content::Unsealed;
use crate::ids::{Generation, StoreId};
use crate::observe::{self, Origin};
use crate::store::{Candidate, CheckpointStore};

pub(crate) use self::candidate::check_generation;
pub use self::error::{CorruptCheckpoint, CorruptReason, RecoverError, RecoverErrorKind};
pub use self::reopen::ReopenError;

/// What recovery does if the newest checkpoint is damaged.
///
/// Neither choice removes or resets anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnCorrupt {
    /// Fails with an error that names the file, the reason and the newest undamaged checkpoint.
    ///
    /// One torn slot of a [`SlotStore`](crate::SlotStore) is no failure: recovery passes over it
    /// and reports [`Source::FellBack`].
    #[default]
    Fail,
    /// Uses the newest undamaged checkpoint, and reports the damaged ones above it.
    ///
    /// Its marks are lower, and the segments above them are replayed. If one checkpoint is damaged,
    /// [`Floors::retention_floor`] never passed these marks; if more are, check that the log still
    /// holds every segment above them.
    ///
    /// [`Floors::retention_floor`]: crate::Floors::retention_floor
    FallBack,
}

/// A recovered state and its checkpointer.
#[derive(Debug)]
pub struct Recovered {
    /// The tracked shards at their saved marks, with what was completed above them.
    pub state: Arc<ReplicationState>,
    /// Saves the marks of `state`.
    pub checkpointer: Checkpointer,
    /// What recovery found and did.
    pub report: RecoveryReport,
}

/// What recovery found in the store.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The checkpoint that the marks come from.
    pub source: Source,
    /// Shards of the checkpoint that the state does not track, ascending.
    ///
    /// Every save keeps them until [`Checkpointer::drop_orphan`].
    pub orphaned: Vec<ShardId>,
    /// Shards that were given by id and that the checkpoint lacks, ascending.
    ///
    /// They begin at mark 0 of an unnamed log, or as [`Track::or_start`] says. If the engine has
    /// data of such a shard, a checkpoint was lost.
    pub missing: Vec<ShardId>,
}

/// The checkpoint that the recovered marks come from.
#[derive(Debug)]
pub enum Source {
    /// None: nothing was acknowledged in this store.
    Fresh,
    /// The newest checkpoint.
    Resumed {
        /// Its generation.
        generation: Generation,
    },
    /// The newest undamaged checkpoint, though another part of the store is damaged.
    ///
    /// The caller chose [`OnCorrupt::FallBack`], or the damage may be a torn write
    /// ([`CheckpointStore::max_torn`]). The marks are older than the last save if a newer
    /// checkpoint is damaged. They are those of the last save if the damage is to an older slot or
    /// to the first page of a `SlotStore`.
    FellBack {
        /// Its generation.
        generation: Generation,
        /// What is damaged, the newest first. The files of a `FileStore` stay until the
        /// second save; the next save of a `SlotStore` overwrites a damaged slot.
        damaged: Vec<CorruptCheckpoint>,
    },
}

/// Loads the newest checkpoint of `store` and returns the state and its checkpointer.
///
/// `track` says which shards the state tracks: a slice of shard ids for exactly those, or a
/// [`Track`].
/// - A tracked shard begins at its saved mark and log.
/// - A shard given by id that the checkpoint lacks is [missing](RecoveryReport::missing): it begins
///   at mark 0 of an unnamed log, or as [`Track::or_start`] says.
/// - A shard of the checkpoint that is not tracked is
///   [orphaned](Checkpointer::orphaned_shards): every save keeps it as it is until the state tracks
///   it or [`Checkpointer::drop_orphan`] drops it. [`Track::all`] leaves no orphans.
///
/// Recovery writes, resets and removes nothing, and an empty or short file is never taken for an
/// empty state. The engine may start from the marks at once. They are provisional, as the process
/// that saved them may have died before its sync: so the [`Floors`](crate::Floors) are `None` until
/// this process has saved.
///
/// # Errors
/// [`RecoverError`], which holds the store.
///
/// ```
/// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
/// let recovered = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// assert_eq!(recovered.state.applied_seqno(ShardId(1)), Some(0));
/// assert_eq!(recovered.report.missing, [ShardId(1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(
    mut store: impl CheckpointStore + 'static,
    codec: impl Codec + 'static,
    track: impl Into<Track>,
    on_corrupt: OnCorrupt,
) -> Result<Recovered, RecoverError> {
    let track = track.into();
    let observed = observe::Recovery::begin(store.store_id());
    let _span = observed.enter();
    let found = match find(&mut store, &codec, &track, on_corrupt) {
        Ok(found) => found,
        Err(kind) => {
            observed.failed(&kind);
            return Err(RecoverError::new(kind, Box::new(store)));
        }
    };
    found.report(observed);
    let Found { source, newest, attempted } = found;
    let (state, missing) = restored(&newest.content.marks, track);
    let state = Arc::new(state);
    let orphaned = newest.orphaned.iter().map(|s| s.shard).collect();
    let report = RecoveryReport { source, orphaned, missing };
    let checkpointer = Checkpointer::new(Start {
        state: Arc::clone(&state),
        store_id: store.store_id(),
        store: Some(Box::new(store)),
        codec: Box::new(codec),
        newest,
        attempted,
    });
    Ok(Recovered { state, checkpointer, report })
}

/// The checkpoint to go on from.
pub(crate) struct Found {
    pub(crate) source: Source,
    pub(crate) newest: Unsealed,
    /// The highest generation that the store names, whole or not.
    attempted: Generation,
}

impl Found {
    pub(crate) fn report(&self, observed: observe::Recovery) {
        let origin = match &self.source {
            Source::Fresh => Origin::Fresh,
            Source::Resumed { .. } => Origin::Resumed,
            Source::FellBack { damaged, .. } => {
                for d in damaged {
                    observe::damaged(&d.path, &d.reason);
                }
                Origin::FellBack
            }
        };
        observed.succeeded(origin, self.newest.header.generation, self.newest.length);
    }
}

fn find(
    store: &mut dyn CheckpointStore,
    codec: &dyn Codec,
    track: &Track,
    on_corrupt: OnCorrupt,
) -> Result<Found, RecoverErrorKind> {
    let (id, max_torn) = (store.store_id(), store.max_torn());
    let candidates = store.load().map_err(RecoverErrorKind::Load)?;
    find_among(candidates, codec, id, track, on_corrupt, max_torn)
}

/// The checkpoint to go on from among these, the newest first.
pub(crate) fn find_among(
    candidates: impl Iterator<Item = Candidate>,
    codec: &dyn Codec,
    id: StoreId,
    track: &Track,
    on_corrupt: OnCorrupt,
    max_torn: usize,
) -> Result<Found, RecoverErrorKind> {
    let may_pass_over = |damaged: &[CorruptCheckpoint]| match on_corrupt {
        // A torn write leaves bytes that can be read.
        OnCorrupt::Fail => {
            damaged.len() <= max_torn
                && damaged.iter().all(|d| matches!(d.reason, CorruptReason::Unseal(_)))
        }
        OnCorrupt::FallBack => true,
    };
    let mut attempted = 0;
    let candidates = candidates
        .inspect(|candidate| attempted = attempted.max(candidate.generation.unwrap_or(0)));
    let open = |candidate| open_candidate(candidate, codec, id, track);
    let (source, newest) = choose(candidates, open, may_pass_over)?;
    Ok(Found { source, newest, attempted })
}

/// The newest whole candidate, if the damaged ones above it may be passed over.
fn choose(
    candidates: impl Iterator<Item = Candidate>,
    open: impl Fn(Candidate) -> Result<Unsealed, CorruptReason>,
    may_pass_over: impl Fn(&[CorruptCheckpoint]) -> bool,
) -> Result<(Source, Unsealed), RecoverErrorKind> {
    let mut damaged = Vec::new();
    for candidate in candidates {
        let path = candidate.path.clone();
        let found = match open(candidate) {
            Ok(found) => found,
            Err(reason) if !reason.is_damage() => {
                let refused = CorruptCheckpoint { path, reason };
                return Err(RecoverErrorKind::Refused { refused, newer: damaged });
            }
            Err(reason) => {
                damaged.push(CorruptCheckpoint { path, reason });
                continue;
            }
        };
        let generation = found.header.generation;
        if damaged.is_empty() {
            return Ok((Source::Resumed { generation }, found));
        }
        if !may_pass_over(&damaged) {
            let newest = damaged.swap_remove(0);
            return Err(RecoverErrorKind::Corrupt { newest, older: Some((generation, path)) });
        }
        return Ok((Source::FellBack { generation, damaged }, found));
    }
    match damaged.into_iter().next() {
        Some(newest) => Err(RecoverErrorKind::Corrupt { newest, older: None }),
        None => Ok((Source::Fresh, Unsealed::default())),
    }
}

/// Its bytes are dropped before the state takes its memory.
pub(crate) fn open_candidate(
    candidate: Candidate,
    codec: &dyn Codec,
    store: StoreId,
    track: &Track,
) -> Result<Unsealed, CorruptReason> {
    let bytes = candidate.bytes?;
    let found = Unsealed::read(codec, store, &bytes, &candidate.deltas, track)?;
    check_generation(candidate.generation, found.header)?;
    Ok(found)
}
