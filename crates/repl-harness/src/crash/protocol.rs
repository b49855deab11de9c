//! The production code, unchanged, on a simulated disk; or with one thing done wrong around it.

use std::fmt;
use std::path::{Path, PathBuf};

use repl_checkpoint::{
    CheckpointStore, Disk, FileStore, Floors, JsonCodec, OnCorrupt, OpenStoreError, RecoverError,
    Recovered, SlotStore, StoreId, recover,
};
use repl_core::ShardId;

use super::disk::SimDisk;
use super::reader;
use super::sabotage::{Ahead, Sabotage, WrongDisk, WrongStore};
use super::watched::{Notes, Watched};

pub(crate) const STORE: StoreId = StoreId(0x00c0_ffee);
/// The store's directory: neither it nor its parent is there at first.
pub(crate) const DIR: &str = "/data/marks";
/// Where a `SlotStore` keeps everything.
pub(crate) const SLOT_FILE: &str = "/data/marks/marks.slots";
/// Its first page, and how many slots follow: docs/format.md.
pub(crate) const PAGE: usize = 4096;
pub(crate) const SLOTS: usize = 3;

/// Which store is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Store {
    /// A [`FileStore`]: a file a generation.
    Files,
    /// A [`SlotStore`]: three slots of one file, written in place.
    Slots,
}

impl Store {
    /// All of them.
    pub const ALL: &[Store] = &[Store::Files, Store::Slots];
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Store::Files => "FileStore",
            Store::Slots => "SlotStore",
        })
    }
}

/// Opens a store of your own on a disk, in a directory that may be missing, under a name.
pub type OpenStore =
    fn(SimDisk, &Path, StoreId) -> Result<Box<dyn CheckpointStore>, OpenStoreError>;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) store: Store,
    pub(crate) wrong: Option<Sabotage>,
    /// In the place of `store`.
    pub(crate) own: Option<OpenStore>,
}

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
    pub(crate) fn of(store: Store, wrong: Option<Sabotage>) -> Self {
        Protocol { store, wrong, own: None }
    }

    /// How many damaged checkpoints a crash may leave above the newest whole one.
    pub(crate) fn left_by_a_crash(self) -> usize {
        match (self.own, self.store) {
            // As many as it says itself: of more, recovery tells.
            (Some(_), _) => usize::MAX,
            (None, Store::Files) => 0,
            (None, Store::Slots) => 1,
        }
    }

    pub(crate) fn open(self, disk: &SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        if let Some(open) = self.own {
            return open(disk.clone(), Path::new(DIR), STORE);
        }
        match self.wrong {
            None => self.open_on(disk.clone()),
            Some(wrong) => self.open_on(WrongDisk::new(disk.clone(), wrong, Path::new(DIR))),
        }
    }

    fn open_on<D: Disk + 'static>(
        self,
        disk: D,
    ) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let dir = Path::new(DIR);
        Ok(match self.store {
            Store::Files => Box::new(FileStore::open_on(disk, dir, STORE)?),
            Store::Slots => Box::new(SlotStore::open_on(disk, dir, STORE)?),
        })
    }

    pub(crate) fn recover(
        self,
        disk: &SimDisk,
        shards: &[ShardId],
        on_corrupt: OnCorrupt,
    ) -> Result<(Recovered, Notes), Refused> {
        let notes = Notes::default();
        let store = self.open(disk)?;
        let watched = Watched { store, disk: disk.clone(), notes: notes.clone() };
        let recovered = match self.wrong {
            None => recover(watched, JsonCodec, shards, on_corrupt)?,
            Some(wrong) => {
                let store = WrongStore::new(watched, self, wrong);
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
            match self.wrong {
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

    /// What a process makes of a file's bytes: equal where nothing that it does can differ, but for
    /// the text of an error.
    pub(crate) fn verdict(self, file: &[u8]) -> u128 {
        match self.store {
            Store::Files => reader::of_checkpoint(self.wrong, file),
            Store::Slots => reader::of_slots(self.wrong, file),
        }
    }
}

/// Whether a file of this name holds a checkpoint that a process would read.
pub(crate) fn is_kept(path: &Path) -> bool {
    path == Path::new(SLOT_FILE) || path.extension().is_some_and(|e| e == "checkpoint")
}

/// The slot file's path.
pub(crate) fn slot_file() -> PathBuf {
    PathBuf::from(SLOT_FILE)
}
