//! A store in memory that records its calls and fails on request.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Generation, Header, JsonCodec, LoadError, OnCorrupt,
    Recovered, Save, SaveError, StoreId, recover,
};
use repl_core::{SeqNo, ShardId};

use super::STORE;

/// Clones share one store.
#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    events: Vec<String>,
    saved: Vec<Vec<u8>>,
    next: Vec<Outcome>,
    poisoned: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    NotSaved,
    InDoubt,
}

impl Scripted {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// The outcomes of the next saves, in this order; all later ones succeed.
    pub(crate) fn fail_next(&self, outcomes: &[Outcome]) {
        self.inner().next = outcomes.iter().rev().copied().collect();
    }

    pub(crate) fn note(&self, event: impl Into<String>) {
        self.inner().events.push(event.into());
    }

    /// The events since the last call.
    pub(crate) fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().events)
    }

    /// The number of saves that succeeded.
    pub(crate) fn saves(&self) -> usize {
        self.inner().saved.len()
    }

    pub(crate) fn newest(&self) -> (Header, Checkpoint) {
        Checkpoint::unseal(&JsonCodec, STORE, self.inner().saved.last().unwrap()).unwrap()
    }

    /// The mark of a shard in the newest save.
    pub(crate) fn mark(&self, shard: u64) -> Option<SeqNo> {
        self.newest().1.shard(ShardId(shard)).map(|s| s.mark)
    }

    pub(crate) fn recovered(&self, shards: &[u64]) -> Recovered {
        let shards: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
        self.inner().poisoned = false;
        recover(self.clone(), JsonCodec, &shards, OnCorrupt::Fail).unwrap()
    }
}

impl CheckpointStore for Scripted {
    fn store_id(&self) -> StoreId {
        STORE
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let candidate = |bytes: &Vec<u8>| Candidate {
            path: PathBuf::from("memory"),
            generation: None,
            bytes: Ok(bytes.clone()),
        };
        Ok(self.inner().saved.iter().rev().map(candidate).collect())
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let Save { generation, confirmed, bytes } = save;
        let mut inner = self.inner();
        inner.events.push(format!("save {generation} confirmed {confirmed}"));
        let path = path_of(generation);
        if inner.poisoned {
            return Err(SaveError::Poisoned { path });
        }
        let (act, source) = ("test", io::Error::other("as scripted"));
        match inner.next.pop() {
            None => {
                inner.saved.push(bytes.to_vec());
                Ok(())
            }
            Some(Outcome::NotSaved) => Err(SaveError::NotSaved { act, path, source }),
            Some(Outcome::InDoubt) => {
                inner.poisoned = true;
                Err(SaveError::InDoubt { act, path, source })
            }
        }
    }
}

fn path_of(generation: Generation) -> PathBuf {
    PathBuf::from(format!("memory-{generation}"))
}
