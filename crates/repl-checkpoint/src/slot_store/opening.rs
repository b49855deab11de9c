//! Opening a slot file, in a directory of its own or beside files of the engine.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::SlotStore;
use crate::directory::names::{
    SLOT_FILE, checkpoint_file_in, is_of_a_store, is_temp_of, longest_beside, of_directory,
    of_slot_file,
};
use crate::directory::{Directory, resolved};
use crate::disk::{Disk, OsDisk};
use crate::ids::StoreId;
use crate::store::OpenStoreError;

impl SlotStore {
    /// Opens and locks the directory `dir`, creating it and its parents if they are missing.
    ///
    /// The slot file in it is `marks.slots`.
    ///
    /// # Errors
    /// [`OpenStoreError`] if another store holds it, it belongs to a `FileStore`, or it is not a
    /// usable directory.
    pub fn open(dir: impl AsRef<Path>, store_id: StoreId) -> Result<Self, OpenStoreError> {
        Self::open_on(OsDisk, &resolved(dir.as_ref())?, store_id)
    }

    /// Opens the slot file `path`, in a directory that the engine has other files in.
    ///
    /// Missing parents are created. Beside the file are its lock, `<path>.lock`, and after the first
    /// save its marker, `<path>.marker`, which says that a checkpoint was saved; no store removes
    /// either. A save into a new file makes temporary files: `<path>.temp-<number>-<number>`, and
    /// the same for the marker. So no other file may have these names. The engine may copy, move
    /// and remove all of them together while no store has them open.
    ///
    /// # Errors
    /// [`OpenStoreError`] if another store holds it, or its name or directory is not usable. A name
    /// is not if a store gives it to one of its other files, or if it is so long that the names
    /// beside it would be too long: with names of 255 bytes, at most 201.
    ///
    /// ```
    /// use repl_checkpoint::{JsonCodec, OnCorrupt, SlotStore, StoreId, recover};
    /// use repl_core::ShardId;
    ///
    /// let database = tempfile::tempdir()?;
    /// let path = database.path().join("follower.marks");
    /// let store = SlotStore::open_file(&path, StoreId::UNNAMED)?;
    /// let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
    /// follower.checkpointer.checkpoint(|_| Ok(()))?;
    /// assert!(path.is_file());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_file(path: impl AsRef<Path>, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let path = path.as_ref();
        let refused = |reason| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, reason);
            OpenStoreError::Io { act: "open the slot file", path: path.to_owned(), source }
        };
        let name = path.file_name().filter(|name| !is_of_a_store(name)).ok_or_else(|| {
            refused(
                "it is not the name of a file, or it is a name that a store gives to its other files",
            )
        })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = resolved(parent.unwrap_or(Path::new(".")))?;
        if is_too_long(&dir, name) {
            return Err(refused("its name is too long: the names beside it are longer still"));
        }
        Self::open_file_on(OsDisk, &dir.join(name), store_id)
    }
}

/// Whether the name leaves no room for those of the files beside it, so that no save could succeed.
fn is_too_long(dir: &Path, name: &OsStr) -> bool {
    // A missing directory will be on the filesystem of the one above.
    let Some(existing) = dir.ancestors().find(|dir| dir.exists()) else { return false };
    let path = existing.join(longest_beside(name));
    OsDisk.kind(&path).is_err_and(|err| err.kind() == io::ErrorKind::InvalidFilename)
}

impl<D: Disk> SlotStore<D> {
    /// Opens a store on another disk: [`NoSync`](crate::NoSync), or one for tests.
    ///
    /// `dir` is used as given: make it absolute, or the store follows the working directory.
    ///
    /// # Errors
    /// As [`SlotStore::open`].
    pub fn open_on(disk: D, dir: &Path, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let (directory, names) = Directory::open(disk, dir, &of_directory(), dir)?; // 1 to 3
        if let Some(file) = checkpoint_file_in(&names) {
            let dir = dir.to_owned();
            return Err(OpenStoreError::OtherKind { dir, file, expected: "FileStore" });
        }
        Ok(Self::of(directory, &names, SLOT_FILE.into(), store_id))
    }

    /// Opens a slot file on another disk: [`NoSync`](crate::NoSync), or one for tests.
    ///
    /// `path` is used as given: make it absolute, or the store follows the working directory.
    ///
    /// # Errors
    /// As [`SlotStore::open_file`].
    pub fn open_file_on(disk: D, path: &Path, store_id: StoreId) -> Result<Self, OpenStoreError> {
        let dir = path.parent().unwrap_or(Path::new(""));
        let file = path.file_name().unwrap_or_default();
        if file == SLOT_FILE {
            return Self::open_on(disk, dir, store_id);
        }
        let (directory, names) = Directory::open(disk, dir, &of_slot_file(file), path)?; // 1 to 3
        Ok(Self::of(directory, &names, file.to_owned(), store_id))
    }

    fn of(directory: Directory<D>, names: &[OsString], file: OsString, store_id: StoreId) -> Self {
        directory.remove_temps(names, |name| is_temp_of(&file, name)); // 4
        SlotStore { directory, file, store_id, open: None, buffer: Vec::new(), poisoned: false }
    }
}
