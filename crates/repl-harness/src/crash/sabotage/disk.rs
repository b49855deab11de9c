//! What is done wrong between the store and the disk.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::{Disk, Kind};

use super::Sabotage;
use crate::crash::disk::{SimDir, SimDisk, SimFile, SimLock};

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
        let newest = names.iter().filter(|name| is_checkpoint(name)).max();
        Ok(newest.map(|name| self.dir.join(name)))
    }

    fn remove_all(&self) -> io::Result<()> {
        let names = self.disk.list(&self.dir)?;
        let old = names.iter().filter(|name| is_checkpoint(name));
        old.into_iter().try_for_each(|name| self.disk.remove(&self.dir.join(name)))
    }
}

fn is_checkpoint(name: &OsString) -> bool {
    name.to_string_lossy().ends_with(".checkpoint")
}

fn is_temp(path: &Path) -> bool {
    path.to_string_lossy().contains(".temp-")
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
        self.disk.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Kind> {
        self.disk.kind(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        self.catch_up()?;
        match self.wrong {
            Sabotage::NoTempFile => self.disk.create_new(&Self::final_name(path)),
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
        match self.disk.write(file, bytes) {
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
        self.disk.write_at(file, offset, bytes)
    }

    fn sync_data(&self, file: &SimFile) -> io::Result<()> {
        self.disk.sync_data(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.is(Sabotage::NoTempFile) || self.is(Sabotage::InPlace) {
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
            Sabotage::NoTempCleanup => is_temp(path),
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
