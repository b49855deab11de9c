//! Mutants between the store and the disk.

mod changes;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{Disk, FileKind};

use super::Mutant;
use super::slots::{InSlots, changes_slots, read_mutated_slots};
use crate::crash::disk::{SimDir, SimDisk, SimFile, SimLock};
use crate::crash::layout::{is_of_marker, is_temp, marker, slot_file};
use crate::crash::records::is_delta;
use crate::locked::locked;

/// A disk that forwards every call, with one mutation.
pub(crate) struct MutantDisk {
    disk: SimDisk,
    mutant: Mutant,
    /// The store's directory.
    dir: PathBuf,
    later: Mutex<Later>,
}

/// What a later call needs.
#[derive(Default)]
struct Later {
    /// A file to be synced after its rename.
    file: Option<SimFile>,
    /// Whether the next sync of the store's directory is that of the marker.
    of_marker: bool,
    /// A directory to be synced before the next call.
    dir: Option<SimDir>,
    /// Whether the slot file was in its place before a sync in place.
    was_in: Option<bool>,
    /// The offset of the next write to an overwritten file.
    offset: u64,
    slots: InSlots,
}

impl MutantDisk {
    pub(crate) fn new(disk: SimDisk, mutant: Mutant, dir: &Path) -> Self {
        MutantDisk { disk, mutant, dir: dir.to_owned(), later: Mutex::default() }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        locked(&self.later)
    }
}

impl Disk for MutantDisk {
    type File = SimFile;
    type Dir = SimDir;
    type Lock = Arc<Option<SimLock>>;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<SimDir> {
        self.disk.open_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        if self.is(Mutant::TempReused) && dir == self.dir {
            let names = self.disk.list(dir)?;
            let temps = names.iter().filter(|name| is_temp(name)).map(|name| dir.join(name));
            temps
                .into_iter()
                .try_for_each(|temp| self.disk.rename(&temp, &Self::final_name(&temp)))?;
        }
        self.disk.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.disk.kind(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.disk.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if path != slot_file() || !changes_slots(self.mutant) {
            return self.disk.read_at(path, offset, length);
        }
        let bytes = read_mutated_slots(self.mutant, &self.disk.read_at(path, 0, usize::MAX)?);
        let start = usize::try_from(offset).map_or(bytes.len(), |o| o.min(bytes.len()));
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn temp_number(&self) -> u64 {
        self.disk.temp_number()
    }

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        self.catch_up()?;
        if is_of_marker(path) {
            if self.is(Mutant::NoMarker) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.later().of_marker = path == marker();
            return self.disk.create_new(path);
        }
        if self.is(Mutant::MarkerFirst) && self.disk.kind(&marker()).is_err() {
            self.disk.create_new(&marker())?;
            self.disk.sync_dir(&self.disk.open_dir(&self.dir)?)?;
        }
        self.later().slots = InSlots::default();
        match self.mutant {
            Mutant::NoTempFile => self.create_final(path),
            Mutant::FirstSaveInPlace => match self.open_found()? {
                Some(file) => Ok(file),
                None => self.disk.create_new(path),
            },
            Mutant::OneTempName => match self.disk.create_new(&self.dir.join("temporary")) {
                Err(_) => Err(io::ErrorKind::PermissionDenied.into()),
                created => created,
            },
            Mutant::InPlace => {
                self.later().offset = 0;
                match self.newest()? {
                    Some(newest) => {
                        let to = Self::final_name(path);
                        self.disk.rename(&newest, &to)?;
                        self.disk.open_write(&to)
                    }
                    None => self.disk.create_new(&Self::final_name(path)),
                }
            }
            Mutant::RemoveFirst => {
                self.remove_all()?;
                self.disk.create_new(path)
            }
            _ => self.disk.create_new(path),
        }
    }

    fn write(&self, file: &mut SimFile, bytes: &[u8]) -> io::Result<usize> {
        if is_of_marker(file.path()) {
            return self.disk.write(file, bytes);
        }
        if self.is(Mutant::InPlace) {
            let offset = self.later().offset;
            let taken = self.disk.write_at(file, offset, bytes)?;
            self.later().offset += taken as u64;
            return Ok(taken);
        }
        let to = self.later().slots.of_new_file(bytes.len());
        if let Some((at, length)) = to {
            let taken = match at {
                Some(at) => self.disk.write_at(file, at, bytes)?,
                None => length,
            };
            self.later().slots.written += taken;
            return Ok(taken);
        }
        let result = self.disk.write(file, bytes);
        let taken = self.taken(bytes, result)?;
        self.later().slots.written += taken;
        Ok(taken)
    }

    fn sync_file(&self, file: &SimFile) -> io::Result<()> {
        match self.mutant {
            Mutant::NoFileSync => Ok(()),
            Mutant::RenameBeforeSync => {
                self.later().file = Some(file.clone());
                Ok(())
            }
            Mutant::RetryFileSync => {
                self.disk.sync_file(file).or_else(|_| self.disk.sync_file(file))
            }
            _ => self.disk.sync_file(file),
        }
    }

    fn write_at(&self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.later().slots.is_delta = is_delta(bytes);
        let offset = self.later().slots.in_place(self.mutant, offset);
        let (offset, instead) = self.in_place(offset, bytes)?;
        let taken = self.taken(&instead, self.disk.write_at(file, offset, &instead))?;
        Ok(if taken == instead.len() { bytes.len() } else { taken })
    }

    fn sync_data(&self, file: &SimFile) -> io::Result<()> {
        if self.is(Mutant::FileCheckedEarly) {
            let (dir, slots) = (self.disk.open_dir(&self.dir)?, slot_file());
            let name = slots.file_name().unwrap_or_default();
            self.later().was_in = Some(self.disk.file_is_in(file, &dir, name)?);
        }
        let synced = match self.mutant {
            Mutant::NoDataSync => Ok(()),
            Mutant::NoDeltaSync if self.later().slots.is_delta => Ok(()),
            Mutant::RetryDataSync => {
                self.disk.sync_data(file).or_else(|_| self.disk.sync_data(file))
            }
            _ => self.disk.sync_data(file),
        };
        if self.is(Mutant::IgnoreDataSync) { Ok(()) } else { synced }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if is_of_marker(from) {
            return if self.is(Mutant::MarkerKept) {
                self.disk.remove(from)
            } else {
                self.disk.rename(from, to)
            };
        }
        let in_place = self.is(Mutant::NoTempFile) || self.is(Mutant::InPlace);
        if in_place || self.later().slots.is_found() {
            return Ok(());
        }
        let one = self.dir.join("temporary");
        let from = if self.is(Mutant::OneTempName) { &one } else { from };
        let renamed = self.disk.rename(from, to);
        let file = self.later().file.take();
        file.map_or(Ok(()), |file| self.disk.sync_file(&file))?;
        if self.is(Mutant::IgnoreRename) { Ok(()) } else { renamed }
    }

    fn sync_dir(&self, dir: &SimDir) -> io::Result<()> {
        let own = dir.is_at(&self.dir);
        let of_marker = own && std::mem::take(&mut self.later().of_marker);
        match self.mutant {
            Mutant::NoDirSync if own => Ok(()),
            Mutant::NoParentSync if !own => Ok(()),
            Mutant::MarkerUnsynced if of_marker => Ok(()),
            Mutant::RetryDirSync => self.disk.sync_dir(dir).or_else(|_| self.disk.sync_dir(dir)),
            Mutant::ReturnsBeforeDirSync if own => {
                self.later().dir = Some(dir.clone());
                Ok(())
            }
            _ => self.disk.sync_dir(dir),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let kept = match self.mutant {
            Mutant::NoTempCleanup => is_temp(path.as_os_str()),
            Mutant::InPlace => true,
            _ => false,
        };
        if kept { Ok(()) } else { self.disk.remove(path) }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Self::Lock>> {
        if self.is(Mutant::NoLock) {
            return Ok(Some(Arc::new(None)));
        }
        Ok(self.disk.try_lock(path)?.map(|lock| Arc::new(Some(lock))))
    }

    fn dir_is_at(&self, dir: &SimDir, path: &Path) -> io::Result<bool> {
        Ok(self.disk.dir_is_at(dir, path)? || self.is(Mutant::DirUnchecked))
    }

    fn lock_is_in(&self, lock: &Self::Lock, dir: &SimDir, name: &OsStr) -> io::Result<bool> {
        let Some(lock) = &**lock else { return Ok(true) };
        Ok(self.disk.lock_is_in(lock, dir, name)? || self.is(Mutant::LockUnchecked))
    }

    fn file_is_in(&self, file: &SimFile, dir: &SimDir, name: &OsStr) -> io::Result<bool> {
        use Mutant::{FileUnchecked, FirstSaveInPlace, InPlace};
        if let Some(was_in) = self.later().was_in.take() {
            return Ok(was_in);
        }
        let unchecked = matches!(self.mutant, FileUnchecked | FirstSaveInPlace | InPlace);
        Ok(self.disk.file_is_in(file, dir, name)? || unchecked)
    }
}
