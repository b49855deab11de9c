//! A disk of a process that dies: from some call on, every call fails and does nothing.
//!
//! What a process has written outlives it, so nothing is synced.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use repl_checkpoint::{Disk, FileKind, OsDir, OsDisk, OsFile, OsLock};

/// The real disk, up to a call.
#[derive(Clone)]
pub(super) struct DyingDisk {
    left: Arc<AtomicUsize>,
}

impl DyingDisk {
    /// Makes this many calls.
    pub(super) fn after(calls: usize) -> Self {
        DyingDisk { left: Arc::new(AtomicUsize::new(calls)) }
    }

    /// Whether the process has died.
    pub(super) fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn call<T>(&self, call: impl FnOnce(OsDisk) -> io::Result<T>) -> io::Result<T> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => call(OsDisk),
            Err(_) => Err(io::Error::other("the process has died")),
        }
    }
}

impl Disk for DyingDisk {
    type File = OsFile;
    type Dir = OsDir;
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|disk| disk.create_dir(path))
    }

    fn open_dir(&self, path: &Path) -> io::Result<OsDir> {
        self.call(|disk| disk.open_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.call(|disk| disk.list(dir))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.call(|disk| disk.kind(path))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.call(|disk| disk.length(path))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call(|disk| disk.read_at(path, offset, length))
    }

    fn create_new(&self, path: &Path) -> io::Result<OsFile> {
        self.call(|disk| disk.create_new(path))
    }

    fn write(&self, file: &mut OsFile, bytes: &[u8]) -> io::Result<usize> {
        // Half of it, so that a file may be cut off.
        let taken = bytes.len().div_ceil(2);
        self.call(|disk| disk.write(file, &bytes[..taken]))
    }

    fn sync_file(&self, _: &OsFile) -> io::Result<()> {
        self.call(|_| Ok(()))
    }

    fn write_at(&self, file: &OsFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().div_ceil(2);
        self.call(|disk| disk.write_at(file, offset, &bytes[..taken]))
    }

    fn sync_data(&self, _: &OsFile) -> io::Result<()> {
        self.call(|_| Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|disk| disk.rename(from, to))
    }

    fn sync_dir(&self, _: &OsDir) -> io::Result<()> {
        self.call(|_| Ok(()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|disk| disk.remove(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        self.call(|disk| disk.try_lock(path))
    }

    fn dir_is_at(&self, dir: &OsDir, path: &Path) -> io::Result<bool> {
        self.call(|disk| disk.dir_is_at(dir, path))
    }

    fn lock_is_in(&self, lock: &OsLock, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        self.call(|disk| disk.lock_is_in(lock, dir, name))
    }

    fn file_is_in(&self, file: &OsFile, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        self.call(|disk| disk.file_is_in(file, dir, name))
    }
}
