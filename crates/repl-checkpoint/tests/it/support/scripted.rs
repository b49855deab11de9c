//! A store in memory that records its calls and fails on request.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{
    Candidate, Candidates, Checkpoint, CheckpointStore, Generation, Header, JsonCodec, LoadError,
    OnCorrupt, Recovered, Save, SaveError, StoreId, Track, recover,
};
use repl_core::{SeqNo, ShardId};

use super::STORE;

/// Clones share one store.
#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Inner>>);

/// Generations and their bytes, the newest last.
pub(crate) type Kept = Vec<(Generation, Vec<u8>)>;

#[derive(Default)]
struct Inner {
    events: Vec<String>,
    saved: Kept,
    next: Vec<Outcome>,
    poisoned: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    NotSaved,
    /// The bytes are not there.
    InDoubt,
    /// The bytes are there.
    InDoubtButThere,
    /// The first of the bytes are there.
    InDoubtAndTorn,
    /// A panic before anything is written.
    Panic,
    /// A panic after all is written.
    PanicButThere,
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
        Checkpoint::unseal(&JsonCodec, STORE, &self.inner().saved.last().unwrap().1).unwrap()
    }

    /// The mark of a shard in the newest save.
    pub(crate) fn mark(&self, shard: u64) -> Option<SeqNo> {
        self.newest().1.shard(ShardId(shard)).map(|s| s.mark)
    }

    pub(crate) fn recovered(&self, shards: &[u64]) -> Recovered {
        let shards: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
        self.track(&shards)
    }

    /// Recovers what a process finds that starts now.
    pub(crate) fn track(&self, track: impl Into<Track>) -> Recovered {
        recover(self.open().unwrap(), JsonCodec, track, OnCorrupt::Fail).unwrap()
    }

    /// Opens it again.
    #[expect(clippy::unnecessary_wraps, reason = "has the signature that an open must have")]
    pub(crate) fn open(&self) -> Result<Self, Infallible> {
        self.inner().poisoned = false;
        Ok(self.clone())
    }

    /// Changes what is kept, as another process does.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut self.inner().saved);
    }

    /// A copy of what is kept now, in a store of its own.
    pub(crate) fn copy(&self) -> Self {
        let copy = Scripted::default();
        copy.inner().saved.clone_from(&self.inner().saved);
        copy
    }
}

use Outcome::{InDoubt, InDoubtAndTorn, InDoubtButThere, NotSaved, Panic, PanicButThere};

impl CheckpointStore for Scripted {
    fn store_id(&self) -> StoreId {
        STORE
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let candidate = |(generation, bytes): &(Generation, Vec<u8>)| Candidate {
            path: path_of(*generation),
            generation: Some(*generation),
            bytes: Ok(bytes.clone()),
            deltas: Vec::new(),
        };
        let all: Vec<Candidate> = self.inner().saved.iter().rev().map(candidate).collect();
        Ok(Box::new(all.into_iter()))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let Save { generation, confirmed, bytes, .. } = save;
        let mut inner = self.inner();
        inner.events.push(format!("save {generation} confirmed {confirmed}"));
        let path = path_of(generation);
        if inner.poisoned {
            return Err(SaveError::Poisoned { path });
        }
        let (act, source) = ("test", io::Error::other("as scripted"));
        let outcome = inner.next.pop();
        if matches!(outcome, None | Some(InDoubtButThere | PanicButThere)) {
            inner.saved.push((generation, bytes.to_vec()));
        }
        if matches!(outcome, Some(InDoubtAndTorn)) {
            inner.saved.push((generation, bytes[..bytes.len() / 2].to_vec()));
        }
        inner.poisoned = matches!(outcome, Some(InDoubt | InDoubtButThere | InDoubtAndTorn));
        drop(inner); // before the panic
        match outcome {
            None => Ok(()),
            Some(NotSaved) => Err(SaveError::NotSaved { act, path, source }),
            Some(InDoubt | InDoubtButThere | InDoubtAndTorn) => {
                Err(SaveError::InDoubt { act, path, source })
            }
            Some(Panic | PanicButThere) => panic!("as scripted"),
        }
    }
}

fn path_of(generation: Generation) -> PathBuf {
    PathBuf::from(format!("memory-{generation}"))
}
