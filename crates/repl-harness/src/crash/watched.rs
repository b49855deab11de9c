//! A store whose loads and saves are recorded.

use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{
    Candidate, Candidates, CheckpointStore, DeltaBase, Generation, LoadError, OpenStoreError, Save,
    SaveError, StoreId,
};
use repl_core::Snapshot;

use super::disk::{SimDisk, hash_bytes, hash128};
use super::layout::{STORE_ID, slot_file};
use crate::locked::locked;

/// What was recorded. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Recorded>>);

#[derive(Default)]
pub(crate) struct Recorded {
    /// The generation of each candidate that was loaded, and the hash of its chain.
    pub(crate) loaded: Vec<(Generation, u128)>,
    pub(crate) saves: Vec<Attempt>,
    /// The exact length of the next sealed checkpoint; 0 for as long as it is.
    pub(crate) length: usize,
    /// The same for the record of a delta.
    pub(crate) delta: usize,
    /// What a mutant writes in the next save, in place of its marks.
    pub(crate) instead: Option<Snapshot>,
}

/// One save, whatever its result.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) generation: Generation,
    /// The hash of its bytes; of a delta, that of its chain.
    pub(crate) bytes: u128,
    pub(crate) is_delta: bool,
    /// The number of calls to the disk before it began.
    pub(crate) calls: usize,
}

/// The hash of a checkpoint and the deltas that build on it, each byte for byte.
pub(crate) fn hash_chain(bytes: &[u8], deltas: &[Vec<u8>]) -> u128 {
    deltas.iter().fold(hash_bytes(bytes), |before, delta| hash_delta(before, delta))
}

/// The hash of a chain with one more delta.
fn hash_delta(before: u128, delta: &[u8]) -> u128 {
    hash128(&(before, hash_bytes(delta)))
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
            Some((candidate.generation?, hash_chain(bytes, &candidate.deltas)))
        };
        let notes = &self.notes;
        notes.lock().loaded.clear();
        Ok(Box::new(candidates.inspect(move |read| notes.lock().loaded.extend(note(read)))))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let (generation, calls) = (save.generation, self.disk.call_count());
        {
            let mut recorded = self.notes.lock();
            let of_base = |base| {
                let base = recorded.saves.iter().rfind(|save| save.generation == base);
                base.map_or(0, |base| base.bytes)
            };
            let bytes = match save.base {
                None => hash_bytes(save.bytes),
                Some(base) => hash_delta(of_base(base), save.bytes),
            };
            let is_delta = save.base.is_some();
            recorded.saves.push(Attempt { generation, bytes, is_delta, calls });
        }
        self.store.save(save)
    }

    fn max_torn(&self) -> usize {
        self.store.max_torn()
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        self.store.delta_base()
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
