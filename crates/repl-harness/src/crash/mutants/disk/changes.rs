//! What mutants do in place of a call.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::Disk;

use super::{Mutant, MutantDisk};
use crate::crash::disk::SimFile;
use crate::crash::layout::{UNUSED, is_checkpoint, slot_file};
use crate::crash::mutants::appended::{on_newest, to_end_of_slot};
use crate::crash::mutants::deltas::{behind, without_closing, without_unused};
use crate::crash::mutants::slots::with_short_zeros;
use crate::crash::records::is_delta;

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

    /// Where a write in place goes, and what is written.
    pub(super) fn in_place<'a>(
        &self,
        offset: u64,
        bytes: &'a [u8],
    ) -> io::Result<(u64, Cow<'a, [u8]>)> {
        let there = || self.disk.read_at(&slot_file(), 0, usize::MAX);
        Ok(match self.mutant {
            Mutant::DeltaOnNewest if is_delta(bytes) => match on_newest(&there()?, bytes) {
                Some(moved) => (moved.at, moved.bytes.into()),
                None => (offset, bytes.into()),
            },
            // The store does not know what was moved there.
            Mutant::DeltaOnNewest => (offset, to_end_of_slot(&there()?, offset, bytes).into()),
            Mutant::DeltaMisplaced if is_delta(bytes) => (behind(offset), bytes.into()),
            Mutant::NoClosing => (offset, without_closing(bytes).into()),
            Mutant::OldDeltasLeft => (offset, bytes[..without_unused(bytes)].into()),
            Mutant::StaleTail => {
                let used = bytes.iter().rposition(|b| *b != UNUSED).map_or(0, |last| last + 1);
                (offset, bytes[..used].into())
            }
            Mutant::ShortZeros => {
                let length = with_short_zeros(&there()?, offset, bytes);
                (offset, bytes[..length].into())
            }
            _ => (offset, bytes.into()),
        })
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
