//! What mutants do in place of a call.

use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::Disk;

use super::{Mutant, MutantDisk};
use crate::crash::disk::SimFile;
use crate::crash::layout::{is_checkpoint, slot_file};

impl MutantDisk {
    /// Makes the directory sync that was put off. Comes before every call that depends on names.
    pub(super) fn catch_up(&self) -> io::Result<()> {
        let dir = self.later().dir.take();
        dir.map_or(Ok(()), |dir| self.disk.sync_dir(&dir))
    }

    pub(super) fn final_name(temp: &Path) -> PathBuf {
        let name = temp.to_string_lossy();
        name.split_once(".temp-").map_or_else(|| temp.to_owned(), |(name, _)| name.into())
    }

    pub(super) fn newest(&self) -> io::Result<Option<PathBuf>> {
        let names = self.disk.list(&self.dir)?;
        let newest = names.iter().filter(|name| is_checkpoint(&self.dir.join(name))).max();
        Ok(newest.map(|name| self.dir.join(name)))
    }

    pub(super) fn remove_all(&self) -> io::Result<()> {
        let names = self.disk.list(&self.dir)?;
        let paths = names.iter().map(|name| self.dir.join(name));
        paths.filter(|path| is_checkpoint(path)).try_for_each(|path| self.disk.remove(&path))
    }

    /// Creates the file under its final name and removes what has that name.
    pub(super) fn create_final(&self, temp: &Path) -> io::Result<SimFile> {
        let path = Self::final_name(temp);
        match self.disk.create_new(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&path)?;
                self.disk.create_new(&path)
            }
            created => created,
        }
    }

    /// Opens the slot file that the process found, for writing; `None` if there is none.
    pub(super) fn open_found(&self) -> io::Result<Option<SimFile>> {
        let Ok(file) = self.disk.open_write(&slot_file()) else {
            return Ok(None);
        };
        self.later().slots.found(&self.disk.read_at(&slot_file(), 0, usize::MAX)?);
        Ok(Some(file))
    }

    pub(super) fn taken(&self, bytes: &[u8], result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(_) if self.is(Mutant::IgnoreShortWrite) => Ok(bytes.len()),
            Err(err)
                if self.is(Mutant::IgnoreFullDisk) && err.kind() == io::ErrorKind::StorageFull =>
            {
                Ok(bytes.len())
            }
            result => result,
        }
    }
}
