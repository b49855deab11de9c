//! A directory of checkpoint files, one a generation, each replaced by nothing and renamed into
//! place whole.
//!
//! # Opening
//! 1. Create missing directories, and sync every parent up to the root: whoever made those that
//!    were there may have died before that. Parents that this process may not sync are left to
//!    their owners.
//! 2. Lock `LOCK`, which is never renamed and never removed.
//! 3. Keep the directory open.
//! 4. Under the lock, remove temporary files of this store's own name pattern.
//!
//! Opening writes no checkpoint and promises nothing about those that it finds. Loading reads them,
//! and refuses anything but a regular file in the place of one.
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
//! is never synced again: the kernel marks its pages clean, so a second sync may say that all is
//! well when it is not. From step 4 on a failure is [`SaveError::InDoubt`].

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::{Directory, OpenStoreError, named_by_temp, resolved};
use crate::disk::{Disk, FileKind, OsDisk};
use crate::envelope::{Generation, StoreId};
use crate::slot_store;
use crate::store::{Candidate, CheckpointStore, LoadError, Save, SaveError};

const EXTENSION: &str = "checkpoint";

/// Keeps checkpoints as files in a directory of its own: the newest and the one before it.
///
/// Files are named by generation, `00000000000000000042.checkpoint`, and are plain bytes: copy,
/// read and archive them as you like. Only one `FileStore` at a time holds a directory, in this or
/// any other process.
///
/// A save costs one file created, written, synced and renamed, and one sync of the directory.
/// Other files in the directory are left alone.
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
    /// The generations in the directory: under the lock nobody else adds any.
    kept: Vec<Generation>,
    poisoned: bool,
}

impl FileStore {
    /// Opens the directory `dir`, creating it and its parents where they are missing, and locks it.
    ///
    /// # Errors
    /// [`OpenStoreError`]: it is locked by another, is no directory, or cannot be used.
    pub fn open(dir: impl AsRef<Path>, store_id: StoreId) -> Result<Self, OpenStoreError> {
        Self::open_on(OsDisk, &resolved(dir.as_ref())?, store_id)
    }
}

impl<D: Disk> FileStore<D> {
    /// The same on another disk, for instance a simulated one. `dir` is used as it is.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_on(disk: D, dir: &Path, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let (directory, names) = Directory::open(disk, dir)?; // 1 to 3
        if let Some(file) = slot_store::slot_file_in(&names) {
            let dir = dir.to_owned();
            return Err(OpenStoreError::OtherKind { dir, file, expected: "SlotStore" });
        }
        directory.remove_temps(names.iter().filter(|name| is_temp_name(name))); // 4
        Ok(FileStore { directory, store_id, kept: generations_in(&names), poisoned: false })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    fn path(&self, generation: Generation) -> PathBuf {
        self.directory.path.join(name_of(generation))
    }

    /// Save step 7. What cannot be removed now is removed by a later save.
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
        let name = name_of(save.generation);
        let (temp, _) = self.directory.write_temp(&name, save.bytes)?; // 1 to 3
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

fn name_of(generation: Generation) -> String {
    format!("{generation:020}.{EXTENSION}")
}

/// The name of a checkpoint file among `names`, if there is one.
pub(crate) fn checkpoint_file_in(names: &[OsString]) -> Option<String> {
    let newest = names.iter().filter_map(|name| generation_of(name.to_str()?)).max()?;
    Some(name_of(newest))
}

fn generations_in(names: &[OsString]) -> Vec<Generation> {
    names.iter().filter_map(|name| generation_of(name.to_str()?)).collect()
}

/// The generation of a checkpoint file's name; `None` for every other name.
fn generation_of(name: &str) -> Option<Generation> {
    let digits = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let of_twenty_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if of_twenty_digits { digits.parse().ok() } else { None }
}

/// Whether `name` is `<20 digits>.checkpoint.temp-<digits>-<digits>`.
fn is_temp_name(name: &OsString) -> bool {
    named_by_temp(name).is_some_and(|checkpoint| generation_of(checkpoint).is_some())
}
