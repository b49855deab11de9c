//! Reads the bytes of a `-wal` file while another process writes it.
//!
//! The file is opened directly. For a database file that would be wrong, as closing it drops every
//! POSIX lock of the process on it. SQLite never locks the `-wal` file. The last process to close a
//! database may remove the file, and the next one creates another.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::durable::beside;

/// A log file, which may be missing, replaced or rewritten at any time.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// Where to keep a copy as of the last sync, to simulate power cuts.
    image: Option<PathBuf>,
}

/// An I/O error on a log file.
#[derive(Debug, Error)]
#[error("cannot {act} the log {}", path.display())]
pub(crate) struct LogFileError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl LogFile {
    pub(crate) fn new(path: &Path) -> LogFile {
        LogFile { path: path.to_owned(), file: None, image: None }
    }

    pub(crate) fn keep_image(&mut self, image: PathBuf) {
        self.image = Some(image);
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads into `bytes` from `offset` on. Returns the number of bytes read: fewer than requested
    /// at the end of the file, and 0 without a file.
    pub(crate) fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> Result<usize, LogFileError> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
                Err(e) => return Err(self.failed("open")(e)),
            };
        }
        let Some(file) = &self.file else { return Ok(0) };
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed("read")(e)),
            }
        }
        Ok(filled)
    }

    /// The length of the open file, or 0 without one.
    pub(crate) fn length(&self) -> Result<u64, LogFileError> {
        let Some(file) = &self.file else { return Ok(0) };
        Ok(file.metadata().map_err(self.failed("stat"))?.len())
    }

    /// Makes the contents of the open file durable, also what other processes wrote.
    pub(crate) fn sync(&self) -> Result<(), LogFileError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.sync_data().map_err(self.failed("sync"))?;
        if let Some(image) = &self.image {
            let temp = beside(image, ".tmp");
            let copied = fs::copy(&self.path, &temp).and_then(|_| fs::rename(&temp, image));
            copied.map_err(self.failed("copy"))?;
        }
        Ok(())
    }

    /// Closes the open file if another one is at the path, so that the next read opens that one.
    pub(crate) fn reopen_if_replaced(&mut self) -> Result<(), LogFileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let open = file.metadata().map_err(self.failed("stat"))?;
        let replaced = match fs::metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) != (open.dev(), open.ino()),
            Err(e) if e.kind() == ErrorKind::NotFound => true,
            Err(e) => return Err(self.failed("stat")(e)),
        };
        if replaced {
            self.file = None;
        }
        Ok(())
    }

    fn failed(&self, act: &'static str) -> impl FnOnce(io::Error) -> LogFileError + use<> {
        let path = self.path.clone();
        move |source| LogFileError { act, path, source }
    }
}
