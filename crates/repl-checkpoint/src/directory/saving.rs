//! Saving into a locked directory: whole files, and checks that it is still the one at its path.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::{Directory, parents};
use crate::disk::Disk;
use crate::store::{LoadError, SaveError};

/// The number of names that a save tries. The next save tries others, so leftover files that cannot
/// be removed never block saves for good. The bound ends a save on a disk where every name is
/// taken.
const TEMP_NAMES: u64 = 1000;

/// Smaller parts of a new file are written together.
const BUFFER: usize = 64 * 1024;

/// The text of a marker, for operators.
const MARKER: &str = "A store beside this file has saved checkpoints of replication marks.\n\
    If they are gone, it does not open as if nothing was ever saved. Restore a copy of them. Or, \
    if the log\nstill begins at segment 1 or a base copy exists, remove this file to begin again.\n";

impl<D: Disk> Directory<D> {
    /// Before save step 1: refuses to save in a process that was forked from the one that opened
    /// it.
    pub(crate) fn check_process(&self) -> Result<(), SaveError> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(SaveError::Inherited { path: self.path.clone() })
    }

    /// Save steps 1 to 4: writes a temporary file for `name`. All but its name is durable then.
    pub(crate) fn write_temp(
        &mut self,
        name: &OsStr,
        write: impl FnOnce(&D, &mut NewFile<'_, D>) -> Result<(), SaveError>,
    ) -> Result<(PathBuf, D::File), SaveError> {
        self.prepare()?;
        let (path, mut file) = self.create_temp(name)?; // 1
        let disk = &self.disk;
        let written = NewFile::write(disk, &path, &mut file, write); // 2
        let synced = written.and_then(|()| {
            disk.sync_file(&file).map_err(|source| not_saved("sync", &path, source)) // 3
        });
        let checked = synced.and_then(|()| self.check_place(not_saved)); // 4
        match checked {
            Ok(()) => Ok((path, file)),
            Err(error) => {
                drop(file);
                // What stays of it has a name that no other save uses and no load reads.
                let _ = disk.remove(&path);
                Err(error)
            }
        }
    }

    fn create_temp(&mut self, name: &OsStr) -> Result<(PathBuf, D::File), SaveError> {
        let number = self.temp_number;
        let last = self.temp_names + TEMP_NAMES;
        loop {
            let mut temp = name.to_owned();
            temp.push(format!(".temp-{number}-{}", self.temp_names));
            let path = self.path.join(temp);
            self.temp_names += 1;
            match self.disk.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(err)
                    if err.kind() == io::ErrorKind::AlreadyExists && self.temp_names < last => {}
                Err(source) => return Err(not_saved("create", &path, source)),
            }
        }
    }

    /// Save steps 5 to 8: makes the final name durable, and that of the marker. A failure poisons
    /// the store.
    ///
    /// `file` is the temporary file, open.
    pub(crate) fn publish(
        &mut self,
        temp: &Path,
        file: &D::File,
        path: &Path,
    ) -> Result<(), SaveError> {
        let renamed = self.disk.rename(temp, path);
        renamed.map_err(|source| in_doubt("rename a new checkpoint to", path, source))?; // 5
        self.sync()?; // 6
        if !self.has_marker {
            let created = self.create_marker();
            created.map_err(|source| in_doubt("create", &self.marker, source))?; // 7
            self.sync()?;
            self.has_marker = true;
        }
        self.check_saved(file, path.file_name().unwrap_or_default()) // 8
    }

    fn sync(&self) -> Result<(), SaveError> {
        let synced = self.disk.sync_dir(&self.open_dir);
        synced.map_err(|source| in_doubt("sync the directory", &self.path, source))
    }

    /// Creates the marker. Its name says all, so what is in it need be neither whole nor durable.
    fn create_marker(&self) -> io::Result<()> {
        match self.disk.create_new(&self.marker) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created.map(|file| self.write_marker(file)),
        }
    }

    fn write_marker(&self, mut file: D::File) {
        let _ = all_written(MARKER.as_bytes(), |rest, _| self.disk.write(&mut file, rest));
    }

    /// Replaces the marker that was found: after a sync that failed it may be in the cache alone,
    /// and no later sync writes its name. The next sync of the directory writes the new one. If
    /// this fails, the marker that was found stays.
    fn renew_marker(&mut self) {
        let name = self.marker.file_name().unwrap_or_default().to_owned();
        let Ok((temp, file)) = self.create_temp(&name) else { return };
        self.write_marker(file);
        if self.disk.rename(&temp, &self.marker).is_err() {
            let _ = self.disk.remove(&temp);
        }
    }

    /// Checks that the directory and the lock are those at their paths, so that no other store can
    /// have opened. `failed` makes the error of a failing call.
    fn check_place(&self, failed: Failed) -> Result<(), SaveError> {
        let dir = self.disk.dir_is_at(&self.open_dir, &self.path);
        is_in_place(dir, "the directory", || self.path.clone(), failed)?;
        // So what is in the directory is at its path.
        let lock = self.disk.lock_is_in(&self.lock, &self.open_dir, &self.lock_name);
        is_in_place(lock, "the lock file", || self.path.join(&self.lock_name), failed)
    }

    /// The last save step: checks that the lock, the directory and the file that was saved under
    /// this name are those at their paths. If all files were moved into another directory, their
    /// names there are not durable.
    fn check_saved(&self, file: &D::File, name: &OsStr) -> Result<(), SaveError> {
        self.check_owned()?;
        self.check_file(file, name)
    }

    /// The first half of it: lock and directory.
    pub(crate) fn check_owned(&self) -> Result<(), SaveError> {
        self.check_place(in_doubt)
    }

    /// The second half: the file that was saved under this name.
    pub(crate) fn check_file(&self, file: &D::File, name: &OsStr) -> Result<(), SaveError> {
        let found = self.disk.file_is_in(file, &self.open_dir, name);
        is_in_place(found, "the checkpoint file", || self.path.join(name), in_doubt)
    }

    /// What it means that a load found no checkpoint.
    pub(crate) fn check_fresh(&self) -> Result<(), LoadError> {
        if !self.has_marker {
            return Ok(());
        }
        Err(LoadError::Vanished { dir: self.path.clone(), marker: self.marker.clone() })
    }

    /// Before the first save: makes the names of all directories above durable, as the process that
    /// made them may have died before its sync, and replaces the marker. Directories that may not
    /// be synced are left to their owners.
    fn prepare(&mut self) -> Result<(), SaveError> {
        if self.is_prepared {
            return Ok(());
        }
        for parent in parents(&self.path).skip(self.created) {
            match self.disk.sync_parent(parent) {
                Err(source) if !may_not_sync(&source) => {
                    return Err(not_saved("sync the directory", parent, source));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if self.has_marker {
            // In a directory that has taken the place of this one it would be a false alarm.
            self.check_place(not_saved)?;
            self.renew_marker();
        }
        self.is_prepared = true;
        Ok(())
    }
}

/// A temporary file that is being written. Errors name the file.
pub(crate) struct NewFile<'a, D: Disk> {
    path: &'a Path,
    out: BufWriter<Appended<'a, D>>,
}

struct Appended<'a, D: Disk> {
    disk: &'a D,
    file: &'a mut D::File,
}

impl<D: Disk> Write for Appended<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, D: Disk> NewFile<'a, D> {
    fn write(
        disk: &'a D,
        path: &'a Path,
        file: &'a mut D::File,
        write: impl FnOnce(&D, &mut NewFile<'_, D>) -> Result<(), SaveError>,
    ) -> Result<(), SaveError> {
        // Large parts are written without a copy.
        let out = BufWriter::with_capacity(BUFFER, Appended { disk, file });
        let mut new = NewFile { path, out };
        let written = write(disk, &mut new);
        let flushed = written
            .and_then(|()| new.out.flush().map_err(|source| not_saved("write", path, source)));
        // Dropped whole, it would write once more what it failed to write.
        let _ = new.out.into_parts();
        flushed
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.out.write_all(bytes).map_err(|source| not_saved("write", self.path, source))
    }

    /// Appends bytes that stand for nothing: 0xff, as zeros are what a lost write leaves.
    pub(crate) fn append_unused(&mut self, length: u64) -> Result<(), SaveError> {
        let unused = io::copy(&mut io::repeat(0xff).take(length), &mut self.out);
        unused.map(|_| ()).map_err(|source| not_saved("write", self.path, source))
    }
}

fn not_saved(act: &'static str, path: &Path, source: io::Error) -> SaveError {
    SaveError::NotSaved { act, path: path.to_owned(), source }
}

type Failed = fn(&'static str, &Path, io::Error) -> SaveError;

fn in_doubt(act: &'static str, path: &Path, source: io::Error) -> SaveError {
    SaveError::InDoubt { act, path: path.to_owned(), source }
}

fn is_in_place(
    found: io::Result<bool>,
    what: &'static str,
    path: impl FnOnce() -> PathBuf,
    failed: Failed,
) -> Result<(), SaveError> {
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(SaveError::Replaced { what, path: path() }),
        Err(source) => Err(failed("look at", &path(), source)),
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

/// Whether a directory belongs to another owner, which has made it durable.
fn may_not_sync(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(err.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::names::of_directory;
    use crate::disk::OsDisk;

    #[test]
    fn a_process_that_inherited_the_store_does_not_save() {
        let dir = tempfile::tempdir().unwrap();
        let (mut directory, _) =
            Directory::open(OsDisk, dir.path(), &of_directory(), dir.path()).unwrap();
        directory.check_process().unwrap();
        directory.process += 1; // as a child finds it
        let refused = directory.check_process().unwrap_err();
        assert!(matches!(&refused, SaveError::Inherited { path } if path == dir.path()));
        assert!(!refused.is_poisoning());
    }
}
