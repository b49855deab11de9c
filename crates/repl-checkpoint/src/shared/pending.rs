//! An attempt, and what its end says about its save.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use crate::health::Status;

/// One attempt, from before its snapshot to its end.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    number: u64,
    began: Instant,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    Flushing,
    Saving,
    Over,
}

/// Of a remote store.
const CUT_OFF: &str =
    "in doubt: the call was cut off before its answer; the next checkpoint settles it";
/// Of a local store, whose saves end otherwise.
const PANICKED: &str = "in doubt: the store panicked during the save";

/// Why an attempt cannot be saved.
pub(crate) enum Unsaveable {
    OtherCheckpointer,
    Superseded,
    Poisoned(String),
}

impl Pending {
    pub(super) fn new(shared: &Arc<Shared>, number: u64, began: Instant) -> Self {
        Pending { shared: Arc::clone(shared), number, began, phase: Phase::Flushing }
    }

    /// Checks that it is the newest attempt of this checkpointer.
    pub(crate) fn check(&self, shared: &Arc<Shared>) -> Result<(), Unsaveable> {
        if !Arc::ptr_eq(&self.shared, shared) {
            return Err(Unsaveable::OtherCheckpointer);
        }
        let progress = shared.progress();
        if let Some(doubt) = &progress.doubt {
            return Err(Unsaveable::Poisoned(doubt.clone()));
        }
        if self.number != progress.newest {
            return Err(Unsaveable::Superseded);
        }
        Ok(())
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// From now on it is in doubt unless it ends.
    pub(crate) fn saving(&mut self) {
        self.phase = Phase::Saving;
    }

    pub(crate) fn succeeded(mut self) {
        self.phase = Phase::Over;
        self.shared.end(self.number, |progress, _| {
            progress.failures = 0;
            progress.health.status = Status::Good;
            progress.health.last_success = Some(Instant::now());
        });
    }

    pub(crate) fn failed(mut self, error: String, in_doubt: bool) {
        self.phase = Phase::Over;
        self.shared.end(self.number, |progress, _| {
            if in_doubt { progress.poison(error) } else { progress.fail(error) }
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        match self.phase {
            Phase::Over => {}
            Phase::Flushing => self.shared.end(self.number, |progress, is_newest| {
                // Another one has begun since, and its end counts.
                if is_newest {
                    progress.fail(
                        "a checkpoint was begun and not saved: the flush failed or was cancelled"
                            .to_owned(),
                    );
                }
            }),
            Phase::Saving => self.shared.end(self.number, |progress, _| {
                let why = if progress.settles { CUT_OFF } else { PANICKED };
                progress.poison(why.to_owned());
            }),
        }
    }
}
