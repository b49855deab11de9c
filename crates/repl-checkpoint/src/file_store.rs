//! One file per generation, never overwritten, renamed into place once it is complete.
//!
//! # Opening
//! 1. Create missing directories, and sync every parent up to the root: the process that made the
//!    existing ones may have died before its sync. Parents that this process may not sync are left
//!    to their owners.
//! 2. Lock `repl-checkpoint.lock`, which is never renamed and never removed.
//! 3. Keep the directory open.
//! 4. Under the lock, remove temporary files with the name pattern of this store.
//!
//! Opening writes no checkpoint and promises nothing about those that it finds. Loading reads them,
//! and refuses a checkpoint's path that is not a regular file.
//!
//! # Saving
//! 1. Create a new file under a unique temporary name.
//! 2. Write all of it.
//! 3. Sync the file.
//! 4. Rename it to its generation's name.
//! 5. Sync the directory.
//! 6. (The caller moves the checkpointed marks.)
//! 7. Remove generations older than the confirmed one.
//!
//! Up to step 3 a failure leaves nothing behind ([`SaveError::NotSaved`]). A file whose sync failed
//! is never synced again: the kernel has marked its pages clean, so a second sync may succeed
//! though they were never written. From step 4 on a failure is [`SaveError::InDoubt`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::names::{
    LOCK, checkpoint_file, generations_in, is_checkpoint_temp, slot_file_in,
};
use crate::directory::{Directory, resolved};
use crate::disk::{Disk, FileKind, OsDisk};
use crate::ids::{Generation, StoreId};
use crate::store::{Candidate, CheckpointStore, LoadError, OpenStoreError, Save, SaveError};

/// Keeps each checkpoint in a file of its own: the newest, and the one before it.
///
/// A save creates, writes, syncs and renames one file, and syncs the directory. A file is named by
/// its generation, such as `00000000000000000042.checkpoint`, and is complete: copy, read and
/// archive it as you like. One store at a time holds a directory, across all processes; other files
/// in it are left alone.
///
/// ```
/// use repl_checkpoint::{CheckpointStore, FileStore, OpenStoreError, StoreId};
///
/// let dir = tempfile::tempdir()?;
/// let mut store = FileStore::open(dir.path().join("marks"), StoreId::UNNAMED)?;
/// assert!(store.load()?.is_empty());
/// let second = FileStore::open(dir.path().join("marks"), StoreId::UNNAMED);
/// assert!(matches!(second, Err(OpenStoreError::Locked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore<D: Disk = OsDisk> {
    directory: Directory<D>,
    store_id: StoreId,
    /// The generations in the directory. The lock keeps others from adding any.
    kept: Vec<Generation>,
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
        let (directory, names) = Directory::open(disk, dir, LOCK.as_ref(), dir)?; // 1 to 3
        if let Some(file) = slot_file_in(&names) {
            let dir = dir.to_owned();
            return Err(OpenStoreError::OtherKind { dir, file, expected: "SlotStore" });
        }
        directory.remove_temps(names.iter().filter(|name| is_checkpoint_temp(name))); // 4
        Ok(FileStore { directory, store_id, kept: generations_in(&names), poisoned: false })
    }

    /// Returns the directory of the store.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    fn path(&self, generation: Generation) -> PathBuf {
        self.directory.path.join(checkpoint_file(generation))
    }

    /// Save step 7. A later save removes what cannot be removed now.
    fn remove_before(&mut self, confirmed: Generation) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|generation| {
            let remove = || self.directory.disk.remove(&self.path(*generation));
            *generation >= confirmed || remove().is_err_and(|e| e.kind() != io::ErrorKind::NotFound)
        });
        self.kept = kept;
    }
}

impl<D: Disk> CheckpointStore for FileStore<D> {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let io = |act, path: &Path, source| LoadError::Io { act, path: path.to_owned(), source };
        let names = self
            .directory
            .disk
            .list(&self.directory.path)
            .map_err(|err| io("list", &self.directory.path, err))?;
        self.kept = generations_in(&names);
        let mut newest_first = self.kept.clone();
        newest_first.sort_unstable_by(|a, b| b.cmp(a));
        let candidate = |generation| {
            let path = self.path(generation);
            let found =
                match self.directory.disk.kind(&path).map_err(|err| io("look at", &path, err))? {
                    FileKind::File => {
                        let bytes = self.directory.disk.read(&path);
                        return Ok(Candidate { path, generation: Some(generation), bytes });
                    }
                    FileKind::Dir => "a directory",
                    FileKind::Symlink => "a symbolic link",
                    FileKind::Other => "neither a file nor a directory",
                };
            Err(LoadError::NotAFile { path, found })
        };
        newest_first.into_iter().map(candidate).collect()
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.directory.path.clone() });
        }
        self.directory.check_process()?;
        let name = checkpoint_file(save.generation);
        let (temp, _) = self.directory.write_temp(name.as_ref(), save.bytes)?; // 1 to 3
        self.poisoned = true;
        self.directory.publish(&temp, &self.path(save.generation))?; // 4 and 5
        self.poisoned = false;
        self.kept.push(save.generation);
        self.remove_before(save.confirmed);
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
