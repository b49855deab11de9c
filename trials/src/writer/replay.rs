//! Repeats the calls of a writer on a simulated disk.

use std::collections::BTreeMap;
use std::io;

use repl_checkpoint::Disk;
use repl_harness::crash::{SimDisk, SimFile};

use super::event::{CallRecord, Operation};

/// A simulated disk on which the calls of a writer are repeated.
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

    /// Makes one call. A call that failed may be done or not: it is made, since a pending change
    /// may also be lost. A sync that failed is not made: the dirty sectors may hold what it wrote.
    pub(super) fn make(&mut self, call: &CallRecord, bytes: &[u8]) -> io::Result<()> {
        let result = self.apply(&call.operation, bytes, call.failed.is_some());
        if call.failed.is_some() { Ok(()) } else { result }
    }

    fn apply(&mut self, operation: &Operation, bytes: &[u8], failed: bool) -> io::Result<()> {
        let disk = self.disk.clone();
        match operation {
            Operation::Look(_) => Ok(()),
            Operation::SyncFile(_) | Operation::SyncData(_) | Operation::SyncDir(_) if failed => {
                Ok(())
            }
            Operation::CreateDir(path) => disk.create_dir(path),
            Operation::Lock(path) => disk.try_lock(path).map(|_| ()),
            Operation::Create(path, number) => {
                let file = disk.create_new(path)?;
                self.files.insert(*number, file);
                Ok(())
            }
            Operation::Write(number, taken) => {
                let taken = taken.unwrap_or(bytes.len());
                disk.write(self.file(*number)?, &bytes[..taken]).map(|_| ())
            }
            Operation::WriteAt(number, offset, taken) => {
                let taken = taken.unwrap_or(bytes.len());
                disk.write_at(self.file(*number)?, *offset, &bytes[..taken]).map(|_| ())
            }
            Operation::SyncFile(number) => disk.sync_file(self.file(*number)?),
            Operation::SyncData(number) => disk.sync_data(self.file(*number)?),
            Operation::Rename(from, to) => disk.rename(from, to),
            Operation::SyncDir(path) => disk.sync_dir(&disk.open_dir(path)?),
            Operation::Remove(path) => disk.remove(path),
        }
    }

    fn file(&mut self, number: u32) -> io::Result<&mut SimFile> {
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
