//! A disk with a look at every call before it is made; at a read after it.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use repl_checkpoint::{Disk, FileKind};

/// A call: its name and its number of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
}

/// Calls the function before each call of another disk.
#[derive(Clone)]
pub(crate) struct Hooked<D> {
    disk: D,
    hook: Arc<dyn Fn(Call) + Send + Sync>,
}

impl<D> Hooked<D> {
    pub(crate) fn new(disk: D, hook: impl Fn(Call) + Send + Sync + 'static) -> Self {
        Hooked { disk, hook: Arc::new(hook) }
    }

    fn at(&self, name: &'static str, bytes: usize) {
        (self.hook)(Call { name, bytes });
    }
}

impl<D: Disk> Disk for Hooked<D> {
    type File = D::File;
    type Dir = D::Dir;
    type Lock = D::Lock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.at("create_dir", 0);
        self.disk.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<D::Dir> {
        self.at("open_dir", 0);
        self.disk.open_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.at("list", 0);
        self.disk.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.at("kind", 0);
        self.disk.kind(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.at("length", 0);
        self.disk.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.disk.read_at(path, offset, length)?;
        self.at("read_at", bytes.len());
        Ok(bytes)
    }

    fn create_new(&self, path: &Path) -> io::Result<D::File> {
        self.at("create_new", 0);
        self.disk.create_new(path)
    }

    fn write(&self, file: &mut D::File, bytes: &[u8]) -> io::Result<usize> {
        self.at("write", bytes.len());
        self.disk.write(file, bytes)
    }

    fn sync_file(&self, file: &D::File) -> io::Result<()> {
        self.at("sync_file", 0);
        self.disk.sync_file(file)
    }

    fn write_at(&self, file: &D::File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.at("write_at", bytes.len());
        self.disk.write_at(file, offset, bytes)
    }

    fn sync_data(&self, file: &D::File) -> io::Result<()> {
        self.at("sync_data", 0);
        self.disk.sync_data(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at("rename", 0);
        self.disk.rename(from, to)
    }

    fn sync_dir(&self, dir: &D::Dir) -> io::Result<()> {
        self.at("sync_dir", 0);
        self.disk.sync_dir(dir)
    }

    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        self.at("sync_parent", 0);
        self.disk.sync_parent(path)
    }

    fn can_sync_dir(&self, dir: &D::Dir) -> io::Result<()> {
        self.at("can_sync_dir", 0);
        self.disk.can_sync_dir(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.at("remove", 0);
        self.disk.remove(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<D::Lock>> {
        self.at("try_lock", 0);
        self.disk.try_lock(path)
    }

    fn lock_is_at(&self, lock: &D::Lock, path: &Path) -> io::Result<bool> {
        self.at("lock_is_at", 0);
        self.disk.lock_is_at(lock, path)
    }

    fn dir_is_at(&self, dir: &D::Dir, path: &Path) -> io::Result<bool> {
        self.at("dir_is_at", 0);
        self.disk.dir_is_at(dir, path)
    }

    fn file_is_at(&self, file: &D::File, path: &Path) -> io::Result<bool> {
        self.at("file_is_at", 0);
        self.disk.file_is_at(file, path)
    }
}
