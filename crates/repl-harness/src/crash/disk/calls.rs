//! The calls that a store makes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use repl_checkpoint::{Disk, FileKind};

use super::{FaultKind, SimDir, SimDisk, SimFile, SimLock};

impl Disk for SimDisk {
    type File = SimFile;
    type Dir = SimDir;
    type Lock = SimLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir", path, |disk, _| disk.state.create_dir(path).map(|_| ()))
    }

    fn open_dir(&self, path: &Path) -> io::Result<SimDir> {
        self.call("open_dir", path, |disk, _| {
            let ino = disk.state.find(path)?;
            disk.state.dir(ino)?;
            Ok(SimDir(ino, path.to_owned()))
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.call("list", dir, |disk, _| Ok(disk.state.names(dir)?.keys().cloned().collect()))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.call("kind", path, |disk, _| {
            let ino = disk.state.find(path)?;
            Ok(if disk.state.dir(ino).is_ok() { FileKind::Dir } else { FileKind::File })
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.call("length", path, |disk, _| {
            let ino = disk.state.find(path)?;
            Ok(disk.state.file(ino)?.cached().bytes().len() as u64)
        })
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call("read_at", path, |disk, _| {
            let ino = disk.state.find(path)?;
            let bytes = disk.state.file(ino)?.cached().bytes();
            let start = usize::try_from(offset).map_or(bytes.len(), |o| o.min(bytes.len()));
            let end = start.saturating_add(length).min(bytes.len());
            Ok(bytes[start..end].to_vec())
        })
    }

    fn temp_number(&self) -> u64 {
        u64::from(std::process::id())
    }

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        self.call("create_new", path, |disk, _| {
            Ok(SimFile(disk.state.create_file(path)?, path.to_owned()))
        })
    }

    fn write(&self, file: &mut SimFile, bytes: &[u8]) -> io::Result<usize> {
        self.call("write", &file.1, |disk, how| {
            disk.write(file.0, |file| file.cached().len(), bytes, how)
        })
    }

    fn sync_file(&self, file: &SimFile) -> io::Result<()> {
        self.call("sync_file", &file.1, |disk, how| disk.sync(file.0, how))
    }

    fn write_at(&self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.call("write_at", &file.1, |disk, how| disk.write(file.0, |_| offset, bytes, how))
    }

    fn sync_data(&self, file: &SimFile) -> io::Result<()> {
        self.call("sync_data", &file.1, |disk, how| disk.sync(file.0, how))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", from, |disk, _| disk.state.rename(from, to))
    }

    fn sync_dir(&self, dir: &SimDir) -> io::Result<()> {
        self.call("sync_dir", &dir.1, |disk, how| {
            let names = disk.state.dir_mut(dir.0)?;
            if let Some(FaultKind::SyncLost { errno, .. }) = how {
                names.fail_sync();
                return Err(io::Error::from_raw_os_error(errno));
            }
            names.sync();
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |disk, _| disk.state.remove(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<SimLock>> {
        let locked = self.call("try_lock", path, |disk, _| {
            let ino = match disk.state.find(path) {
                Ok(ino) => ino,
                Err(_) => disk.state.create_file(path)?,
            };
            disk.state.file(ino)?;
            Ok(disk.locked.insert(ino).then_some(ino))
        })?;
        Ok(locked.map(|ino| SimLock(ino, self.clone())))
    }

    fn dir_is_at(&self, dir: &SimDir, path: &Path) -> io::Result<bool> {
        self.call("dir_is_at", path, |disk, _| {
            Ok(disk.state.find(path).is_ok_and(|ino| ino == dir.0))
        })
    }

    fn lock_is_in(&self, lock: &SimLock, dir: &SimDir, name: &OsStr) -> io::Result<bool> {
        self.call("lock_is_in", &dir.1.join(name), |disk, _| {
            Ok(disk.state.dir(dir.0)?.get(name) == Some(lock.0))
        })
    }

    fn file_is_in(&self, file: &SimFile, dir: &SimDir, name: &OsStr) -> io::Result<bool> {
        self.call("file_is_in", &dir.1.join(name), |disk, _| {
            Ok(disk.state.dir(dir.0)?.get(name) == Some(file.0))
        })
    }
}
