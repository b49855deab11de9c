//! One file per generation, never overwritten, renamed into place once it is complete.
//!
//! # Opening
//! 1. Create missing directories, and sync the parents of those that it created.
//! 2. Lock `repl-checkpoint.lock`, which is never renamed and never removed.
//! 3. Keep the directory open.
//! 4. Under the lock, remove temporary files with the name pattern of this store.
//!
//! Opening writes no checkpoint and promises nothing about those that it finds. Loading reads them,
//! the newest first and one at a time, and refuses a checkpoint's path that is not a regular file.
//!
//! # Saving
//! Before the first save of a process, every other directory above is synced, up to the root: the
//! process that made them may have died before its sync. Those that this process may not sync are
//! left to their owners.
//! 1. Create a new file under a unique temporary name.
//! 2. Write all of it.
//! 3. Sync the file.
//! 4. Check that the lock file and the directory are still at their paths.
//! 5. Rename the file to its generation's name.
//! 6. Sync the directory.
//! 7. If there is no marker yet, create it, and sync the directory again. From then on a directory
//!    without a checkpoint has lost what it held, and is not taken for a new one. A marker that was
//!    found is replaced before the first save of a process, as it may be in the cache alone.
//! 8. Check that the lock file, the directory and the new file are at their paths.
//! 9. (The caller moves the checkpointed marks.)
//! 10. Remove what is older than the confirmed generation, and what is older than the generation
//!     before the one that recovery used.
//!
//! Up to step 4 a failing call leaves nothing behind ([`SaveError::NotSaved`]). A file whose sync failed
//! is never synced again: the kernel has marked its pages clean, so a second sync may succeed
//! though they were never written. From step 5 on a failure is [`SaveError::InDoubt`].
//!
//! If the check of step 4 or 8 fails, another store may have opened ([`SaveError::Replaced`]). It
//! has found all that this store acknowledged. This store replaces nothing that it saved: the other
//! one has removed the temporary file, so a rename fails that comes after step 4. A lock file that
//! is moved away and put back is not noticed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::names::{
    checkpoint_file, generations_in, is_checkpoint_temp, of_directory, slot_file_in,
};
use crate::directory::{Directory, resolved};
use crate::disk::{Disk, OsDisk};
use crate::ids::{Generation, StoreId};
use crate::reading::read_checkpoint;
use crate::store::{
    Candidate, Candidates, CheckpointStore, LoadError, OpenStoreError, Save, SaveError,
};

/// Keeps each checkpoint in a file of its own: the newest, and the one before it.
///
/// After the first save of a process there are three: the new one, the one that recovery used, and
/// the one before that.
///
/// A save creates, writes, syncs and renames one file, and syncs the directory. A file is named by
/// its generation, such as `00000000000000000042.checkpoint`, and is complete: copy, read and
/// archive it as you like, together with `repl-checkpoint.marker`, which says that a checkpoint was
/// saved here. One store at a time holds a directory, across all processes; other files in it are
/// left alone.
///
/// ```
/// use repl_checkpoint::{CheckpointStore, FileStore, OpenStoreError, StoreId};
///
/// let dir = tempfile::tempdir()?;
/// let mut store = FileStore::open(dir.path().join("marks"), StoreId::UNNAMED)?;
/// assert!(store.load()?.next().is_none());
/// let second = FileStore::open(dir.path().join("marks"), StoreId::UNNAMED);
/// assert!(matches!(second, Err(OpenStoreError::Locked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore<D: Disk = OsDisk> {
    directory: Directory<D>,
    store_id: StoreId,
    /// The generations in the directory. The lock keeps others from adding any.
    kept: Vec<Generation>,
    /// The oldest generation that was loaded: recovery stops at the one that it uses.
    loaded: Generation,
    poisoned: bool,
}

impl FileStore {
    /// Opens and locks the directory `dir`, creating it and its parents if they are missing.
    ///
    /// # Errors
    /// [`OpenStoreError`] if another store holds it, or it is not a usable directory.
    pub fn open(dir: impl AsRef<Path>, store_id: StoreId) -> Result<Self, OpenStoreError> {
        Self::open_on(OsDisk, &resolved(dir.as_ref())?, store_id)
    }
}

impl<D: Disk> FileStore<D> {
    /// Opens a store on another disk: [`NoSync`](crate::NoSync), or one for tests.
    ///
    /// `dir` is used as given: make it absolute, or the store follows the working directory.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_on(disk: D, dir: &Path, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let (directory, names) = Directory::open(disk, dir, &of_directory(), dir)?; // 1 to 3
        if let Some(file) = slot_file_in(&names) {
            let dir = dir.to_owned();
            return Err(OpenStoreError::OtherKind { dir, file, expected: "SlotStore" });
        }
        directory.remove_temps(&names, is_checkpoint_temp); // 4
        Ok(FileStore {
            directory,
            store_id,
            kept: generations_in(&names),
            loaded: 0,
            poisoned: false,
        })
    }

    /// Returns the directory of the store.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    fn path(&self, generation: Generation) -> PathBuf {
        self.directory.path.join(checkpoint_file(generation))
    }

    /// Save steps 1 to 8.
    fn save_file(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        let name = checkpoint_file(save.generation);
        let write = self.directory.write_temp(name.as_ref(), |_, new| new.append(save.bytes));
        let (temp, file) = write?; // 1 to 4
        self.directory.publish(&temp, &file, &self.path(save.generation)) // 5 to 8
    }

    /// The generation before the one that recovery used. That one may be in the cache alone.
    fn before_loaded(&self) -> Generation {
        let older = self.kept.iter().filter(|generation| **generation < self.loaded);
        older.max().copied().unwrap_or(self.loaded)
    }

    /// Save step 10. A later save removes what cannot be removed now.
    fn remove_before(&mut self, oldest: Generation) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|generation| {
            let remove = || self.directory.disk.remove(&self.path(*generation));
            *generation >= oldest || remove().is_err_and(|e| e.kind() != io::ErrorKind::NotFound)
        });
        self.kept = kept;
    }

    /// Refuses what is not a regular file.
    fn check_kind(&self, path: &Path) -> Result<(), LoadError> {
        let kind = self.directory.disk.kind(path);
        match kind.map_err(|source| failed("look at", path, source))?.unless_file() {
            None => Ok(()),
            Some(found) => Err(LoadError::NotAFile { path: path.to_owned(), found }),
        }
    }
}

fn failed(act: &'static str, path: &Path, source: io::Error) -> LoadError {
    LoadError::Io { act, path: path.to_owned(), source }
}

impl<D: Disk> CheckpointStore for FileStore<D> {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let dir = &self.directory.path;
        let names = self.directory.disk.list(dir).map_err(|err| failed("list", dir, err))?;
        self.kept = generations_in(&names);
        self.kept.sort_unstable_by(|a, b| b.cmp(a));
        self.kept.iter().try_for_each(|generation| self.check_kind(&self.path(*generation)))?;
        if self.kept.is_empty() {
            self.directory.check_fresh()?;
        }
        let newest_first = self.kept.clone();
        Ok(Box::new(newest_first.into_iter().map(|generation| {
            self.loaded = generation;
            let path = self.path(generation);
            let bytes = read_checkpoint(&self.directory.disk, &path);
            Candidate { path, generation: Some(generation), bytes, deltas: Vec::new() }
        })))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.directory.path.clone() });
        }
        self.directory.check_process()?;
        if let Some(base) = save.base {
            return Err(SaveError::other_base(self.directory.path.clone(), base));
        }
        // Until the opposite is known.
        self.poisoned = true;
        let saved = self.save_file(&save);
        self.poisoned = saved.as_ref().is_err_and(SaveError::is_poisoning);
        saved?;
        self.kept.push(save.generation);
        let found = self.before_loaded();
        self.remove_before(save.confirmed.max(found)); // 10
        Ok(())
    }
}

impl<D: Disk> fmt::Debug for FileStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("dir", &self.directory.path)
            .field("store_id", &self.store_id)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
