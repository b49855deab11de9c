//! The directory of a store: find it, lock it, and replace whole files in it.

pub(crate) mod names;
mod saving;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use self::names::{Beside, is_temp_of};
use crate::disk::{Disk, FileKind};
use crate::store::OpenStoreError;
use crate::store::hint::SYNC_DIR;

pub(crate) use self::saving::{NewFile, all_written};

/// A directory, locked by one store.
pub(crate) struct Directory<D: Disk> {
    pub(crate) disk: D,
    /// Absolute and without symbolic links: it stays the locked directory even if the working
    /// directory or a link changes.
    pub(crate) path: PathBuf,
    open_dir: D::Dir,
    lock: D::Lock,
    /// The name of the lock file.
    lock_name: OsString,
    /// The file that says that a checkpoint was saved here.
    marker: PathBuf,
    has_marker: bool,
    /// The number of directories that opening created and whose names it made durable.
    created: usize,
    /// Whether the first save has synced all directories above.
    is_prepared: bool,
    /// The process that opened it. A forked child inherits what is open, and must not write there.
    process: u32,
    /// What the names of its temporary files begin with, and how many it has used.
    temp_number: u64,
    temp_names: u64,
}

impl<D: Disk> Directory<D> {
    /// Open steps 1 to 3, of the store at `store` in the directory. Returns the names in it too.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        beside: &Beside,
        store: &Path,
    ) -> Result<(Self, Vec<OsString>), OpenStoreError> {
        let created = create_dirs(&disk, path)?; // 1
        for parent in parents(path).take(created) {
            disk.sync_parent(parent).map_err(failed(SYNC_DIR, parent))?;
        }
        let lock_path = path.join(&beside.lock);
        let lock = disk.try_lock(&lock_path).map_err(|err| match err.kind() {
            io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
            _ => failed("lock", &lock_path)(err),
        })?; // 2
        let lock = lock.ok_or_else(|| OpenStoreError::Locked { path: store.to_owned() })?;
        let open_dir = disk.open_dir(path).map_err(failed("open", path))?; // 3
        disk.can_sync_dir(&open_dir).map_err(failed(SYNC_DIR, path))?;
        let found = disk.list(path).map_err(failed("list", path))?;
        let temp_number = disk.temp_number();
        let directory = Directory {
            disk,
            path: path.to_owned(),
            open_dir,
            lock,
            lock_name: beside.lock.clone(),
            marker: path.join(&beside.marker),
            has_marker: found.contains(&beside.marker),
            created,
            is_prepared: false,
            process: std::process::id(),
            temp_number,
            temp_names: 0,
        };
        Ok((directory, found))
    }

    /// Open step 4. A file that cannot be removed is harmless: every save takes a new name.
    pub(crate) fn remove_temps(&self, names: &[OsString], is_temp: impl Fn(&OsString) -> bool) {
        let marker = self.marker.file_name().unwrap_or_default();
        for temp in names.iter().filter(|name| is_temp(name) || is_temp_of(marker, name)) {
            let _ = self.disk.remove(&self.path.join(temp));
        }
    }
}

/// The parent of a directory, and every directory above.
fn parents(dir: &Path) -> impl Iterator<Item = &Path> {
    let parents = dir.ancestors().skip(1);
    parents.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Returns the absolute path of a directory that may not exist yet, with symbolic links resolved.
pub(crate) fn resolved(dir: &Path) -> Result<PathBuf, OpenStoreError> {
    let find = "find the absolute path of";
    let absolute = std::path::absolute(dir).map_err(failed(find, dir))?;
    for ancestor in absolute.ancestors() {
        match std::fs::canonicalize(ancestor) {
            Ok(mut real) => {
                // An empty rest, joined, would add a slash.
                real.extend(absolute.strip_prefix(ancestor).unwrap_or(dir));
                return Ok(real);
            }
            Err(err) if is_missing(&err) => {}
            Err(err) => return Err(failed(find, ancestor)(err)),
        }
    }
    Ok(absolute)
}

/// Open step 1: creates missing directories. Returns how many were missing.
fn create_dirs(disk: &impl Disk, dir: &Path) -> Result<usize, OpenStoreError> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|a| !a.as_os_str().is_empty()) {
        match disk.kind(ancestor) {
            Ok(FileKind::Dir | FileKind::Symlink) => break,
            Ok(FileKind::File | FileKind::Other) => {
                return Err(OpenStoreError::NotADirectory { path: ancestor.to_owned() });
            }
            // An ancestor that is not a directory is found in a later turn.
            Err(err) if is_missing(&err) => missing.push(ancestor),
            Err(err) => return Err(failed("look at", ancestor)(err)),
        }
    }
    for new in missing.iter().rev() {
        match disk.create_dir(new) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", new)(err));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(missing.len())
}

fn is_missing(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl Fn(io::Error) -> OpenStoreError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
        _ => OpenStoreError::Io { act, path: path.to_owned(), source },
    }
}
