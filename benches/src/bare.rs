//! The bare work of a checkpoint, which every design needs.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Copies the bytes, and computes the checksum of the copy.
pub fn copy_and_checksum(bytes: &[u8]) -> (Vec<u8>, u32) {
    let copy = bytes.to_vec();
    let crc = crc32c::crc32c(&copy);
    (copy, crc)
}

/// The system calls of a save to a new file, without any checks.
#[derive(Debug)]
pub struct Saves {
    dir: PathBuf,
    open_dir: File,
    number: u64,
}

impl Saves {
    /// Creates the directory `dir`.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir(dir)?;
        Ok(Saves { dir: dir.to_owned(), open_dir: File::open(dir)?, number: 0 })
    }

    /// Creates a file, writes, syncs and renames it, syncs the directory, and removes the file
    /// before the last.
    ///
    /// # Errors
    /// If a call fails.
    pub fn save(&mut self, bytes: &[u8]) -> Result<()> {
        self.number += 1;
        let temp = self.dir.join(format!("{}.temp", self.number));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&temp, self.dir.join(self.number.to_string()))?;
        self.open_dir.sync_all()?;
        if self.number > 2 {
            std::fs::remove_file(self.dir.join((self.number - 2).to_string()))?;
        }
        Ok(())
    }
}

/// A write in place and a sync of the data, in three slots of one file in turn.
#[derive(Debug)]
pub struct InPlace {
    file: File,
    slot: u64,
    number: u64,
}

impl InPlace {
    /// Creates a file with three slots for `length` bytes.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn new(path: &Path, length: usize) -> Result<Self> {
        let slot = length.next_multiple_of(4096);
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&vec![0; 3 * slot])?;
        file.sync_all()?;
        Ok(InPlace { file, slot: slot as u64, number: 0 })
    }

    /// Writes and syncs.
    ///
    /// # Errors
    /// If a call fails.
    pub fn save(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(bytes)?;
        self.file.sync_data()
    }

    /// Writes.
    ///
    /// # Errors
    /// If the call fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.number += 1;
        self.file.write_all_at(bytes, self.number % 3 * self.slot)
    }
}

/// An open directory with a locked file in it, and the names there.
#[derive(Debug)]
pub struct Opened {
    _lock: File,
    _dir: File,
    /// The names in the directory.
    pub names: Vec<OsString>,
}

/// Looks at a directory, locks a file in it, opens the directory, and lists it.
///
/// # Errors
/// If a call fails.
pub fn open_existing(dir: &Path) -> Result<Opened> {
    std::fs::symlink_metadata(dir)?;
    locked(dir)
}

/// Creates a directory, syncs its parent, and does the rest as [`open_existing`].
///
/// # Errors
/// If a call fails.
pub fn open_new(dir: &Path) -> Result<Opened> {
    std::fs::create_dir(dir)?;
    File::open(dir.parent().unwrap_or(dir))?.sync_all()?;
    locked(dir)
}

fn locked(dir: &Path) -> Result<Opened> {
    let lock = dir.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock)?;
    lock.try_lock()?;
    let open = File::open(dir)?;
    let names =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    Ok(Opened { _lock: lock, _dir: open, names })
}
