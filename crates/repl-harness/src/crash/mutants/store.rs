//! Mutants between the checkpointer and the store.

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Generation, Header, JsonCodec, LoadError,
    OpenStoreError, Save, SaveError, StoreId,
};

use super::{Mutant, read_mutated, write_mutated};
use crate::crash::disk::SimDisk;
use crate::crash::watched::Watched;

/// Opens the store again.
type Open = Box<dyn Fn(&SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> + Send>;

/// A store that forwards every call, with one mutation.
pub(crate) struct MutantStore {
    store: Watched,
    open: Open,
    mutant: Mutant,
    /// The generation of the last save.
    last: Generation,
}

impl MutantStore {
    pub(crate) fn new(
        store: Watched,
        mutant: Mutant,
        open: impl Fn(&SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> + Send + 'static,
    ) -> Self {
        MutantStore { store, open: Box::new(open), mutant, last: 0 }
    }

    /// Whether a save in doubt is reported as not saved.
    fn hides(&self, act: &str) -> bool {
        match self.mutant {
            Mutant::InDoubtHidden => true,
            Mutant::FailedWriteHidden => act.starts_with("write"),
            _ => false,
        }
    }

    /// The same checkpoint sealed as another generation.
    fn renumbered(&self, save: &Save<'_>, generation: Generation) -> Option<Vec<u8>> {
        let (_, checkpoint) = Checkpoint::unseal(&JsonCodec, self.store_id(), save.bytes).ok()?;
        let confirmed = save.confirmed.min(generation.saturating_sub(1));
        let header = Header { store: self.store_id(), generation, confirmed };
        checkpoint.seal(&JsonCodec, header).ok()
    }
}

impl CheckpointStore for MutantStore {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let mut candidates = self.store.load()?;
        for candidate in &mut candidates {
            candidate.bytes = match std::mem::replace(&mut candidate.bytes, Ok(Vec::new())) {
                Ok(bytes) => Ok(read_mutated(self.mutant, &bytes)),
                failed => failed,
            };
        }
        let store = self.store_id();
        candidates.retain(|candidate| match (self.mutant, &candidate.bytes) {
            (Mutant::EmptyIsAbsent, Ok(bytes)) => !bytes.is_empty(),
            (Mutant::CorruptSkipped, Ok(bytes)) => {
                Checkpoint::unseal(&JsonCodec, store, bytes).is_ok()
            }
            _ => true,
        });
        Ok(candidates)
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let Save { generation, confirmed, bytes } = save;
        let written = write_mutated(self.mutant, bytes);
        let saved = match self.mutant {
            Mutant::GenerationReused => {
                let again = if self.last == 0 { generation } else { self.last };
                self.last = again;
                let written = self.renumbered(&save, again).unwrap_or(written);
                let confirmed = confirmed.min(again - 1);
                self.store.save(Save { generation: again, confirmed, bytes: &written })
            }
            Mutant::OneGeneration => {
                self.store.save(Save { generation, confirmed: generation, bytes: &written })
            }
            _ => self.store.save(Save { generation, confirmed, bytes: &written }),
        };
        match saved {
            Err(SaveError::InDoubt { act, path, source }) if self.hides(act) => {
                self.store.reopen(&self.open);
                Err(SaveError::NotSaved { act, path, source })
            }
            other => other,
        }
    }

    fn max_torn(&self) -> usize {
        match self.mutant {
            Mutant::TornSlotFatal => 0,
            Mutant::TwoTornAccepted => 2,
            _ => self.store.max_torn(),
        }
    }
}
