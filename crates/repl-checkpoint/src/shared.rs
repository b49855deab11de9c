//! What a checkpointer shares with its floors and its attempts: what is saved, and which attempts
//! are in progress.

mod pending;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use repl_core::{AnyChange, Reached, ReplicationState, Shard, ShardId};

pub(crate) use self::pending::{Pending, Unsaveable};
use crate::content::Content;
use crate::health::{Health, Status};

pub(crate) struct Shared {
    state: Arc<ReplicationState>,
    saves: ArcSwap<Saves>,
    progress: Mutex<Progress>,
    /// Its mark is the number of attempts that have ended, and of stores that were closed. Closed
    /// when no more will end.
    ended: Shard,
}

/// The saves of this process since the store was opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saves {
    /// The content of the newest acknowledged generation.
    pub(crate) newest: Option<Content>,
    /// The content of the one before it.
    pub(crate) previous: Option<Content>,
}

/// Which attempts are in progress, and how the others ended.
///
/// Two threads each write one thing and read the other's: one removes a shard and then asks
/// whether it is referenced, the other counts its attempt as open and then reads the shards. The
/// lock orders them: the second to take it sees what the first did.
#[derive(Default)]
struct Progress {
    /// Attempts that exist. Counted, so that the end of one says nothing about another.
    open: u64,
    /// The number of the newest attempt. Older ones cannot be saved any more.
    newest: u64,
    ended: u64,
    failures: u64,
    /// The save in doubt, as text; no attempt begins while there is one.
    doubt: Option<String>,
    /// Doubts are settled by the next attempt, as the store is remote.
    settles: bool,
    /// A remote store is lost to this process: its doubt is for ever.
    lost: bool,
    health: Health,
    /// The change that a background thread waits for at rest.
    rest: Option<AnyChange>,
}

impl Progress {
    fn fail(&mut self, error: String) {
        self.failures += 1;
        // What ended the thread for good is not hidden by what it ended on the way.
        if !matches!(self.health.status, Status::Stopped { .. }) {
            self.health.status = Status::Failing { failures: self.failures, error };
        }
    }

    fn poison(&mut self, error: String) {
        self.doubt = Some(error.clone());
        let is_stuck = self.is_stuck();
        self.health.status =
            if is_stuck { Status::Poisoned { error } } else { Status::InDoubt { error } };
    }

    /// Whether saves have ended, until the store is opened again or for ever.
    fn is_stuck(&self) -> bool {
        self.doubt.is_some() && (self.lost || !self.settles)
    }
}

impl Shared {
    pub(crate) fn new(state: Arc<ReplicationState>, settles: bool) -> Arc<Self> {
        Arc::new(Shared {
            state,
            saves: ArcSwap::default(),
            progress: Mutex::new(Progress { settles, ..Progress::default() }),
            ended: counter(),
        })
    }

    pub(crate) fn state(&self) -> &Arc<ReplicationState> {
        &self.state
    }

    pub(crate) fn saves(&self) -> Guard<Arc<Saves>> {
        self.saves.load()
    }

    pub(crate) fn saved(&self, newest: Content, previous: Option<Content>) {
        self.saves.store(Arc::new(Saves { newest: Some(newest), previous }));
    }

    pub(crate) fn health(&self) -> Health {
        let mut progress = self.progress();
        if progress.rest.as_ref().is_some_and(|change| !change.has_changed()) {
            progress.health.last_success = Some(Instant::now()); // what a look would find
        }
        progress.health.clone()
    }

    /// Sets what a thread waits for that looks no more until then, or that it looks again.
    pub(crate) fn set_rest(&self, change: Option<AnyChange>) {
        self.progress().rest = change;
    }

    pub(crate) fn stopped(&self, error: String) {
        self.progress().health.status = Status::Stopped { error };
    }

    /// The save in doubt, as text.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.progress().doubt.clone()
    }

    /// Whether saves have ended, until the store is opened again or for ever.
    pub(crate) fn is_stuck(&self) -> bool {
        self.progress().is_stuck()
    }

    /// Runs `f` while no attempt is in progress, or returns `None`.
    pub(crate) fn between_attempts<R>(&self, f: impl FnOnce(&Saves) -> R) -> Option<R> {
        let progress = self.progress();
        (progress.open == 0 && progress.doubt.is_none()).then(|| f(&self.saves.load()))
    }

    /// Begins an attempt, before it takes its snapshot; or returns the save in doubt.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Pending, String> {
        let mut progress = self.progress();
        if let Some(doubt) = &progress.doubt {
            return Err(doubt.clone());
        }
        progress.open += 1;
        progress.newest += 1;
        let began = Instant::now();
        progress.health.running_since = Some(began);
        let number = progress.newest;
        Ok(Pending::new(self, number, began))
    }

    /// Ends what is in progress before the store is closed: no attempt of before is saved, and none
    /// begins until [`reopened`](Shared::reopened).
    pub(crate) fn closing(&self) {
        // No save will come, which waits must see.
        self.look_again(|progress| {
            progress.newest += 1;
            progress.health.running_since = None;
            if progress.doubt.is_none() {
                progress.poison("the store was closed, to be opened again".to_owned());
            }
        });
    }

    /// Forgets what the store held before it was opened again: nothing of that is known to be
    /// there.
    pub(crate) fn reopened(&self) {
        self.saves.store(Arc::default());
        let mut progress = self.progress();
        progress.doubt = None;
        progress.failures = 0;
        progress.health.status = Status::Good;
    }

    /// What became of the save in doubt is known.
    pub(crate) fn settled(&self, is_saved: bool) {
        self.look_again(|progress| {
            progress.doubt = None;
            progress.failures = 0;
            progress.health.status = Status::Good;
            if is_saved {
                progress.health.last_success = Some(Instant::now());
            }
        });
    }

    /// No attempt begins any more, as a remote store is lost to this process.
    pub(crate) fn lost(&self, error: String) {
        self.look_again(|progress| {
            progress.lost = true;
            progress.poison(error);
        });
    }

    /// Changes how attempts have ended, and wakes what waits for that.
    fn look_again(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress();
        change(&mut progress);
        progress.ended += 1;
        let ended = progress.ended;
        drop(progress);
        self.ended.advance(ended);
    }

    /// The number of attempts that have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.applied()
    }

    /// Waits until more than `seen` attempts have ended.
    pub(crate) fn ended_after(&self, seen: u64) -> Reached {
        self.ended.reached(seen.saturating_add(1))
    }

    /// Ends all waiting for attempts to end.
    pub(crate) fn close(&self) {
        self.ended.close();
    }

    fn end(&self, number: u64, change: impl FnOnce(&mut Progress, bool)) {
        self.look_again(|progress| {
            let is_newest = number == progress.newest;
            progress.open -= 1;
            change(progress, is_newest);
            if is_newest {
                progress.health.running_since = None;
            }
        });
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mark of its own, to wait on.
#[expect(clippy::expect_used, reason = "a single state tracks this shard")]
pub(crate) fn counter() -> Shard {
    ReplicationState::single().shard(ShardId::SINGLE).expect("the only shard")
}
