//! Mutants between the checkpointer and the store.

use repl_checkpoint::{
    Candidate, Candidates, Checkpoint, CheckpointStore, DeltaBase, Generation, Header, LoadError,
    OpenStoreError, Save, SaveError, StoreId,
};
use repl_core::Snapshot;

use super::appended::{on_found, on_newest, write};
use super::deltas::{Rows, changes_rows};
use super::{Mutant, read_mutated};
use crate::crash::disk::SimDisk;
use crate::crash::layout::slot_file;
use crate::crash::padded::PLAIN;
use crate::crash::watched::{Attempt, Watched, hash_chain};

/// Opens the store again.
type Open = Box<dyn Fn(&SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> + Send>;

/// Whether a process opens its store for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    First,
    /// After a save in doubt.
    Again,
}

/// A store that forwards every call, with one mutation.
pub(crate) struct MutantStore {
    store: Watched,
    open: Open,
    mutant: Mutant,
    opened: Opened,
    /// The newest whole generation that was loaded.
    loaded: Generation,
    /// The generation of the last save.
    last: Generation,
    rows: Rows,
}

impl MutantStore {
    pub(crate) fn new(
        store: Watched,
        mutant: Mutant,
        opened: Opened,
        open: impl Fn(&SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> + Send + 'static,
    ) -> Self {
        MutantStore {
            store,
            open: Box::new(open),
            mutant,
            opened,
            loaded: 0,
            last: 0,
            rows: Rows::default(),
        }
    }

    fn is_again(&self, mutant: Mutant) -> bool {
        self.mutant == mutant && self.opened == Opened::Again
    }

    /// Whether a save in doubt is reported as not saved.
    fn hides(&self, act: &str) -> bool {
        match self.mutant {
            Mutant::InDoubtHidden => true,
            Mutant::FailedWriteHidden => act.starts_with("write"),
            _ => false,
        }
    }

    /// Saves the same checkpoint as another generation.
    fn save_as(&mut self, generation: Generation, save: &Save<'_>) -> Result<(), SaveError> {
        let store = self.store_id();
        let confirmed = save.confirmed.min(generation.saturating_sub(1));
        let header = Header { store, generation, confirmed };
        let sealed = Checkpoint::unseal(&PLAIN, store, save.bytes)
            .ok()
            .and_then(|(_, checkpoint)| checkpoint.seal(&PLAIN, header).ok());
        self.last = generation;
        match &sealed {
            Some(bytes) => self.store.save(Save { generation, confirmed, bytes, base: None }),
            None => self.store.save(*save),
        }
    }

    /// The slot file, without a call that may fail.
    fn there(&self) -> Option<Vec<u8>> {
        self.store.disk.state().files().get(&slot_file()).map(|file| file.bytes().to_vec())
    }

    /// Saves a delta, which the disk moves behind the newest checkpoint.
    fn save_on_newest(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        let moved = self.there().and_then(|file| on_newest(&file, save.bytes));
        let saved = self.store.save(*save);
        let mut notes = self.store.notes.lock();
        if let (Some(moved), Some(last)) = (moved, notes.saves.last_mut()) {
            last.bytes = moved.chain;
        }
        saved
    }

    /// Saves a delta behind a chain of the file that was found, where it fits.
    fn extend_found(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        self.last = save.generation;
        let calls = self.store.disk.call_count();
        let appended = self.there().and_then(|file| on_found(&file, self.store_id(), save));
        let Some(appended) = appended else { return self.store.save(*save) };
        let (generation, bytes) = (save.generation, appended.chain);
        self.store.notes.lock().saves.push(Attempt { generation, bytes, is_delta: true, calls });
        write(&self.store.disk, &appended)
    }

    /// Saves other marks as this generation.
    fn save_instead(&mut self, marks: &Snapshot, save: &Save<'_>) -> Result<(), SaveError> {
        let Save { generation, confirmed, bytes, .. } = *save;
        let header = Header { store: self.store_id(), generation, confirmed };
        let sealed = Checkpoint::of(marks).seal(&PLAIN, header);
        let bytes = sealed.as_deref().unwrap_or(bytes);
        self.store.save(Save { generation, confirmed, bytes, base: None })
    }
}

impl CheckpointStore for MutantStore {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let store = self.store_id();
        let again = self.is_again(Mutant::OthersPassedOver);
        let own: Vec<u128> = {
            let recorded = self.store.notes.lock();
            let saved = recorded.saves.iter().map(|save| save.bytes);
            recorded.loaded.iter().map(|(_, bytes)| *bytes).chain(saved).collect()
        };
        let (mutant, newest) = (self.mutant, &mut self.loaded);
        *newest = 0;
        let is_own = move |candidate: &Candidate| {
            let chain = |bytes: &Vec<u8>| hash_chain(bytes, &candidate.deltas);
            !again || candidate.bytes.as_ref().is_ok_and(|bytes| own.contains(&chain(bytes)))
        };
        let changed = move |candidate: Candidate| {
            let bytes = candidate.bytes.map(|bytes| read_mutated(mutant, &bytes));
            Candidate { bytes, ..candidate }
        };
        let header = move |candidate: &Candidate| {
            let Candidate { path, generation, bytes, deltas } = candidate;
            let (path, deltas) = (path.clone(), deltas.clone());
            let bytes = Ok(bytes.as_ref().ok()?.clone());
            let copy = Candidate { path, generation: *generation, bytes, deltas };
            copy.unseal(&PLAIN, store).ok().map(|(header, _)| header)
        };
        let is_seen = move |candidate: &Candidate| match (mutant, &candidate.bytes) {
            (Mutant::EmptyIsAbsent, Ok(bytes)) => !bytes.is_empty(),
            (Mutant::CorruptSkipped, Ok(_)) => header(candidate).is_some(),
            _ => true,
        };
        let seen = self.store.load()?.filter(is_own).map(changed).filter(is_seen);
        Ok(Box::new(seen.inspect(move |candidate| {
            *newest = (*newest).max(header(candidate).map_or(0, |header| header.generation));
        })))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let generation = save.generation;
        let instead = self.store.notes.lock().instead.take();
        let saved = match self.mutant {
            Mutant::SupersededSaved if instead.is_some() => {
                self.save_instead(&instead.unwrap_or_default(), &save)
            }
            Mutant::GenerationReused if self.last != 0 => self.save_as(self.last, &save),
            Mutant::GenerationReused => self.save_as(generation, &save),
            Mutant::DoubtfulGenerationReused if self.opened == Opened::Again => {
                self.save_as(self.last.max(self.loaded) + 1, &save)
            }
            Mutant::OneGeneration => self.store.save(Save { confirmed: generation, ..save }),
            Mutant::DeltaOnNewest if save.base.is_some() => self.save_on_newest(&save),
            Mutant::FoundExtended if self.last == 0 => self.extend_found(&save),
            mutant if changes_rows(mutant) => {
                let link = self.store.delta_base().map(|base| base.link);
                let instead = self.rows.instead(mutant, self.store_id(), link, &save);
                let bytes = instead.as_deref().unwrap_or(save.bytes);
                self.store.save(Save { bytes, ..save })
            }
            _ => self.store.save(save),
        };
        match saved {
            Err(SaveError::InDoubt { act, path, source }) if self.hides(act) => {
                self.store.reopen(&self.open);
                Err(SaveError::NotSaved { act, path, source })
            }
            other => other,
        }
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        self.store.delta_base()
    }

    fn max_torn(&self) -> usize {
        match self.mutant {
            Mutant::TornSlotFatal => 0,
            Mutant::TwoTornAccepted => 2,
            _ => self.store.max_torn(),
        }
    }
}
