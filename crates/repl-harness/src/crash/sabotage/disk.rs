//! What is done wrong between the store and the disk.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::{Disk, FileKind};

use super::Sabotage;
use super::slots::{InSlots, read_wrong_slots};
use crate::crash::disk::{SimDir, SimDisk, SimFile, SimLock, is_temp};
use crate::crash::protocol::{is_kept, slot_file};

/// A disk that passes calls on, but for one wrong.
pub(crate) struct WrongDisk {
    disk: SimDisk,
    wrong: Sabotage,
    /// The store's directory.
    dir: PathBuf,
    later: Mutex<Later>,
}

/// What is put off to a later call.
#[derive(Default)]
struct Later {
    file: Option<SimFile>,
    dir: Option<SimDir>,
    /// Where the bytes of an overwritten file go next.
    offset: u64,
    slots: InSlots,
}

impl WrongDisk {
    pub(crate) fn new(disk: SimDisk, wrong: Sabotage, dir: &Path) -> Self {
        WrongDisk { disk, wrong, dir: dir.to_owned(), later: Mutex::default() }
    }

    fn is(&self, wrong: Sabotage) -> bool {
        self.wrong == wrong
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before every call but one that sees nothing of names.
    fn catch_up(&self) -> io::Result<()> {
        let dir = self.later().dir.take();
        dir.map_or(Ok(()), |dir| self.disk.sync_dir(&dir))
    }

    fn final_name(temp: &Path) -> PathBuf {
        let name = temp.to_string_lossy();
        name.split_once(".temp-").map_or_else(|| temp.to_owned(), |(name, _)| name.into())
    }

    fn newest(&self) -> io::Result<Option<PathBuf>> {
        let names = self.disk.list(&self.dir)?;
        let newest = names.iter().filter(|name| is_kept(&self.dir.join(name))).max();
        Ok(newest.map(|name| self.dir.join(name)))
    }

    fn remove_all(&self) -> io::Result<()> {
        let names = self.disk.list(&self.dir)?;
        let paths = names.iter().map(|name| self.dir.join(name));
        paths.filter(|path| is_kept(path)).try_for_each(|path| self.disk.remove(&path))
    }

    /// Under its final name; what is there makes room.
    fn create_final(&self, temp: &Path) -> io::Result<SimFile> {
        let path = Self::final_name(temp);
        match self.disk.create_new(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&path)?;
                self.disk.create_new(&path)
            }
            created => created,
        }
    }

    /// The slot file that was found, to be written in place; `None` where there is none.
    fn open_found(&self) -> io::Result<Option<SimFile>> {
        let Ok(file) = self.disk.open_write(&slot_file()) else {
            return Ok(None);
        };
        self.later().slots.found(&self.disk.read(&slot_file())?);
        Ok(Some(file))
    }

    fn taken(&self, bytes: &[u8], result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(_) if self.is(Sabotage::IgnoreShortWrite) => Ok(bytes.len()),
            Err(err)
                if self.is(Sabotage::IgnoreFullDisk)
                    && err.kind() == io::ErrorKind::StorageFull =>
            {
                Ok(bytes.len())
            }
            result => result,
        }
    }
}

impl Disk for WrongDisk {
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
        if self.is(Sabotage::TempAdopted) && dir == self.dir {
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

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = self.disk.read(path)?;
        Ok(if path == slot_file() { read_wrong_slots(self.wrong, &bytes) } else { bytes })
    }

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        self.catch_up()?;
        self.later().slots = InSlots::default();
        match self.wrong {
            Sabotage::NoTempFile => self.create_final(path),
            Sabotage::FoundInPlace => match self.open_found()? {
                Some(file) => Ok(file),
                None => self.disk.create_new(path),
            },
            Sabotage::OneTempName => match self.disk.create_new(&self.dir.join("temporary")) {
                Err(_) => Err(io::ErrorKind::PermissionDenied.into()),
                created => created,
            },
            Sabotage::InPlace => {
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
            Sabotage::RemoveFirst => {
                self.remove_all()?;
                self.disk.create_new(path)
            }
            _ => self.disk.create_new(path),
        }
    }

    fn write(&self, file: &mut SimFile, bytes: &[u8]) -> io::Result<usize> {
        if self.is(Sabotage::InPlace) {
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
        match self.wrong {
            Sabotage::NoFileSync => Ok(()),
            Sabotage::RenameBeforeSync => {
                self.later().file = Some(file.clone());
                Ok(())
            }
            Sabotage::RetryFileSync => {
                self.disk.sync_file(file).or_else(|_| self.disk.sync_file(file))
            }
            _ => self.disk.sync_file(file),
        }
    }

    fn write_at(&self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let offset = self.later().slots.in_place(self.wrong, offset);
        if self.is(Sabotage::RestLeft) {
            let length = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            let taken = self.disk.write_at(file, offset, &bytes[..length])?;
            return Ok(if taken == length { bytes.len() } else { taken });
        }
        self.taken(bytes, self.disk.write_at(file, offset, bytes))
    }

    fn sync_data(&self, file: &SimFile) -> io::Result<()> {
        let synced = match self.wrong {
            Sabotage::NoDataSync => Ok(()),
            Sabotage::RetryDataSync => {
                self.disk.sync_data(file).or_else(|_| self.disk.sync_data(file))
            }
            _ => self.disk.sync_data(file),
        };
        self.later().slots.turn += 1;
        if self.is(Sabotage::IgnoreDataSync) { Ok(()) } else { synced }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let in_place = self.is(Sabotage::NoTempFile) || self.is(Sabotage::InPlace);
        if in_place || self.later().slots.is_found() {
            return Ok(());
        }
        let one = self.dir.join("temporary");
        let from = if self.is(Sabotage::OneTempName) { &one } else { from };
        let renamed = self.disk.rename(from, to);
        let file = self.later().file.take();
        file.map_or(Ok(()), |file| self.disk.sync_file(&file))?;
        if self.is(Sabotage::IgnoreRename) { Ok(()) } else { renamed }
    }

    fn sync_dir(&self, dir: &SimDir) -> io::Result<()> {
        let own = dir.is_at(&self.dir);
        match self.wrong {
            Sabotage::NoDirSync if own => Ok(()),
            Sabotage::NoParentSync if !own => Ok(()),
            Sabotage::RetryDirSync => self.disk.sync_dir(dir).or_else(|_| self.disk.sync_dir(dir)),
            Sabotage::MarksBeforeStep5 if own => {
                self.later().dir = Some(dir.clone());
                Ok(())
            }
            _ => self.disk.sync_dir(dir),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let kept = match self.wrong {
            Sabotage::NoTempCleanup => is_temp(path.as_os_str()),
            Sabotage::InPlace => true,
            _ => false,
        };
        if kept { Ok(()) } else { self.disk.remove(path) }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Self::Lock>> {
        if self.is(Sabotage::NoLock) {
            return Ok(Some(Arc::new(None)));
        }
        Ok(self.disk.try_lock(path)?.map(|lock| Arc::new(Some(lock))))
    }
}
