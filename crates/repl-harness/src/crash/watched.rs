//! A store whose loads and saves are recorded.

use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{
    Candidate, Candidates, CheckpointStore, Generation, LoadError, OpenStoreError, Save, SaveError,
    StoreId,
};
use repl_core::Snapshot;

use super::disk::{SimDisk, hash_bytes};
use super::layout::{STORE_ID, slot_file};
use crate::locked::locked;

/// What was recorded. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Recorded>>);

#[derive(Default)]
pub(crate) struct Recorded {
    /// Each loaded file's generation, and the hash of its bytes.
    pub(crate) loaded: Vec<(Generation, u128)>,
    pub(crate) saves: Vec<Attempt>,
    /// The exact length of the next sealed checkpoint; 0 for as long as it is.
    pub(crate) length: usize,
    /// What a mutant writes in the next save, in place of its marks.
    pub(crate) instead: Option<Snapshot>,
}

/// One save, whatever its result.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) generation: Generation,
    /// The hash of its bytes.
    pub(crate) bytes: u128,
    /// The number of calls to the disk before it began.
    pub(crate) calls: usize,
}

impl Notes {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Recorded> {
        locked(&self.0)
    }
}

/// A store that records what it is given and what it returns.
pub(crate) struct Watched {
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) disk: SimDisk,
    pub(crate) notes: Notes,
}

impl Watched {
    /// Drops the store with its lock and opens it again.
    pub(crate) fn reopen(
        &mut self,
        open: impl FnOnce(&SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError>,
    ) {
        self.store = Box::new(Closed);
        if let Ok(store) = open(&self.disk) {
            self.store = store;
        }
    }
}

impl CheckpointStore for Watched {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let candidates = self.store.load()?;
        let note = |candidate: &Candidate| {
            let bytes = candidate.bytes.as_ref().ok()?;
            Some((candidate.generation?, hash_bytes(bytes)))
        };
        let notes = &self.notes;
        notes.lock().loaded.clear();
        Ok(Box::new(candidates.inspect(move |read| notes.lock().loaded.extend(note(read)))))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        self.notes.lock().saves.push(Attempt {
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

/// A store that holds nothing and saves nothing.
struct Closed;

impl CheckpointStore for Closed {
    fn store_id(&self) -> StoreId {
        STORE_ID
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn save(&mut self, _: Save<'_>) -> Result<(), SaveError> {
        Err(SaveError::Poisoned { path: slot_file() })
    }
}
