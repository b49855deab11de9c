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

mod open;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Kind, OsDisk};
use crate::envelope::{Generation, StoreId};
use crate::store::{Candidate, CheckpointStore, LoadError, Save, SaveError};

pub use self::open::OpenStoreError;
use self::open::{create_dirs, failed, resolved};

const LOCK: &str = "LOCK";
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
    disk: D,
    /// Absolute and without symbolic links, so that it stays the directory that is locked whatever
    /// becomes of the working directory or of a link.
    dir: PathBuf,
    open_dir: D::Dir,
    _lock: D::Lock,
    store_id: StoreId,
    /// The generations in the directory: under the lock nobody else adds any.
    kept: Vec<Generation>,
    poisoned: bool,
    temp_names: u64,
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
        create_dirs(&disk, dir)?; // 1
        let lock_path = dir.join(LOCK);
        let lock = disk.try_lock(&lock_path).map_err(|err| match err.kind() {
            io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: dir.to_owned() },
            _ => failed("lock", &lock_path)(err),
        })?; // 2
        let lock = lock.ok_or_else(|| OpenStoreError::Locked { dir: dir.to_owned() })?;
        let open_dir = disk.open_dir(dir).map_err(failed("open", dir))?; // 3
        let names = disk.list(dir).map_err(failed("list", dir))?;
        for temp in names.iter().filter(|name| is_temp_name(name.to_str())) {
            // One that cannot be removed is in nobody's way: every save takes a name of its own.
            let _ = disk.remove(&dir.join(temp)); // 4
        }
        Ok(FileStore {
            disk,
            dir: dir.to_owned(),
            open_dir,
            _lock: lock,
            store_id,
            kept: generations_in(&names),
            poisoned: false,
            temp_names: 0,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, generation: Generation) -> PathBuf {
        self.dir.join(format!("{generation:020}.{EXTENSION}"))
    }

    /// Save steps 1 to 3: the temporary file, whole and durable but for its name.
    fn write_temp(&mut self, save: &Save<'_>) -> Result<PathBuf, SaveError> {
        let (path, mut file) = self.create_temp(save.generation)?; // 1
        let synced = write_all(&self.disk, &mut file, save.bytes) // 2
            .map_err(|err| ("write", err))
            .and_then(|()| self.disk.sync_file(&file).map_err(|err| ("sync", err))); // 3
        drop(file);
        match synced {
            Ok(()) => Ok(path),
            Err((act, source)) => {
                // Whatever is left of it has a name that no other save uses and no load reads.
                let _ = self.disk.remove(&path);
                Err(SaveError::NotSaved { act, path, source })
            }
        }
    }

    fn create_temp(&mut self, generation: Generation) -> Result<(PathBuf, D::File), SaveError> {
        let process = std::process::id();
        loop {
            let name = format!("{generation:020}.{EXTENSION}.temp-{process}-{}", self.temp_names);
            let path = self.dir.join(name);
            self.temp_names += 1;
            match self.disk.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(SaveError::NotSaved { act: "create", path, source });
                }
            }
        }
    }

    /// Save steps 4 and 5: the name, durable too.
    fn publish(&mut self, temp: &Path, generation: Generation) -> Result<(), SaveError> {
        let path = self.path(generation);
        self.poisoned = true;
        if let Err(source) = self.disk.rename(temp, &path) {
            return Err(SaveError::InDoubt { act: "rename a new checkpoint to", path, source }); // 4
        }
        if let Err(source) = self.disk.sync_dir(&self.open_dir) {
            let path = self.dir.clone();
            return Err(SaveError::InDoubt { act: "sync the directory", path, source }); // 5
        }
        self.poisoned = false;
        Ok(())
    }

    /// Save step 7. What cannot be removed now is removed by a later save.
    fn remove_before(&mut self, confirmed: Generation) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.retain(|generation| {
            let remove = || self.disk.remove(&self.path(*generation));
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
        let names = self.disk.list(&self.dir).map_err(|err| io("list", &self.dir, err))?;
        self.kept = generations_in(&names);
        let mut newest_first = self.kept.clone();
        newest_first.sort_unstable_by(|a, b| b.cmp(a));
        let candidate = |generation| {
            let path = self.path(generation);
            let found = match self.disk.kind(&path).map_err(|err| io("look at", &path, err))? {
                Kind::File => {
                    let bytes = self.disk.read(&path);
                    return Ok(Candidate { path, generation: Some(generation), bytes });
                }
                Kind::Dir => "a directory",
                Kind::Symlink => "a symbolic link",
                Kind::Other => "neither a file nor a directory",
            };
            Err(LoadError::NotAFile { path, found })
        };
        newest_first.into_iter().map(candidate).collect()
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.dir.clone() });
        }
        let temp = self.write_temp(&save)?;
        self.publish(&temp, save.generation)?;
        self.kept.push(save.generation);
        self.remove_before(save.confirmed);
        Ok(())
    }
}

impl<D: Disk> fmt::Debug for FileStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("dir", &self.dir)
            .field("store_id", &self.store_id)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

/// Save step 2: a short write goes on, an interrupted one is tried again, and one that takes
/// nothing is an error.
fn write_all<D: Disk>(disk: &D, file: &mut D::File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
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
fn is_temp_name(name: Option<&str>) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    name.and_then(|name| name.split_once(".temp-")).is_some_and(|(checkpoint, unique)| {
        generation_of(checkpoint).is_some()
            && unique.split_once('-').is_some_and(|(pid, n)| number(pid) && number(n))
    })
}
