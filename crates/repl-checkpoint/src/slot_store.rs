//! Three slots in one preallocated file, each with a chain of a checkpoint and deltas: one write and
//! one data sync a save.
//!
//! # Opening
//! Steps 1 to 4 of a [`FileStore`](crate::FileStore). A directory that holds its files is refused.
//!
//! Opening reads and writes no checkpoint. It does not create the slot file: the first save does,
//! and fills every slot. So a slot of zeros is always damage.
//!
//! # Saving
//! N and P are the slots of the two highest generations, and T is the third. In place, from the
//! second save of a process on:
//! 1. Write a whole checkpoint over T, and 0xff over the rest of a longer older chain; or a delta
//!    behind the chain of P.
//! 2. Check that the lock file and the directory are still at their paths.
//! 3. Sync the data of the file.
//! 4. Check that the slot file is still at its path.
//!
//! From step 1 on a failure is [`SaveError::InDoubt`]: a failed write may still have reached the
//! cache whole, and [`SaveError::NotSaved`] promises that no later recovery finds it. If step 2
//! or 4 fails, another store may have opened; the first save of that one goes into a new file,
//! which this store does not write to. One that opens after step 2 finds what step 1 has written.
//!
//! On Linux the disk begins to write a delta before step 2, and writes while the store looks.
//!
//! Into a new file, by steps 1 to 8 of a `FileStore`'s save and with the same failures: the two
//! newest whole chains and the new checkpoint. A save takes this way if it is the first of its
//! process, if it does not fit a slot, or if T holds what must be kept.
//!
//! What a process finds may be in the cache alone, and no sync proves the opposite. In place, one
//! power cut could lose both the newest checkpoint that it found and the one that it writes; into a
//! new file, everything kept is written and synced again. From then on every slot except the one
//! being written holds what this process has synced, so a crash damages one slot at most. N is never
//! written to: each of the two newest generations is in a slot of its own.

mod candidates;
mod chain;
mod found;
mod in_memory;
mod opening;
mod page;
mod part;
mod pool;
mod reader;
mod rotation;
mod saving;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::Directory;
use crate::disk::{Disk, FileKind, OsDisk};
use crate::envelope::DeltaLine;
use crate::ids::StoreId;
use crate::store::{Candidates, CheckpointStore, DeltaBase, LoadError, Save, SaveError};

pub(crate) use self::candidates::{FoundCandidates, Location};
use self::found::SlotFile;
pub(crate) use self::found::store_of;
pub(crate) use self::in_memory::{
    is_slot_file, other_slot_version, slot_file_length, whole_chains,
};
use self::page::PAGE;
use self::rotation::Slots;

const SLOTS: usize = 3;

/// Keeps checkpoints in three slots of one preallocated file, `marks.slots`.
///
/// A save is one write and one data sync, several times faster than a save of a
/// [`FileStore`](crate::FileStore): take this store for many saves a second, and that one for files
/// that people copy, read and archive. Both make the same promises, and one store at a time holds a
/// directory, across all processes.
///
/// The first save of a process costs as much as a save of a `FileStore`: it replaces the file by an
/// atomic rename. So does a save that no longer fits its slot. The file is about five times as long
/// as the checkpoint that its slots were laid out for; if that takes between one page and 256 KiB,
/// up to 384 KiB longer, so that whole checkpoints are seldom written among deltas.
///
/// From the third save of a process on, a save that finds little changed writes only that: a
/// *delta*, behind the checkpoint that it builds on, in the same slot. A
/// [`SaveReport`](crate::SaveReport) says which saves were deltas. A save neither overwrites nor
/// extends the newest checkpoint. Recovery reads the headers of all slots, and the payloads of the
/// checkpoint and the deltas that it takes.
///
/// After a crash [`recover`](crate::recover()) passes over one torn slot, even with
/// [`OnCorrupt::Fail`](crate::OnCorrupt::Fail), and reports
/// [`Source::FellBack`](crate::Source::FellBack). A torn slot looks like damage to the newest
/// checkpoint, but the retention floor never passed the one before it. Damage to more than one slot
/// is an error, as in a `FileStore`.
///
/// The file stays open from the first save of a process on. If it is removed or replaced under a
/// running store, the next save fails ([`SaveError::Replaced`]): stop the follower before you
/// restore a file.
///
/// ```
/// use repl_checkpoint::{JsonCodec, OnCorrupt, SlotStore, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let open = || SlotStore::open(dir.path().join("marks"), StoreId::UNNAMED);
/// let mut follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// for mark in 1..=100 {
///     follower.state.advance(ShardId(1), mark);
///     follower.checkpointer.checkpoint(|_| Ok(()))?;
/// }
/// drop(follower);
/// assert_eq!(std::fs::metadata(dir.path().join("marks/marks.slots"))?.len(), 4 * 4096);
/// let follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// assert_eq!(follower.state.applied_seqno(ShardId(1)), Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SlotStore<D: Disk = OsDisk> {
    directory: Directory<D>,
    /// The name of the slot file.
    file: OsString,
    store_id: StoreId,
    /// The slot file that this process made in its first save.
    open: Option<Slots<D::File>>,
    /// The bytes of a save and the unused ones after them.
    buffer: Vec<u8>,
    poisoned: bool,
}

impl<D: Disk> SlotStore<D> {
    /// Returns the directory of the store.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    /// Returns the path of the slot file, which the first save creates.
    pub fn path(&self) -> PathBuf {
        self.directory.path.join(&self.file)
    }

    /// Reads the headers in the slot file, or returns `None` if there is none.
    fn read(&self) -> Result<Option<SlotFile>, LoadError> {
        let path = self.path();
        match self.directory.disk.kind(&path).map(FileKind::unless_file) {
            Ok(None) => SlotFile::read(&self.directory.disk, &path, self.store_id).map(Some),
            Ok(Some(found)) => Err(LoadError::NotAFile { path, found }),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LoadError::Io { act: "look at", path, source }),
        }
    }
}

impl<D: Disk> CheckpointStore for SlotStore<D> {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let Some(file) = self.read()? else {
            self.directory.check_fresh()?;
            return Ok(Box::new(std::iter::empty()));
        };
        Ok(Box::new(FoundCandidates::new(file, &self.directory.disk, self.path())))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.directory.path.clone() });
        }
        self.directory.check_process()?;
        let slots = self.open.as_ref();
        let delta = match save.base {
            None if DeltaLine::of(save.bytes).is_some() => {
                return Err(SaveError::without_base(self.path()));
            }
            None => None,
            Some(base) => match slots.and_then(|slots| slots.with_delta(&save)) {
                None => return Err(SaveError::other_base(self.path(), base)),
                found => found,
            },
        };
        let target = slots.and_then(|slots| slots.target(&save));
        // Until the opposite is known.
        self.poisoned = true;
        let saved = match (delta, target) {
            (Some((slot, after)), _) => self.append(&save, slot, after),
            (None, Some(slot)) => self.overwrite(&save, slot),
            (None, None) => self.move_to_new_file(&save),
        };
        self.poisoned = saved.as_ref().is_err_and(SaveError::is_poisoning);
        saved
    }

    fn max_torn(&self) -> usize {
        1
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        self.open.as_ref().filter(|_| !self.poisoned)?.delta_base()
    }
}

impl<D: Disk> fmt::Debug for SlotStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotStore")
            .field("dir", &self.directory.path)
            .field("store_id", &self.store_id)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

/// What is in a slot file of this store, without a lock.
pub(crate) fn candidates_in<'a, D: Disk>(
    disk: &'a D,
    path: &Path,
    store: StoreId,
) -> Result<FoundCandidates<'a, D>, LoadError> {
    Ok(FoundCandidates::new(SlotFile::read(disk, path, store)?, disk, path.to_owned()))
}

/// The offset of a slot.
fn offset(slot: usize, size: usize) -> usize {
    PAGE + slot * size
}
