//! The production code on a simulated disk, unchanged or with one mutant around it.

use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, Disk, FileStore, Floors, OnCorrupt, OpenStoreError, RecoverError, Recovered,
    SlotStore, StoreId, recover,
};
use repl_core::ShardId;

use super::disk::SimDisk;
use super::kind::StoreKind;
use super::layout::{DIR, STORE_ID};
use super::mutants::{AheadCodec, Mutant, MutantDisk, MutantStore, Opened};
use super::padded::PaddedCodec;
use super::verdict;
use super::watched::{Notes, Watched};

/// Opens a store of your own on a disk, in a directory that may be missing.
pub type OpenStore =
    fn(SimDisk, &Path, StoreId) -> Result<Box<dyn CheckpointStore>, OpenStoreError>;

/// What a process runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) store: StoreKind,
    pub(crate) mutant: Option<Mutant>,
    /// Takes the place of `store`.
    pub(crate) own: Option<OpenStore>,
}

/// Why recovery returned no follower.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// The marks that were returned for each shard.
pub(crate) struct Claims {
    pub(crate) checkpointed: Vec<Option<u64>>,
    pub(crate) floors: Vec<Option<u64>>,
}

impl Protocol {
    pub(crate) fn of(store: StoreKind, mutant: Option<Mutant>) -> Self {
        Protocol { store, mutant, own: None }
    }

    /// The most damaged checkpoints that a crash may leave above the newest whole one.
    pub(crate) fn max_torn(self) -> usize {
        match (self.own, self.store) {
            // The store's own `max_torn` decides: recovery fails if there are more.
            (Some(_), _) => usize::MAX,
            (None, StoreKind::Files) => 0,
            (None, StoreKind::Slots) => 1,
        }
    }

    pub(crate) fn open(self, disk: &SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        if let Some(open) = self.own {
            return open(disk.clone(), Path::new(DIR), STORE_ID);
        }
        match self.mutant {
            None => self.open_on(disk.clone()),
            Some(mutant) => self.open_on(MutantDisk::new(disk.clone(), mutant, Path::new(DIR))),
        }
    }

    fn open_on<D: Disk + 'static>(
        self,
        disk: D,
    ) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let dir = Path::new(DIR);
        Ok(match self.store {
            StoreKind::Files => Box::new(FileStore::open_on(disk, dir, STORE_ID)?),
            StoreKind::Slots => Box::new(SlotStore::open_on(disk, dir, STORE_ID)?),
        })
    }

    pub(crate) fn recover(
        self,
        disk: &SimDisk,
        shards: &[ShardId],
        on_corrupt: OnCorrupt,
    ) -> Result<(Recovered, Notes), Refused> {
        let notes = Notes::default();
        let store = self.open_watched(disk, &notes, Opened::First)?;
        let recovered = if self.mutant == Some(Mutant::MarksAhead) {
            recover(store, AheadCodec, shards, on_corrupt)?
        } else {
            recover(store, PaddedCodec(Some(notes.clone())), shards, on_corrupt)?
        };
        Ok((recovered, notes))
    }

    /// Opens the store of a process, first or again.
    pub(crate) fn open_watched(
        self,
        disk: &SimDisk,
        notes: &Notes,
        opened: Opened,
    ) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let store = self.open(disk)?;
        let watched = Watched { store, disk: disk.clone(), notes: notes.clone() };
        Ok(match self.mutant {
            None => Box::new(watched),
            Some(mutant) => {
                Box::new(MutantStore::new(watched, mutant, opened, move |disk| self.open(disk)))
            }
        })
    }

    /// The marks that users of the floors see. `found` are those in the store when it was opened
    /// last.
    pub(crate) fn claims(
        self,
        found: &[u64],
        opened: Opened,
        floors: &Floors,
        shards: &[ShardId],
    ) -> Claims {
        let claim = |shard: &ShardId, found: &u64| {
            let checkpointed = floors.checkpointed(*shard);
            let floor = floors.retention_floor(*shard);
            match (self.mutant, opened) {
                (Some(Mutant::FloorsAtOpen), Opened::First)
                | (Some(Mutant::FloorsAtReopen), Opened::Again) => {
                    (checkpointed.or(Some(*found)), floor.or(Some(*found)))
                }
                (Some(Mutant::FloorOfNewest), _) => (checkpointed, checkpointed),
                _ => (checkpointed, floor),
            }
        };
        let claims = shards.iter().zip(found).map(|(shard, found)| claim(shard, found));
        let (checkpointed, floors) = claims.unzip();
        Claims { checkpointed, floors }
    }

    /// What a process makes of a file's bytes. Two files with equal verdicts lead to the same
    /// behavior, except for the text of an error.
    pub(crate) fn verdict(self, file: &[u8]) -> u128 {
        match self.store {
            StoreKind::Files => verdict::of_checkpoint(self.mutant, file),
            StoreKind::Slots => verdict::of_slots(self.mutant, file),
        }
    }
}
