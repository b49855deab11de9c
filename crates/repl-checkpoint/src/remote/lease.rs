//! The lease of a remote checkpointer, and what a refusal says about it.

use std::cmp::Ordering;
use std::error::Error;
use std::sync::Arc;

use crate::ids::Generation;
use crate::remote_store::{
    Acquire, Held, Lease, RemoteError, RemoteFailure, RemoteSave, RemoteStore, Witness,
};

/// What this process knows of the record of its store.
#[derive(Debug)]
pub(super) struct HeldLease {
    lease: Lease,
    /// The highest token that a renewal has tried; at least that of the lease.
    tried: u64,
    /// The newest generation that is known to be stored.
    pub(super) stored: Generation,
}

impl HeldLease {
    pub(super) fn new(held: &Held) -> Self {
        HeldLease { lease: held.lease, tried: held.lease.token, stored: held.generation }
    }

    pub(super) fn lease(&self) -> Lease {
        self.lease
    }

    pub(super) fn witness(&self) -> Witness {
        Witness { token: self.lease.token, generation: self.stored }
    }

    pub(super) fn save<'a>(&self, generation: Generation, bytes: &'a [u8]) -> RemoteSave<'a> {
        RemoteSave { lease: self.lease, previous: self.stored, generation, bytes }
    }

    /// A renewal above all that were tried: one that is late cannot lower the token again.
    pub(super) fn renewal(&mut self) -> Acquire {
        self.tried = self.tried.saturating_add(1);
        Acquire::Renew { lease: self.lease, token: self.tried }
    }

    pub(super) fn renewed(&mut self, lease: Lease) {
        self.lease = lease;
    }

    /// What a failure means. `sent` is the generation of the save that may be there.
    pub(super) fn explain(
        &self,
        failure: RemoteFailure,
        sent: Option<Generation>,
        store: &impl RemoteStore,
    ) -> RemoteError {
        let place = store.place();
        match failure {
            RemoteFailure::Unavailable(source) => RemoteError::Unavailable { place, source },
            RemoteFailure::InDoubt(source) => RemoteError::InDoubt { place, source },
            RemoteFailure::Refused(None) => RemoteError::Vanished { place, generation: None },
            RemoteFailure::Refused(Some(found)) => {
                let is_ours = found.lease == self.lease;
                let is_known = found.generation == self.stored || Some(found.generation) == sent;
                if is_ours && is_known {
                    // A success of our own that was sent twice, or a record that changed meanwhile.
                    let why = "it was refused, though the lease is still ours";
                    let source = Arc::from(Box::<dyn Error + Send + Sync>::from(why));
                    return RemoteError::InDoubt { place, source };
                }
                self.other(found, store)
            }
        }
    }

    /// The record is not what this process left there.
    pub(super) fn other(&self, found: Held, store: &impl RemoteStore) -> RemoteError {
        let is_lower = match found.lease.token.cmp(&self.lease.token) {
            Ordering::Less => true,
            Ordering::Equal => found.lease == self.lease && found.generation < self.stored,
            Ordering::Greater => false,
        };
        let place = store.place();
        if is_lower {
            let (expected, found) = (self.witness(), found.witness());
            return RemoteError::Regressed { place, expected, found };
        }
        let Held { lease: Lease { holder, .. }, by, since, .. } = found;
        RemoteError::Fenced { place, by, holder, since }
    }
}
