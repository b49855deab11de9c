//! Saves the marks in a remote store, after the data that they cover is durable.

mod lease;
mod recovery;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use repl_core::{ReplicationState, ShardId};

use crate::attempt::Attempt;
use crate::causes::with_causes;
use crate::checkpoint::ShardCheckpoint;
use crate::checkpointer::{
    Acknowledged, CheckpointError, Checkpointer, Prepared, Ready, SaveReport, Saved,
};
use crate::floors::Floors;
use crate::observe::{self, Outcome};
use crate::remote_store::{Lease, RemoteError, RemoteStore, Witness};

use self::lease::HeldLease;

pub use self::recovery::{RemoteRecovered, recover_remote};

/// Saves the marks of a [`ReplicationState`] in a [`RemoteStore`].
///
/// [`recover_remote`] returns it. It is a [`Checkpointer`] whose store is a server: the same two
/// steps, the same attempts and the same [`Floors`]. It names no runtime, and needs a task of the
/// engine that calls it:
/// 1. [`begin`](RemoteCheckpointer::begin) settles a save in doubt, and takes a snapshot,
/// 2. the engine makes its data durable up to [`Attempt::marks`],
/// 3. [`save`](RemoteCheckpointer::save) saves the marks, and moves the floors.
///
/// After an error, ask [`CheckpointError::is_poisoning`]: if it is true the store is lost to this
/// process, applying must stop, and every later call fails in the same way. Otherwise wait for
/// [`retry_after`](RemoteCheckpointer::retry_after), and begin again.
///
/// # Time limits
/// It has none of its own. A future of `begin` or `save` may be dropped at any time, as by
/// `tokio::time::timeout`. A save whose future was dropped is in doubt.
///
/// # Saves in doubt
/// Where an answer was lost, the save may be in the store, or may reach it yet. The next `begin`
/// renews the lease, with a token above every earlier one: then the save is there, or is refused for
/// ever. Until it knows, the floors stand, and nothing else is saved.
pub struct RemoteCheckpointer<S> {
    /// Without a store of its own.
    local: Checkpointer,
    store: S,
    lease: HeldLease,
    /// The save in doubt.
    doubtful: Option<Prepared>,
    /// Why the store is lost to this process.
    lost: Option<RemoteError>,
    /// The number of failures in a row. A call counts from before it is sent until it has succeeded,
    /// so one whose future is dropped counts too.
    failures: u32,
}

impl<S: RemoteStore> RemoteCheckpointer<S> {
    fn new(local: Checkpointer, store: S, lease: HeldLease) -> Self {
        RemoteCheckpointer { local, store, lease, doubtful: None, lost: None, failures: 0 }
    }

    /// Settles a save in doubt, then begins a checkpoint: takes a snapshot of the marks.
    ///
    /// Returns `None` if the last two saves of this process already hold these marks. It asks the
    /// server only if a save is in doubt; see [`Checkpointer::begin`] for the rest.
    ///
    /// # Errors
    /// [`CheckpointError::Remote`].
    pub async fn begin(&mut self) -> Result<Option<Attempt>, CheckpointError> {
        if let Some(lost) = &self.lost {
            observe::not_begun(Outcome::Poisoned);
            return Err(CheckpointError::Remote(lost.clone()));
        }
        if let Err(error) = self.settle().await {
            observe::not_begun(Outcome::Poisoned);
            return Err(CheckpointError::Remote(self.failed(error)));
        }
        self.local.begin()
    }

    /// Saves an attempt whose data is durable.
    ///
    /// One conditional write, of all marks.
    ///
    /// # Errors
    /// [`CheckpointError`]. The floors do not move. The attempt is consumed even on error.
    pub async fn save(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        let mut observed = observe::Save::begin(self.store.store_id());
        let result = match self.local.ready(attempt, &mut observed) {
            Ok(Some(ready)) => {
                observed.sending();
                self.send(ready).await
            }
            Ok(None) => Ok(Saved::Unchanged),
            Err(CheckpointError::Poisoned { .. }) => Err(match &self.lost {
                Some(lost) => CheckpointError::Remote(lost.clone()),
                // A later attempt is in doubt, which the next `begin` settles.
                None => CheckpointError::Superseded,
            }),
            Err(error) => Err(error),
        };
        self.local.reported(observed, &result);
        result
    }

    async fn send(&mut self, ready: Ready) -> Result<Saved, CheckpointError> {
        let Ready { mut pending, save, times } = ready;
        self.local.sending(&save);
        let generation = save.generation();
        let save = self.doubtful.insert(save); // until it is known, even if this future is dropped
        pending.saving();
        self.failures = self.failures.saturating_add(1);
        let request = self.lease.save(generation, save.bytes());
        let error = match self.store.save(request).await {
            Ok(()) => {
                let saved = self.doubtful.take().map(|save| self.acknowledge(save));
                pending.succeeded();
                let report = saved.map(|saved| times.report(&saved));
                return Ok(report.map_or(Saved::Unchanged, Saved::Written));
            }
            Err(failure) => self.lease.explain(failure, Some(generation), &self.store),
        };
        if let RemoteError::Unavailable { .. } = error {
            self.doubtful = None;
        }
        let may_be_there = self.doubtful.is_some();
        let error = CheckpointError::Remote(self.failed(error));
        pending.failed(with_causes(&error), may_be_there);
        Err(error)
    }

    fn acknowledge(&mut self, save: Prepared) -> Acknowledged {
        self.lease.stored = save.generation();
        self.failures = 0;
        self.local.acknowledge(save)
    }

    /// Finds out what became of the save in doubt.
    async fn settle(&mut self) -> Result<(), RemoteError> {
        let Some(save) = &self.doubtful else {
            return Ok(());
        };
        let generation = save.generation();
        let before = self.failures;
        self.failures = before.saturating_add(1);
        let held = match self.store.acquire(self.lease.renewal()).await {
            Ok(held) => held,
            Err(failure) => return Err(self.lease.explain(failure, Some(generation), &self.store)),
        };
        self.lease.renewed(held.lease);
        let is_saved = match held.generation {
            stored if stored == self.lease.stored => false,
            found if found == generation => match self.store.load(generation).await {
                Ok(Some(kept)) if kept.generation == generation => kept.bytes == save.bytes(),
                Ok(_) => {
                    let place = self.store.place();
                    return Err(RemoteError::Vanished { place, generation: Some(generation) });
                }
                Err(failure) => return Err(self.lease.explain(failure, None, &self.store)),
            },
            _ => false,
        };
        if !is_saved && held.generation != self.lease.stored {
            return Err(self.lease.other(held, &self.store));
        }
        self.failures = before;
        let save = self.doubtful.take().filter(|_| is_saved);
        if let Some(save) = save {
            self.acknowledge(save);
        }
        self.local.shared().settled(is_saved);
        Ok(())
    }

    /// Remembers a failure that is final.
    fn failed(&mut self, error: RemoteError) -> RemoteError {
        if error.is_final() {
            self.local.shared().lost(with_causes(&error));
            self.lost = Some(error.clone());
        }
        error
    }

    /// Returns how long to wait after a failure before the next `begin`.
    ///
    /// Zero after a save. It doubles with each failure in a row, from 0.1 to 30 seconds, less up to a
    /// half that differs between processes. A `begin` or `save` that was sent, and whose future was
    /// dropped, is a failure as well.
    pub fn retry_after(&self) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let longest = (100 << doublings.min(9)).min(30_000);
        let spread = self.lease.lease().holder.to_le_bytes()[doublings.min(15) as usize];
        Duration::from_millis(longest - longest * u64::from(spread) / 512)
    }

    /// Returns what the store is known to hold, for the next
    /// [`recover_remote`](crate::recover_remote) of this engine.
    pub fn witness(&self) -> Witness {
        self.lease.witness()
    }

    /// Returns the lease, for messages.
    pub fn lease(&self) -> Lease {
        self.lease.lease()
    }

    /// As [`Checkpointer::on_save`], in the task that saves. Not called for a save whose doubt is
    /// settled later, as it has no report.
    pub fn on_save(&mut self, on_save: impl FnMut(&SaveReport) + Send + 'static) {
        self.local.on_save(on_save);
    }

    /// As [`Checkpointer::floors`].
    pub fn floors(&self) -> Floors {
        self.local.floors()
    }

    /// As [`Checkpointer::state`].
    pub fn state(&self) -> &Arc<ReplicationState> {
        self.local.state()
    }

    /// As [`Checkpointer::orphaned_shards`].
    pub fn orphaned_shards(&self) -> &[ShardCheckpoint] {
        self.local.orphaned_shards()
    }

    /// As [`Checkpointer::drop_orphan`].
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool {
        self.local.drop_orphan(shard)
    }
}

impl<S> fmt::Debug for RemoteCheckpointer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCheckpointer")
            .field("lease", &self.lease)
            .field("local", &self.local)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
