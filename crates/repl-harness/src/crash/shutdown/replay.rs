//! The calls of a writer, made again on a simulated disk.

use std::collections::BTreeMap;
use std::io;

use repl_checkpoint::Disk;

use super::super::disk::{SimDisk, SimFile};
use super::event::{Act, Made};

/// A simulated disk that is led through what a real one was asked to do.
pub(super) struct Replay {
    disk: SimDisk,
    files: BTreeMap<u32, SimFile>,
}

impl Replay {
    pub(super) fn new(disk: SimDisk) -> Self {
        Replay { disk, files: BTreeMap::new() }
    }

    pub(super) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// Makes one call. One that failed may be done or not. Done, it is pending, and what is pending
    /// may be lost: so it is made. A sync that failed is not: that it wrote something is among
    /// what the dirty sectors may hold.
    pub(super) fn make(&mut self, made: &Made, bytes: &[u8]) -> io::Result<()> {
        let result = self.act(&made.act, bytes, made.failed.is_some());
        if made.failed.is_some() { Ok(()) } else { result }
    }

    fn act(&mut self, act: &Act, bytes: &[u8], failed: bool) -> io::Result<()> {
        let disk = self.disk.clone();
        match act {
            Act::Look(_) => Ok(()),
            Act::SyncFile(_) | Act::SyncData(_) | Act::SyncDir(_) if failed => Ok(()),
            Act::CreateDir(path) => disk.create_dir(path),
            Act::Lock(path) => disk.try_lock(path).map(|_| ()),
            Act::Create(path, number) => {
                let file = disk.create_new(path)?;
                self.files.insert(*number, file);
                Ok(())
            }
            Act::Write(number, taken) => {
                let taken = taken.unwrap_or(bytes.len());
                disk.write(self.file(*number)?, &bytes[..taken]).map(|_| ())
            }
            Act::WriteAt(number, offset, taken) => {
                let taken = taken.unwrap_or(bytes.len());
                disk.write_at(self.file(*number)?, *offset, &bytes[..taken]).map(|_| ())
            }
            Act::SyncFile(number) => disk.sync_file(self.file(*number)?),
            Act::SyncData(number) => disk.sync_data(self.file(*number)?),
            Act::Rename(from, to) => disk.rename(from, to),
            Act::SyncDir(path) => disk.sync_dir(&disk.open_dir(path)?),
            Act::Remove(path) => disk.remove(path),
        }
    }

    fn file(&mut self, number: u32) -> io::Result<&mut SimFile> {
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
