//! The calls that a store makes to the disk.

mod no_sync;
mod os;

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;

pub use self::no_sync::NoSync;
pub use self::os::{OsDir, OsDisk, OsFile, OsLock};

/// A seam for tests: a simulated or faulty disk implements it in place of the real one.
///
/// Do not implement it for production: [`FileStore::open`](crate::FileStore::open) and
/// [`SlotStore::open`](crate::SlotStore::open) use [`OsDisk`]. To keep checkpoints elsewhere than
/// in a local directory, implement [`CheckpointStore`](crate::CheckpointStore) instead.
///
/// A store reaches the disk by these calls alone, so a test sees every one of them. Each may fail
/// with any [`io::Error`]. An implementation does not retry a short or interrupted write; the store
/// does.
#[expect(clippy::missing_errors_doc, reason = "every call: whatever the operating system says")]
pub trait Disk: Send {
    /// A file open for writing.
    type File: Send;
    /// A directory kept open, to sync it.
    type Dir: Send;
    /// Holds a lock until it is dropped or the process dies.
    type Lock: Send;

    /// Creates one directory, open to its owner alone; its parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a directory, to sync it later.
    fn open_dir(&self, path: &Path) -> io::Result<Self::Dir>;
    /// Returns the names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
    /// Returns what is at `path`, without following a symbolic link.
    fn kind(&self, path: &Path) -> io::Result<FileKind>;
    /// Returns the length of a file in bytes.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Returns `length` bytes of a file from `offset` on, or fewer if the file ends before.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Returns a number for the names of the temporary files of one store.
    ///
    /// No two stores that are open at a time may have the same. Numbers of processes may be equal,
    /// in containers, so the default is random.
    fn temp_number(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
    /// Creates a file, readable and writable by its owner alone; fails if the path exists.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;
    /// Appends some of `bytes` and returns how many.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;
    /// Makes the contents and all metadata of a file durable, but not its name.
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    /// Overwrites the file at `offset` with some of `bytes` and returns how many.
    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Asks the system to begin to write these bytes of a file to the device, and does not wait: a
    /// hint, which may do nothing. The data is durable after [`sync_data`](Disk::sync_data) alone.
    fn begin_sync(&self, _file: &Self::File, _offset: u64, _length: usize) {}
    /// Makes the contents of a file durable, and the metadata that is needed to read them.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file within its directory, atomically replacing a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()>;
    /// Makes the names in the directory at `path` durable, unless they are known to be.
    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        self.sync_dir(&self.open_dir(path)?)
    }
    /// Fails if directories of the filesystem of `dir` cannot be synced, as far as this is known
    /// before the first save.
    fn can_sync_dir(&self, _dir: &Self::Dir) -> io::Result<()> {
        Ok(())
    }
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Locks the regular file at `path`, or returns `None` if another store holds the lock.
    ///
    /// Creates the file if it is missing. The lock is on the file that is at `path` when the call
    /// returns.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
    /// Returns whether an open directory is still the one at `path`; false if nothing is there.
    fn dir_is_at(&self, dir: &Self::Dir, path: &Path) -> io::Result<bool>;
    /// Returns whether the locked file still has this name in the open directory `dir`.
    fn lock_is_in(&self, lock: &Self::Lock, dir: &Self::Dir, name: &OsStr) -> io::Result<bool>;
    /// Returns whether an open file still has this name in the open directory `dir`.
    fn file_is_in(&self, file: &Self::File, dir: &Self::Dir, name: &OsStr) -> io::Result<bool>;
}

/// The kind of file at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, a socket or a pipe.
    Other,
}

impl FileKind {
    /// What it is, in messages; `None` for a regular file.
    pub(crate) fn unless_file(self) -> Option<&'static str> {
        match self {
            FileKind::File => None,
            FileKind::Dir => Some("a directory"),
            FileKind::Symlink => Some("a symbolic link"),
            FileKind::Other => Some("neither a file nor a directory"),
        }
    }
}
