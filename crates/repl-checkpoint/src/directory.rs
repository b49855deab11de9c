//! What every store does with its directory: find it, lock it, and replace a file in it whole.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, FileKind};
use crate::store::SaveError;

const LOCK: &str = "LOCK";
/// How many names a save tries. The next save tries others, so files that nobody can remove stop
/// none for good; but a disk that calls every name taken must not keep a save for ever.
const TEMP_NAMES: u64 = 1000;

/// A directory that one store holds.
pub(crate) struct Directory<D: Disk> {
    pub(crate) disk: D,
    /// Absolute and without symbolic links, so that it stays the directory that is locked whatever
    /// becomes of the working directory or of a link.
    pub(crate) path: PathBuf,
    open_dir: D::Dir,
    _lock: D::Lock,
    temp_names: u64,
}

impl<D: Disk> Directory<D> {
    /// Open steps 1 to 3; gives the names in the directory too.
    pub(crate) fn open(disk: D, path: &Path) -> Result<(Self, Vec<OsString>), OpenStoreError> {
        create_dirs(&disk, path)?; // 1
        let lock_path = path.join(LOCK);
        let lock = disk.try_lock(&lock_path).map_err(|err| match err.kind() {
            io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
            _ => failed("lock", &lock_path)(err),
        })?; // 2
        let lock = lock.ok_or_else(|| OpenStoreError::Locked { dir: path.to_owned() })?;
        let open_dir = disk.open_dir(path).map_err(failed("open", path))?; // 3
        let names = disk.list(path).map_err(failed("list", path))?;
        let path = path.to_owned();
        Ok((Directory { disk, path, open_dir, _lock: lock, temp_names: 0 }, names))
    }

    /// Open step 4: one that cannot be removed is in nobody's way, as every save takes a name of
    /// its own.
    pub(crate) fn remove_temps<'a>(&self, names: impl Iterator<Item = &'a OsString>) {
        for temp in names {
            let _ = self.disk.remove(&self.path.join(temp));
        }
    }

    /// Save steps 1 to 3: a temporary file for `name`, whole and durable but for its own name.
    pub(crate) fn write_temp(
        &mut self,
        name: &str,
        bytes: &[u8],
    ) -> Result<(PathBuf, D::File), SaveError> {
        let (path, mut file) = self.create_temp(name)?; // 1
        let written = all_written(bytes, |rest, _| self.disk.write(&mut file, rest)); // 2
        let synced = written
            .map_err(|err| ("write", err))
            .and_then(|()| self.disk.sync_file(&file).map_err(|err| ("sync", err))); // 3
        match synced {
            Ok(()) => Ok((path, file)),
            Err((act, source)) => {
                drop(file);
                // Whatever is left of it has a name that no other save uses and no load reads.
                let _ = self.disk.remove(&path);
                Err(SaveError::NotSaved { act, path, source })
            }
        }
    }

    fn create_temp(&mut self, name: &str) -> Result<(PathBuf, D::File), SaveError> {
        let process = std::process::id();
        let last = self.temp_names + TEMP_NAMES;
        loop {
            let path = self.path.join(format!("{name}.temp-{process}-{}", self.temp_names));
            self.temp_names += 1;
            match self.disk.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(err)
                    if err.kind() == io::ErrorKind::AlreadyExists && self.temp_names < last => {}
                Err(source) => {
                    return Err(SaveError::NotSaved { act: "create", path, source });
                }
            }
        }
    }

    /// Save steps 4 and 5: the name, durable too. Where it fails, the store is poisoned.
    pub(crate) fn publish(&self, temp: &Path, path: &Path) -> Result<(), SaveError> {
        if let Err(source) = self.disk.rename(temp, path) {
            let path = path.to_owned();
            return Err(SaveError::InDoubt { act: "rename a new checkpoint to", path, source }); // 4
        }
        if let Err(source) = self.disk.sync_dir(&self.open_dir) {
            let path = self.path.clone();
            return Err(SaveError::InDoubt { act: "sync the directory", path, source }); // 5
        }
        Ok(())
    }
}

/// What `temp` is the temporary name of: all before `.temp-<digits>-<digits>`.
pub(crate) fn named_by_temp(temp: &OsString) -> Option<&str> {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (name, unique) = temp.to_str()?.split_once(".temp-")?;
    let (process, n) = unique.split_once('-')?;
    (number(process) && number(n)).then_some(name)
}

/// A short write goes on, an interrupted one is tried again, and one that takes nothing is an
/// error. `write` is given what is left, and how much was taken.
pub(crate) fn all_written(
    bytes: &[u8],
    mut write: impl FnMut(&[u8], usize) -> io::Result<usize>,
) -> io::Result<()> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match write(rest, taken) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => taken += n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// A store could not be opened. No checkpoint was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Another store, in this or another process, holds the directory.
    #[error(
        "checkpoint directory {dir} is in use: one follower owns a directory; stop the other one \
         or give each its own", dir = .dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Something else stands where the directory should be.
    #[error("{path} is not a directory: move it away or name another", path = .path.display())]
    NotADirectory {
        /// The place.
        path: PathBuf,
    },
    /// The directory is that of a store of another kind.
    #[error(
        "{dir} holds {file} and is a {expected}'s: open it as that, or give this store a directory \
         of its own", dir = .dir.display()
    )]
    OtherKind {
        /// The directory.
        dir: PathBuf,
        /// The file in it that says so.
        file: String,
        /// What it should be opened as.
        expected: &'static str,
    },
    /// The operating system refused.
    #[error("failed to {act} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The absolute path of a directory that may not exist yet, with every symbolic link followed.
pub(crate) fn resolved(dir: &Path) -> Result<PathBuf, OpenStoreError> {
    let find = "find the absolute path of";
    let absolute = std::path::absolute(dir).map_err(failed(find, dir))?;
    for ancestor in absolute.ancestors() {
        match std::fs::canonicalize(ancestor) {
            Ok(mut real) => {
                // Joined with nothing it would end with a slash.
                real.extend(absolute.strip_prefix(ancestor).unwrap_or(dir));
                return Ok(real);
            }
            Err(err) if is_missing(&err) => {}
            Err(err) => return Err(failed(find, ancestor)(err)),
        }
    }
    Ok(absolute)
}

/// Open step 1. The parents of directories that were there are synced as well, as far as this
/// process may: whoever made them may have died before that.
fn create_dirs(disk: &impl Disk, dir: &Path) -> Result<(), OpenStoreError> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|a| !a.as_os_str().is_empty()) {
        match disk.kind(ancestor) {
            Ok(FileKind::Dir | FileKind::Symlink) => break,
            Ok(FileKind::File | FileKind::Other) => {
                return Err(OpenStoreError::NotADirectory { path: ancestor.to_owned() });
            }
            // Below something that is not a directory: that one is found further up.
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
    for (depth, parent) in dir.ancestors().skip(1).enumerate() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match disk.open_dir(parent).and_then(|open| disk.sync_dir(&open)) {
            Err(err) if depth < missing.len() || !may_not_sync(&err) => {
                return Err(failed("sync the directory", parent)(err));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn is_missing(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a directory belongs to others, who have made it durable themselves.
fn may_not_sync(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(err.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl Fn(io::Error) -> OpenStoreError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
        _ => OpenStoreError::Io { act, path: path.to_owned(), source },
    }
}
