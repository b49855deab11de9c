//! What a store is given and gives back, noted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::{
    Candidate, CheckpointStore, Generation, LoadError, Save, SaveError, StoreId,
};

use super::disk::{SimDisk, hash_bytes};
use super::protocol::{Protocol, STORE, slot_file};

/// What was noted. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Seen>>);

#[derive(Default)]
pub(crate) struct Seen {
    /// Each file's generation, and the hash of its bytes.
    pub(crate) loaded: Vec<(Generation, u128)>,
    pub(crate) saves: Vec<Attempt>,
}

/// One save, however it ended.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) generation: Generation,
    pub(crate) bytes: u128,
    /// How many calls the disk had seen when it began.
    pub(crate) calls: usize,
}

impl Notes {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store under watch.
pub(crate) struct Watched {
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) disk: SimDisk,
    pub(crate) notes: Notes,
}

impl Watched {
    /// Lets go of the store, lock and all, and opens it once more.
    pub(crate) fn open_again(&mut self, protocol: Protocol) {
        self.store = Box::new(Closed);
        if let Ok(store) = protocol.open(&self.disk) {
            self.store = store;
        }
    }
}

impl CheckpointStore for Watched {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let candidates = self.store.load()?;
        let note = |candidate: &Candidate| {
            let bytes = candidate.bytes.as_ref().ok()?;
            Some((candidate.generation?, hash_bytes(bytes)))
        };
        self.notes.seen().loaded = candidates.iter().filter_map(note).collect();
        Ok(candidates)
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        self.notes.seen().saves.push(Attempt {
            generation: save.generation,
            bytes: hash_bytes(save.bytes),
            calls: self.disk.call_count(),
        });
        self.store.save(save)
    }

    fn max_torn(&self) -> usize {
        self.store.max_torn()
    }
}

/// No store.
struct Closed;

impl CheckpointStore for Closed {
    fn store_id(&self) -> StoreId {
        STORE
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        Ok(Vec::new())
    }

    fn save(&mut self, _: Save<'_>) -> Result<(), SaveError> {
        Err(SaveError::Poisoned { path: slot_file() })
    }
}
