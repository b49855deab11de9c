//! The directory of a store: find it, lock it, and replace whole files in it.

pub(crate) mod names;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, FileKind};
use crate::store::{OpenStoreError, SaveError};

/// The number of names that a save tries. The next save tries others, so leftover files that cannot
/// be removed never block saves for good. The bound ends a save on a disk where every name is
/// taken.
const TEMP_NAMES: u64 = 1000;

/// A directory, locked by one store.
pub(crate) struct Directory<D: Disk> {
    pub(crate) disk: D,
    /// Absolute and without symbolic links: it stays the locked directory even if the working
    /// directory or a link changes.
    pub(crate) path: PathBuf,
    open_dir: D::Dir,
    _lock: D::Lock,
    /// The process that opened it. A forked child inherits what is open, and must not write there.
    process: u32,
    temp_names: u64,
}

impl<D: Disk> Directory<D> {
    /// Open steps 1 to 3, of the store at `store` in the directory. Returns the names in it too.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        lock: &OsStr,
        store: &Path,
    ) -> Result<(Self, Vec<OsString>), OpenStoreError> {
        create_dirs(&disk, path)?; // 1
        let lock_path = path.join(lock);
        let lock = disk.try_lock(&lock_path).map_err(|err| match err.kind() {
            io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
            _ => failed("lock", &lock_path)(err),
        })?; // 2
        let lock = lock.ok_or_else(|| OpenStoreError::Locked { path: store.to_owned() })?;
        let open_dir = disk.open_dir(path).map_err(failed("open", path))?; // 3
        let names = disk.list(path).map_err(failed("list", path))?;
        let path = path.to_owned();
        Ok((
            Directory {
                disk,
                path,
                open_dir,
                _lock: lock,
                process: std::process::id(),
                temp_names: 0,
            },
            names,
        ))
    }

    /// Open step 4. A file that cannot be removed is harmless: every save takes a new name.
    pub(crate) fn remove_temps<'a>(&self, names: impl Iterator<Item = &'a OsString>) {
        for temp in names {
            let _ = self.disk.remove(&self.path.join(temp));
        }
    }

    /// Before save step 1: refuses to save in a process that was forked from the one that opened
    /// it.
    pub(crate) fn check_process(&self) -> Result<(), SaveError> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(SaveError::Inherited { path: self.path.clone() })
    }

    /// Save steps 1 to 3: writes a temporary file for `name`. All but its name is durable then.
    pub(crate) fn write_temp(
        &mut self,
        name: &OsStr,
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
                // What stays of it has a name that no other save uses and no load reads.
                let _ = self.disk.remove(&path);
                Err(SaveError::NotSaved { act, path, source })
            }
        }
    }

    fn create_temp(&mut self, name: &OsStr) -> Result<(PathBuf, D::File), SaveError> {
        let process = std::process::id();
        let last = self.temp_names + TEMP_NAMES;
        loop {
            let mut temp = name.to_owned();
            temp.push(format!(".temp-{process}-{}", self.temp_names));
            let path = self.path.join(temp);
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

    /// Save steps 4 and 5: makes the final name durable. A failure poisons the store.
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

/// Writes all of `bytes`: continues after a short write, retries an interrupted one, and fails if a
/// write takes nothing. `write` gets the rest, and the number of bytes before it.
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

/// Open step 1: creates missing directories and syncs the parents of all. The process that made
/// the existing ones may have died before its sync. Parents that may not be synced are skipped.
fn create_dirs(disk: &impl Disk, dir: &Path) -> Result<(), OpenStoreError> {
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

/// Whether a directory belongs to another owner, which has made it durable.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn a_process_that_inherited_the_store_does_not_save() {
        let dir = tempfile::tempdir().unwrap();
        let (mut directory, _) =
            Directory::open(OsDisk, dir.path(), names::LOCK.as_ref(), dir.path()).unwrap();
        directory.check_process().unwrap();
        directory.process += 1; // as a child finds it
        let refused = directory.check_process().unwrap_err();
        assert!(matches!(&refused, SaveError::Inherited { path } if path == dir.path()));
        assert!(!refused.is_poisoning());
    }
}
