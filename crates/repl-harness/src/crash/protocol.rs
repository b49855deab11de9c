//! The production code, unchanged, on a simulated disk; or with one thing done wrong around it.

use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, FileStore, Floors, JsonCodec, OnCorrupt, OpenStoreError, RecoverError,
    Recovered, StoreId, open, recover,
};
use repl_core::ShardId;

use super::disk::{SimDisk, hash_bytes, hash128};
use super::sabotage::{Ahead, Sabotage, WrongDisk, WrongStore, read_wrong};
use super::watched::{Notes, Watched};

pub(crate) const STORE: StoreId = StoreId(0x00c0_ffee);
/// The store's directory: neither it nor its parent is there at first.
pub(crate) const DIR: &str = "/data/marks";

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol(pub(crate) Option<Sabotage>);

/// Why there is no recovered follower.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// The marks that are given out for each shard.
pub(crate) struct Claims {
    pub(crate) checkpointed: Vec<Option<u64>>,
    pub(crate) floors: Vec<Option<u64>>,
}

impl Protocol {
    pub(crate) fn store(self, disk: &SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let dir = Path::new(DIR);
        Ok(match self.0 {
            None => Box::new(FileStore::open_on(disk.clone(), dir, STORE)?),
            Some(wrong) => {
                let disk = WrongDisk::new(disk.clone(), wrong, dir);
                Box::new(FileStore::open_on(disk, dir, STORE)?)
            }
        })
    }

    pub(crate) fn recover(
        self,
        disk: &SimDisk,
        shards: &[ShardId],
        on_corrupt: OnCorrupt,
    ) -> Result<(Recovered, Notes), Refused> {
        let notes = Notes::default();
        let store = self.store(disk)?;
        let watched = Watched { store, disk: disk.clone(), notes: notes.clone() };
        let recovered = match self.0 {
            None => recover(watched, JsonCodec, shards, on_corrupt)?,
            Some(wrong) => {
                let store = WrongStore::new(watched, wrong);
                if wrong == Sabotage::MarksAhead {
                    recover(store, Ahead, shards, on_corrupt)?
                } else {
                    recover(store, JsonCodec, shards, on_corrupt)?
                }
            }
        };
        Ok((recovered, notes))
    }

    /// What users of the floors are told.
    pub(crate) fn claims(self, found: &[u64], floors: &Floors, shards: &[ShardId]) -> Claims {
        let claim = |shard: &ShardId, found: &u64| {
            let checkpointed = floors.checkpointed(*shard);
            let floor = floors.retention_floor(*shard);
            match self.0 {
                Some(Sabotage::FloorsAtOpen) => {
                    (checkpointed.or(Some(*found)), floor.or(Some(*found)))
                }
                Some(Sabotage::FloorOfNewest) => (checkpointed, checkpointed),
                _ => (checkpointed, floor),
            }
        };
        let claims = shards.iter().zip(found).map(|(shard, found)| claim(shard, found));
        let (checkpointed, floors) = claims.unzip();
        Claims { checkpointed, floors }
    }

    /// What recovery makes of a file's bytes: equal where it cannot tell them apart, but for the
    /// text of an error. The store itself only passes them on.
    pub(crate) fn verdict(self, file: &[u8]) -> u128 {
        let wrong = self.0.map(|wrong| read_wrong(wrong, file));
        let bytes = wrong.as_deref().unwrap_or(file);
        match open(&JsonCodec, STORE, bytes) {
            Ok(_) => hash_bytes(file),
            Err(reason) => hash128(&(std::mem::discriminant(&reason), file.is_empty())),
        }
    }
}
