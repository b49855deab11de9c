//! Small files that are replaced atomically.
//!
//! Restart records, positions and floors are one small JSON document each, behind a line with its
//! CRC32C, replaced by rename. A read returns what was written or a [`FileError`].

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// An error while writing or reading a small file.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is corrupt: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
}

/// How durable a file is when [`save`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// On the disk: the file survives a power cut.
    Disk,
    /// In the page cache: the file survives the end of the process. A power cut may leave the older
    /// file, or a corrupt one.
    Cache,
}

/// Replaces the file at `path` by `value`: writes a temporary file, syncs it, renames it, and syncs
/// the folder.
pub(crate) fn save<T: Serialize>(
    path: &Path,
    value: &T,
    durability: Durability,
) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let body = serde_json::to_vec(value).map_err(|e| failed(e.into()))?;
    write_and_rename(path, &body, durability).map_err(failed)
}

fn write_and_rename(path: &Path, body: &[u8], durability: Durability) -> io::Result<()> {
    let temp = beside(path, ".tmp");
    let mut file = File::create(&temp)?;
    file.write_all(format!("crc32c {:08x}\n", crc32c::crc32c(body)).as_bytes())?;
    file.write_all(body)?;
    if durability == Durability::Disk {
        file.sync_all()?;
    }
    fs::rename(&temp, path)?;
    match durability {
        Durability::Disk => sync_folder_of(path),
        Durability::Cache => Ok(()),
    }
}

/// Reads the value that [`save`] wrote to `path`; `None` if there is no file.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    let corrupt = |reason: String| FileError::Corrupt { path: path.to_owned(), reason };
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return Err(corrupt(format!("none of its {} bytes ends the first line", bytes.len())));
    };
    let (line, body) = (&bytes[..end], &bytes[end + 1..]);
    if line != format!("crc32c {:08x}", crc32c::crc32c(body)).as_bytes() {
        return Err(corrupt("its checksum does not match".to_owned()));
    }
    serde_json::from_slice(body).map(Some).map_err(|e| corrupt(e.to_string()))
}

/// Removes the file at `path` durably, if it exists.
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
    fn a_file_is_read_back_and_every_flipped_bit_or_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(load::<Vec<u32>>(&path).unwrap(), None);
        save(&path, &[1_u32, 2, 3], Durability::Disk).unwrap();
        assert_eq!(load::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2, 3]));

        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            assert!(matches!(load::<Vec<u32>>(&path), Err(FileError::Corrupt { .. })), "bit {bit}");
        }
        for short in 0..good.len() {
            fs::write(&path, &good[..short]).unwrap();
            assert!(matches!(load::<Vec<u32>>(&path), Err(FileError::Corrupt { .. })));
        }
    }
}
