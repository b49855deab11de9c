//! How does a small file reach its place whole or not at all?
//!
//! Restart records, positions and floors are one small JSON document each, behind a line with its
//! CRC32C, replaced by rename. What is read is either what somebody wrote or a [`FileError`].

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A small file could not be written or read.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// How far a file has to get before [`save`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The disk: it survives a power cut.
    Disk,
    /// The page cache: it survives the death of the process. After a power cut the older file, or
    /// a damaged one, may stand there instead.
    Cache,
}

/// Replaces the file at `path` by `value`: write beside it, sync, rename, sync the folder.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T, reach: Reach) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let body = serde_json::to_vec(value).map_err(|e| failed(e.into()))?;
    write_and_rename(path, &body, reach).map_err(failed)
}

fn write_and_rename(path: &Path, body: &[u8], reach: Reach) -> io::Result<()> {
    let temp = beside(path, ".tmp");
    let mut file = File::create(&temp)?;
    file.write_all(format!("crc32c {:08x}\n", crc32c::crc32c(body)).as_bytes())?;
    file.write_all(body)?;
    if reach == Reach::Disk {
        file.sync_all()?;
    }
    fs::rename(&temp, path)?;
    match reach {
        Reach::Disk => sync_folder_of(path),
        Reach::Cache => Ok(()),
    }
}

/// The value that [`save`] left at `path`; `None` where there is no file.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    let damaged = |reason: String| FileError::Damaged { path: path.to_owned(), reason };
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return Err(damaged(format!("none of its {} bytes ends its first line", bytes.len())));
    };
    let (line, body) = (&bytes[..end], &bytes[end + 1..]);
    if line != format!("crc32c {:08x}", crc32c::crc32c(body)).as_bytes() {
        return Err(damaged("its checksum does not match".to_owned()));
    }
    serde_json::from_slice(body).map(Some).map_err(|e| damaged(e.to_string()))
}

/// Removes the file at `path`, durably; one that is not there is as good.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    };
    removed.map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    File::open(folder)?.sync_all()
}

/// `path` with `suffix` after its last character.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_back_and_every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(load::<Vec<u32>>(&path).unwrap(), None);
        save(&path, &[1_u32, 2, 3], Reach::Disk).unwrap();
        assert_eq!(load::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2, 3]));

        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            assert!(matches!(load::<Vec<u32>>(&path), Err(FileError::Damaged { .. })), "bit {bit}");
        }
        for short in 0..good.len() {
            fs::write(&path, &good[..short]).unwrap();
            assert!(matches!(load::<Vec<u32>>(&path), Err(FileError::Damaged { .. })));
        }
    }
}
