//! The disk of the operating system.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::fs::Advice;

use super::{Disk, FileKind};

#[cfg(unix)]
use self::place::{Place, is_dir_place, is_place, is_place_in, place_of};

#[cfg(unix)]
mod place;
#[cfg(unix)]
mod synced;
#[cfg(all(test, unix))]
mod tests;

/// The disk of the operating system.
///
/// Syncs reach the device: `fsync` and `fdatasync`, or `F_FULLFSYNC` for both on macOS. Outside
/// Unix a directory cannot be synced, and [`sync_dir`](Disk::sync_dir) does nothing: until the
/// system writes its metadata, a power cut may undo an acknowledged save as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk;

/// The most that one call appends to a new file.
///
/// Linux keeps a file in memory in pieces that are as long as the writes that made it (ext4 since
/// 6.16), and a later sync goes through all blocks of a piece in which one has changed: the longer
/// these writes, the longer a save in place takes.
const PIECE: usize = 16 * 1024;

/// Fewer bytes than this are never a whole page.
#[cfg(target_os = "linux")]
const SMALLEST_PAGE: usize = 4096;

/// A file of an [`OsDisk`], open for writing.
#[derive(Debug)]
pub struct OsFile {
    file: File,
    /// Remembered, as every save compares it.
    #[cfg(unix)]
    place: Place,
}

/// A directory of an [`OsDisk`], kept open.
#[derive(Debug)]
pub struct OsDir {
    path: PathBuf,
    #[cfg(unix)]
    open: File,
    #[cfg(unix)]
    place: Place,
}

/// A lock of an [`OsDisk`].
///
/// Dropping it unlocks the file at once, though a child process may still have it open, between its
/// `fork` and its `exec`. In a forked child, dropping the inherited lock leaves the parent's lock
/// alone. When the process dies the kernel frees it, unless such a child goes on without `exec`.
#[derive(Debug)]
pub struct OsLock {
    file: File,
    /// Remembered, as every save compares it.
    #[cfg(unix)]
    place: Place,
    /// The process that locked it.
    process: u32,
}

impl Drop for OsLock {
    fn drop(&mut self) {
        if std::process::id() == self.process {
            // If it fails, closing the file unlocks it, as soon as no child has it open.
            let _ = self.file.unlock();
        }
    }
}

impl Disk for OsDisk {
    type File = OsFile;
    type Dir = OsDir;
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    #[cfg(unix)]
    fn open_dir(&self, path: &Path) -> io::Result<OsDir> {
        let open = File::open(path)?;
        let place = place_of(&open)?;
        Ok(OsDir { path: path.to_owned(), open, place })
    }

    #[cfg(not(unix))]
    fn open_dir(&self, path: &Path) -> io::Result<OsDir> {
        Ok(OsDir { path: path.to_owned() })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| entry.map(|e| e.file_name())).collect()
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        let kind = fs::symlink_metadata(path)?.file_type();
        Ok(if kind.is_file() {
            FileKind::File
        } else if kind.is_dir() {
            FileKind::Dir
        } else if kind.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Other
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|found| found.len())
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length)?;
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create_new(&self, path: &Path) -> io::Result<OsFile> {
        let file = owned().create_new(true).open(path)?;
        Ok(OsFile {
            #[cfg(unix)]
            place: place_of(&file)?,
            file,
        })
    }

    fn write(&self, file: &mut OsFile, bytes: &[u8]) -> io::Result<usize> {
        file.file.write(&bytes[..bytes.len().min(PIECE)])
    }

    fn sync_file(&self, file: &OsFile) -> io::Result<()> {
        file.file.sync_all()
    }

    #[cfg(unix)]
    fn write_at(&self, file: &OsFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&file.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, file: &OsFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut file = &file.file;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
        file.write(bytes)
    }

    /// To say that a part of a page is not needed makes Linux begin to write the page. It takes whole
    /// pages out of the cache, and the last part of a file that ends within a page: a slot file ends
    /// with a page.
    #[cfg(target_os = "linux")]
    fn begin_sync(&self, file: &OsFile, offset: u64, length: usize) {
        // A length of 0 would be all of the file.
        if (1..SMALLEST_PAGE).contains(&length) {
            let length = std::num::NonZeroU64::new(length as u64);
            let _ = rustix::fs::fadvise(&file.file, offset, length, Advice::DontNeed);
        }
    }

    fn sync_data(&self, file: &OsFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &OsDir) -> io::Result<()> {
        dir.open.sync_all()?;
        // After a shutdown XFS writes nothing and still returns success from a sync of a directory
        // (Linux 6.18). Its metadata calls fail then.
        dir.open.metadata().map(|_| ())
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _: &OsDir) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        synced::parent(&self.open_dir(path)?)
    }

    #[cfg(unix)]
    fn can_sync_dir(&self, dir: &OsDir) -> io::Result<()> {
        synced::filesystem(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        // Through a symbolic link another file would be locked.
        regular_or_missing(self.kind(path))?;
        let file = owned().create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(err)) => return Err(err),
        }
        let lock = OsLock {
            #[cfg(unix)]
            place: place_of(&file)?,
            file,
            process: std::process::id(),
        };
        // If the file was removed or replaced in between, the lock is on another file.
        #[cfg(unix)]
        let is_there = is_place(lock.place, path)?;
        #[cfg(not(unix))]
        let is_there = fs::exists(path)?;
        Ok(is_there.then_some(lock))
    }

    #[cfg(unix)]
    fn dir_is_at(&self, dir: &OsDir, path: &Path) -> io::Result<bool> {
        is_dir_place(dir.place, path)
    }

    #[cfg(not(unix))]
    fn dir_is_at(&self, _: &OsDir, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    #[cfg(unix)]
    fn lock_is_in(&self, lock: &OsLock, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        is_place_in(lock.place, dir, name)
    }

    #[cfg(not(unix))]
    fn lock_is_in(&self, _: &OsLock, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        fs::exists(dir.path.join(name))
    }

    #[cfg(unix)]
    fn file_is_in(&self, file: &OsFile, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        is_place_in(file.place, dir, name)
    }

    #[cfg(not(unix))]
    fn file_is_in(&self, _: &OsFile, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
        fs::exists(dir.path.join(name))
    }
}

fn regular_or_missing(kind: io::Result<FileKind>) -> io::Result<()> {
    if kind.is_ok_and(|kind| kind != FileKind::File) { Err(not_regular()) } else { Ok(()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file: move it away")
}

fn owned() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
