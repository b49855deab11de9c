//! The bare work below a checkpoint: what no design can do without.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A copy of the bytes, and its checksum.
pub fn copy_and_checksum(bytes: &[u8]) -> (Vec<u8>, u32) {
    let copy = bytes.to_vec();
    let crc = crc32c::crc32c(&copy);
    (copy, crc)
}

/// The system calls of a save, without a check between them.
#[derive(Debug)]
pub struct Saves {
    dir: PathBuf,
    open_dir: File,
    number: u64,
}

impl Saves {
    /// Into a new directory.
    ///
    /// # Errors
    /// Where the directory cannot be created.
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir(dir)?;
        Ok(Saves { dir: dir.to_owned(), open_dir: File::open(dir)?, number: 0 })
    }

    /// Create, write, sync, rename, sync the directory, remove the one before the last.
    ///
    /// # Errors
    /// Where one of the calls fails.
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

/// A write in place and a sync of the data, in three places of one file by turns.
#[derive(Debug)]
pub struct InPlace {
    file: File,
    slot: u64,
    number: u64,
}

impl InPlace {
    /// Into a new file, with room for so many bytes three times.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub fn new(path: &Path, length: usize) -> Result<Self> {
        let slot = length.next_multiple_of(4096);
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&vec![0; 3 * slot])?;
        file.sync_all()?;
        Ok(InPlace { file, slot: slot as u64, number: 0 })
    }

    /// Write and sync.
    ///
    /// # Errors
    /// Where one of the calls fails.
    pub fn save(&mut self, bytes: &[u8]) -> Result<()> {
        self.number += 1;
        self.file.write_all_at(bytes, self.number % 3 * self.slot)?;
        self.file.sync_data()
    }
}
