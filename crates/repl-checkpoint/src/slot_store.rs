//! One preallocated file of three slots, written in turn: a save is one write and one data sync.
//!
//! # Opening
//! 1. to 4. As a [`FileStore`](crate::FileStore); refuse a directory that holds its files.
//!
//! Opening reads no checkpoint, writes none, and creates no slot file: that comes into being with
//! the first save, whole. So there is no slot file of which nothing was saved, and slots of zeros
//! are damage.
//!
//! # Saving
//! In place, from the second save of a process on:
//! 1. Write the envelope over the slot after the newest one, and zeros over what an older one had
//!    left beyond it.
//! 2. Sync the data of the file.
//!
//! From step 1 on a failure is [`SaveError::InDoubt`]: the kernel may have taken all that matters of
//! a write that failed, and [`SaveError::NotSaved`] promises that no later recovery finds it.
//!
//! Into a new file, by steps 1 to 5 of a `FileStore`'s save and with what its failures mean: the
//! slots of the two newest whole checkpoints and of the new one. That is the first save of every
//! process, one whose marks have outgrown their slots, and one that finds in the next slot what must
//! be kept.
//!
//! What a process finds may be in the cache alone, whatever a sync says now. In place, the newest
//! checkpoint that it found and the one that it was writing could both be lost in one power cut; in
//! a new file all that is kept is written and synced again. From then on every slot but the one that
//! is written holds what this process has synced, so that a crash leaves one damaged slot at most.

mod found;
mod page;
mod turn;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::{Directory, OpenStoreError, all_written, named_by_temp, resolved};
use crate::disk::{Disk, FileKind, OsDisk};
use crate::envelope::StoreId;
use crate::file_store;
use crate::store::{Candidate, CheckpointStore, LoadError, Save, SaveError};

use self::found::SlotFile;
pub use self::page::SlotFileError;
use self::page::{PAGE, first_page};
use self::turn::{Slot, Slots};

const NAME: &str = "marks.slots";
const SLOTS: usize = 3;

/// Keeps checkpoints in three slots of one preallocated file, `marks.slots`, in a directory of its
/// own: one write and one data sync a save.
///
/// Take it for many saves a second: it is several times faster than a
/// [`FileStore`](crate::FileStore). Take that one for files that people copy, read and archive one by
/// one, and where a directory may hold more than the newest checkpoints. Both make the same promises;
/// only one store at a time holds a directory, in this or any other process.
///
/// A save never touches the newest checkpoint nor the confirmed one. What a crash leaves of an
/// unfinished one is passed over by [`recover`](crate::recover()), even with
/// [`OnCorrupt::Fail`](crate::OnCorrupt::Fail), and reported as
/// [`Source::FellBack`](crate::Source::FellBack): it cannot be told from damage to the newest
/// checkpoint, but no segment was deleted on the word of that one. Damage to more than one is an
/// error as in a `FileStore`.
///
/// The file stays open from the first save of a process on: one that is removed, or replaced by a copy,
/// under a running store is not noticed before the marks outgrow their slots. Stop the follower before
/// you restore one.
///
/// The first save of a process costs as much as one of a `FileStore`: it replaces the file, by atomic
/// rename, with one that is all its own. So does one that the marks have outgrown the slots with. The
/// file is about five times as long as what it held when its slots were laid out.
///
/// ```
/// use std::convert::Infallible;
/// use repl_checkpoint::{JsonCodec, OnCorrupt, SlotStore, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let open = || SlotStore::open(dir.path().join("marks"), StoreId::UNNAMED);
/// let mut follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// for mark in 1..=100 {
///     follower.state.advance(ShardId(1), mark);
///     follower.checkpointer.checkpoint(|_| Ok::<(), Infallible>(()))?;
/// }
/// drop(follower);
/// assert_eq!(std::fs::metadata(dir.path().join("marks/marks.slots"))?.len(), 4 * 4096);
/// let follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// assert_eq!(follower.state.applied_seqno(ShardId(1)), Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SlotStore<D: Disk = OsDisk> {
    directory: Directory<D>,
    store_id: StoreId,
    /// The slot file that this process has made, from its first save on.
    open: Option<Slots<D::File>>,
    /// The bytes of a save with the zeros behind them.
    buffer: Vec<u8>,
    poisoned: bool,
}

impl SlotStore {
    /// Opens the directory `dir`, creating it and its parents where they are missing, and locks it.
    ///
    /// # Errors
    /// [`OpenStoreError`]: it is locked by another, is no directory, is a `FileStore`'s, or cannot
    /// be used.
    pub fn open(dir: impl AsRef<Path>, store_id: StoreId) -> Result<Self, OpenStoreError> {
        Self::open_on(OsDisk, &resolved(dir.as_ref())?, store_id)
    }
}

impl<D: Disk> SlotStore<D> {
    /// The same on another disk, for instance a simulated one. `dir` is used as it is.
    ///
    /// # Errors
    /// As [`SlotStore::open`].
    pub fn open_on(disk: D, dir: &Path, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let (directory, names) = Directory::open(disk, dir)?; // 1 to 3
        if let Some(file) = file_store::checkpoint_file_in(&names) {
            let dir = dir.to_owned();
            return Err(OpenStoreError::OtherKind { dir, file, expected: "FileStore" });
        }
        directory.remove_temps(names.iter().filter(|name| named_by_temp(name) == Some(NAME))); // 4
        Ok(SlotStore { directory, store_id, open: None, buffer: Vec::new(), poisoned: false })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    fn path(&self) -> PathBuf {
        self.directory.path.join(NAME)
    }

    /// Reads the slot file; `None` where there is none.
    fn read(&self) -> Result<Option<SlotFile>, LoadError> {
        let path = self.path();
        let found = match self.directory.disk.kind(&path) {
            Ok(FileKind::File) => {
                let bytes = self.directory.disk.read(&path);
                let bytes = bytes.map_err(|source| io_error("read", &path, source))?;
                let file = SlotFile::of(bytes, self.store_id);
                return file.map(Some).map_err(|reason| LoadError::Slots { path, reason });
            }
            Ok(FileKind::Dir) => "a directory",
            Ok(FileKind::Symlink) => "a symbolic link",
            Ok(FileKind::Other) => "neither a file nor a directory",
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("look at", &path, source)),
        };
        Err(LoadError::NotAFile { path, found })
    }

    /// In place: save steps 1 and 2.
    fn overwrite(&mut self, save: &Save<'_>, target: usize) -> Result<(), SaveError> {
        let path = self.path();
        let Some(slots) = &mut self.open else {
            return self.move_to_new_file(save);
        };
        let slot = &mut slots.all[target];
        let length = save.bytes.len().max(slot.reach).next_multiple_of(PAGE);
        self.buffer.clear();
        self.buffer.extend_from_slice(save.bytes);
        self.buffer.resize(length, 0);
        let (disk, file) = (&self.directory.disk, &slots.file);
        let start = offset(target, slots.size);
        self.poisoned = true;
        all_written(&self.buffer, |rest, taken| disk.write_at(file, (start + taken) as u64, rest)) // 1
            .map_err(|err| ("write a slot of", err))
            .and_then(|()| disk.sync_data(file).map_err(|err| ("sync", err))) // 2
            .map_err(|(act, source)| SaveError::InDoubt { act, path, source })?;
        self.poisoned = false;
        *slot = Slot { generation: save.generation, reach: save.bytes.len() };
        slots.newest = target;
        Ok(())
    }

    /// Into a new file, with the two newest whole checkpoints of the one that is there.
    fn move_to_new_file(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        let path = self.path();
        let old = self.read().map_err(not_saved)?;
        let mut kept = old.as_ref().map(SlotFile::whole).unwrap_or_default();
        if old.is_some() && kept.is_empty() {
            let source = io::Error::other("none of its slots is whole, and nothing is reset");
            return Err(SaveError::NotSaved { act: "replace", path, source });
        }
        // Left out of the new file, its damage would never be found, and a floor that rests on it
        // would be given out.
        let newest = kept.first().map(|(generation, _)| *generation);
        if self.open.as_ref().is_some_and(|slots| newest != Some(slots.newest_generation())) {
            let source = io::Error::other(
                "its newest checkpoint is gone or damaged: open the store again to recover",
            );
            return Err(SaveError::NotSaved { act: "replace", path, source });
        }
        kept.truncate(SLOTS - 1);
        kept.reverse();
        kept.push((save.generation, save.bytes));
        // A slot that nothing is left for repeats another, so that zeros are always damage.
        while kept.len() < SLOTS {
            kept.insert(0, kept[0]);
        }
        let longest = kept.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
        let size = old.as_ref().map(SlotFile::size).filter(|size| *size >= longest);
        let size = size.unwrap_or_else(|| (longest + longest / 2).next_multiple_of(PAGE));
        let mut image = first_page(self.store_id, size);
        image.resize(offset(SLOTS, size), 0);
        let mut all = [Slot { generation: 0, reach: 0 }; SLOTS];
        for (i, (generation, bytes)) in kept.into_iter().enumerate() {
            let start = offset(i, size);
            image[start..start + bytes.len()].copy_from_slice(bytes);
            all[i] = Slot { generation, reach: bytes.len() };
        }
        let (temp, file) = self.directory.write_temp(NAME, &image)?; // 1 to 3
        self.poisoned = true;
        self.directory.publish(&temp, &path)?; // 4 and 5
        self.poisoned = false;
        self.open = Some(Slots { file, size, all, newest: SLOTS - 1 });
        Ok(())
    }
}

impl<D: Disk> CheckpointStore for SlotStore<D> {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let path = self.path();
        Ok(self.read()?.map(|file| file.candidates(&path)).unwrap_or_default())
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.directory.path.clone() });
        }
        match self.open.as_ref().and_then(|slots| slots.target(&save)) {
            Some(target) => self.overwrite(&save, target),
            None => self.move_to_new_file(&save),
        }
    }

    fn max_torn(&self) -> usize {
        1
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

/// Where a slot begins.
fn offset(slot: usize, size: usize) -> usize {
    PAGE + slot * size
}

/// The slot file's name, if it is among `names`.
pub(crate) fn slot_file_in(names: &[OsString]) -> Option<String> {
    names.iter().any(|name| name == NAME).then(|| NAME.to_owned())
}

fn io_error(act: &'static str, path: &Path, source: io::Error) -> LoadError {
    LoadError::Io { act, path: path.to_owned(), source }
}

/// A slot file that cannot be read is not replaced.
fn not_saved(error: LoadError) -> SaveError {
    match error {
        LoadError::Io { act, path, source } => SaveError::NotSaved { act, path, source },
        LoadError::NotAFile { ref path, .. } | LoadError::Slots { ref path, .. } => {
            let path = path.clone();
            SaveError::NotSaved { act: "replace", path, source: io::Error::other(error) }
        }
        LoadError::Store(source) => {
            let source = io::Error::other(source);
            SaveError::NotSaved { act: "read", path: PathBuf::from(NAME), source }
        }
    }
}
