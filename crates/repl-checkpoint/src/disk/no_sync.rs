//! A disk whose syncs do nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::{Disk, FileKind, OsDir, OsDisk, OsFile, OsLock};

/// The disk of the operating system, without syncs: **a power cut may lose acknowledged saves**.
///
/// For engines that sync nothing themselves and rebuild a follower after a power cut. Checksums,
/// atomic replacement and the lock are as on an [`OsDisk`], and the death of the process loses
/// nothing. After a power cut recovery may find an older checkpoint, damage, or nothing at all, and
/// floors that were returned may be above what it finds.
///
/// ```
/// use repl_checkpoint::{JsonCodec, NoSync, OnCorrupt, SlotStore, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let store = SlotStore::open_on(NoSync, dir.path(), StoreId::UNNAMED)?;
/// let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// follower.checkpointer.checkpoint(|_| Ok(()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSync;

impl Disk for NoSync {
    type File = OsFile;
    type Dir = OsDir;
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<OsDir> {
        OsDisk.open_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        OsDisk.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        OsDisk.kind(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        OsDisk.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        OsDisk.read_at(path, offset, length)
    }

    fn create_new(&self, path: &Path) -> io::Result<OsFile> {
        OsDisk.create_new(path)
    }

    fn write(&self, file: &mut OsFile, bytes: &[u8]) -> io::Result<usize> {
        OsDisk.write(file, bytes)
    }

    fn sync_file(&self, _: &OsFile) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, file: &OsFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        OsDisk.write_at(file, offset, bytes)
    }

    fn sync_data(&self, _: &OsFile) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn sync_dir(&self, _: &OsDir) -> io::Result<()> {
        Ok(())
    }

    fn sync_parent(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        OsDisk.try_lock(path)
    }

    fn dir_is_at(&self, dir: &OsDir, path: &Path) -> io::Result<bool> {
        OsDisk.dir_is_at(dir, path)
    }

    fn lock_is_in(&self, lock: &OsLock, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        OsDisk.lock_is_in(lock, dir, name)
    }

    fn file_is_in(&self, file: &OsFile, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        OsDisk.file_is_in(file, dir, name)
    }
}
