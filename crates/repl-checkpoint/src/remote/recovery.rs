//! Recovery from a remote store.

use std::path::PathBuf;
use std::sync::Arc;

use repl_core::ReplicationState;

use super::RemoteCheckpointer;
use super::lease::HeldLease;
use crate::checkpoint::{Track, restored};
use crate::checkpointer::{Checkpointer, Start};
use crate::codec::Codec;
use crate::ids::Generation;
use crate::observe;
use crate::recovery::{Found, OnCorrupt, RecoverErrorKind, RecoveryReport, find_among};
use crate::remote_store::{Acquire, Held, Kept, RemoteError, RemoteFailure, RemoteStore, Witness};
use crate::store::Candidate;

/// A recovered state and its remote checkpointer.
#[derive(Debug)]
pub struct RemoteRecovered<S> {
    /// The tracked shards at their saved marks, with what was completed above them.
    pub state: Arc<ReplicationState>,
    /// Saves the marks of `state`.
    pub checkpointer: RemoteCheckpointer<S>,
    /// What recovery found and did.
    pub report: RecoveryReport,
}

/// Takes a remote store over, and returns the state of its newest checkpoint and its checkpointer.
///
/// The earlier holder, if it still runs, is *fenced*: its saves are refused from now on. `codec`,
/// `track` and `on_corrupt` are as in [`recover`](crate::recover()).
///
/// `at_least` is what the store is known to hold: what
/// [`RemoteCheckpointer::witness`] returned to an earlier process of this engine. With `None` a store
/// without a record is a new one, and a server that has lost acknowledged saves goes unnoticed.
///
/// It consumes the store, also if it fails: make a new one for each try. It waits as long as the
/// server does, so give it a time limit. To drop its future at any time is safe: the next call takes
/// the store over again, whatever became of this one.
///
/// # Errors
/// [`RecoverErrorKind::Remote`] if the store is not available, or its answer was lost: call this
/// again, later; [`RecoverErrorKind::may_pass`] says which errors these are. The same with
/// [`RemoteError::Regressed`] or [`RemoteError::Vanished`] if the store holds less than `at_least`:
/// nothing was changed. And all that [`recover`](crate::recover()) may find.
pub async fn recover_remote<S: RemoteStore>(
    mut store: S,
    codec: impl Codec + 'static,
    track: impl Into<Track>,
    on_corrupt: OnCorrupt,
    at_least: Option<Witness>,
) -> Result<RemoteRecovered<S>, RecoverErrorKind> {
    let track = track.into();
    let codec: Box<dyn Codec> = Box::new(codec);
    let observed = observe::Recovery::begin(store.store_id());
    let (held, found) = match find(&mut store, &*codec, &track, on_corrupt, at_least).await {
        Ok(found) => found,
        Err(kind) => {
            observed.failed(&kind);
            return Err(kind);
        }
    };
    found.report(observed);
    let Found { source, newest, .. } = found;
    let (state, missing) = restored(&newest.content.marks, track);
    let state = Arc::new(state);
    let orphaned = newest.orphaned.iter().map(|s| s.shard).collect();
    let report = RecoveryReport { source, orphaned, missing };
    let local = Checkpointer::new(Start {
        state: Arc::clone(&state),
        store_id: store.store_id(),
        store: None,
        codec,
        newest,
        attempted: held.generation,
    });
    let checkpointer = RemoteCheckpointer::new(local, store, HeldLease::new(&held));
    Ok(RemoteRecovered { state, checkpointer, report })
}

async fn find<S: RemoteStore>(
    store: &mut S,
    codec: &dyn Codec,
    track: &Track,
    on_corrupt: OnCorrupt,
    at_least: Option<Witness>,
) -> Result<(Held, Found), RecoverErrorKind> {
    let held = match store.acquire(Acquire::TakeOver { at_least }).await {
        Ok(held) => held,
        Err(failure) => {
            let error = explain(failure, at_least.unwrap_or_default(), store);
            return Err(RecoverErrorKind::Remote(error));
        }
    };
    let mut kept = load(store, &held, on_corrupt).await?;
    let id = store.store_id();
    loop {
        let candidates = kept.iter().map(|kept| candidate(store, kept));
        let found = find_among(candidates, codec, id, track, on_corrupt, 0);
        // One at a time, as long as those that were loaded are damaged.
        if let Err(RecoverErrorKind::Corrupt { older: None, .. }) = &found
            && let Some(oldest) = kept.last().and_then(|kept| kept.generation.checked_sub(1))
            && let Some(next) = loaded(store, &held, oldest).await?
        {
            kept.push(next);
            continue;
        }
        return match found {
            Ok(found) => Ok((held, found)),
            // Its generation is said beside it.
            Err(RecoverErrorKind::Corrupt { newest, older: Some((generation, _)) }) => {
                let older = Some((generation, PathBuf::from(store.place())));
                Err(RecoverErrorKind::Corrupt { newest, older })
            }
            Err(error) => Err(error),
        };
    }
}

/// The newest checkpoint, if anything was saved.
async fn load<S: RemoteStore>(
    store: &mut S,
    held: &Held,
    on_corrupt: OnCorrupt,
) -> Result<Vec<Kept>, RecoverErrorKind> {
    if held.generation == 0 {
        return Ok(Vec::new());
    }
    let place = store.place();
    match loaded(store, held, held.generation).await? {
        Some(kept) if kept.generation == held.generation || on_corrupt == OnCorrupt::FallBack => {
            Ok(vec![kept])
        }
        _ => {
            let generation = Some(held.generation);
            Err(RecoverErrorKind::Remote(RemoteError::Vanished { place, generation }))
        }
    }
}

async fn loaded<S: RemoteStore>(
    store: &mut S,
    held: &Held,
    at_most: Generation,
) -> Result<Option<Kept>, RecoverErrorKind> {
    let loaded = store.load(at_most).await;
    loaded.map_err(|failure| RecoverErrorKind::Remote(explain(failure, held.witness(), store)))
}

fn candidate(store: &impl RemoteStore, kept: &Kept) -> Candidate {
    Candidate {
        path: PathBuf::from(format!("generation {} of {}", kept.generation, store.place())),
        generation: Some(kept.generation),
        bytes: Ok(kept.bytes.clone()),
        deltas: Vec::new(),
    }
}

/// What a failure at a start means.
fn explain(failure: RemoteFailure, expected: Witness, store: &impl RemoteStore) -> RemoteError {
    let place = store.place();
    match failure {
        RemoteFailure::Unavailable(source) => RemoteError::Unavailable { place, source },
        RemoteFailure::InDoubt(source) => RemoteError::InDoubt { place, source },
        RemoteFailure::Refused(None) => RemoteError::Vanished { place, generation: None },
        RemoteFailure::Refused(Some(found)) => {
            RemoteError::Regressed { place, expected, found: found.witness() }
        }
    }
}
