//! A disk that counts the pages that are written.

use std::ffi::{OsStr, OsString};
use std::io::Result;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use repl_checkpoint::{Disk, FileKind, NoSync, OsDir, OsFile, OsLock};

const PAGE: u64 = 4096;

/// The disk of the operating system, without syncs, and the number of bytes in the pages that were
/// written. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Counted(Arc<AtomicU64>);

impl Counted {
    /// The number of bytes in the pages that were written.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, first: u64, end: u64) {
        self.0.fetch_add((end.div_ceil(PAGE) - first / PAGE) * PAGE, Ordering::Relaxed);
    }
}

impl Disk for Counted {
    type File = OsFile;
    type Dir = OsDir;
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> Result<()> {
        NoSync.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> Result<OsDir> {
        NoSync.open_dir(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        NoSync.list(dir)
    }

    fn kind(&self, path: &Path) -> Result<FileKind> {
        NoSync.kind(path)
    }

    fn length(&self, path: &Path) -> Result<u64> {
        NoSync.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
        NoSync.read_at(path, offset, length)
    }

    fn create_new(&self, path: &Path) -> Result<OsFile> {
        NoSync.create_new(path)
    }

    fn write(&self, file: &mut OsFile, bytes: &[u8]) -> Result<usize> {
        let written = NoSync.write(file, bytes)?;
        self.add(0, written as u64);
        Ok(written)
    }

    fn sync_file(&self, file: &OsFile) -> Result<()> {
        NoSync.sync_file(file)
    }

    fn write_at(&self, file: &OsFile, offset: u64, bytes: &[u8]) -> Result<usize> {
        let written = NoSync.write_at(file, offset, bytes)?;
        self.add(offset, offset + written as u64);
        Ok(written)
    }

    fn sync_data(&self, file: &OsFile) -> Result<()> {
        NoSync.sync_data(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        NoSync.rename(from, to)
    }

    fn sync_dir(&self, dir: &OsDir) -> Result<()> {
        NoSync.sync_dir(dir)
    }

    fn sync_parent(&self, path: &Path) -> Result<()> {
        NoSync.sync_parent(path)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        NoSync.remove(path)
    }

    fn try_lock(&self, path: &Path) -> Result<Option<OsLock>> {
        NoSync.try_lock(path)
    }

    fn dir_is_at(&self, dir: &OsDir, path: &Path) -> Result<bool> {
        NoSync.dir_is_at(dir, path)
    }

    fn lock_is_in(&self, lock: &OsLock, dir: &OsDir, name: &OsStr) -> Result<bool> {
        NoSync.lock_is_in(lock, dir, name)
    }

    fn file_is_in(&self, file: &OsFile, dir: &OsDir, name: &OsStr) -> Result<bool> {
        NoSync.file_is_in(file, dir, name)
    }
}
