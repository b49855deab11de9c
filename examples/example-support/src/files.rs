//! Small files that are replaced atomically: one JSON document behind a line with its CRC32C.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context, Error};
use crate::threads::try_for;

/// Replaces the file at `path` by `value` durably: writes a temporary file, syncs it, renames it,
/// and syncs the folder.
pub fn save(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write(path, value, true)
}

/// Replaces the file at `path` by `value`, which survives the end of the process. A power cut may
/// leave the older file, or a corrupt one.
pub fn save_in_cache(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    write(path, value, false)
}

fn write(path: &Path, value: &impl Serialize, durable: bool) -> Result<(), Error> {
    let write = || -> Result<(), Error> {
        let body = serde_json::to_vec(value)?;
        let temp = beside(path, ".tmp");
        let mut file = File::create(&temp)?;
        file.write_all(&first_line(&body))?;
        file.write_all(&body)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temp, path)?;
        if durable {
            sync_folder_of(path)?;
        }
        Ok(())
    };
    write().at("write", path)
}

/// Returns the value that was saved to `path`, or `None` if there is no file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.at("read", path)?,
    };
    let line_end = bytes.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
    let (line, body) = bytes.split_at(line_end);
    let value = (line == first_line(body)).then(|| serde_json::from_slice(body).ok()).flatten();
    value.map(Some).ok_or_else(|| Corrupt(path.to_owned()).into())
}

/// A file does not hold what was saved to it.
#[derive(Debug, thiserror::Error)]
#[error("{} is corrupt", .0.display())]
pub struct Corrupt(PathBuf);

fn first_line(body: &[u8]) -> Vec<u8> {
    format!("crc32c {:08x}\n", crc32c::crc32c(body)).into_bytes()
}

/// Locks the file at `path`, waiting for another process to let go of it.
pub fn lock(path: &Path, patience: Duration) -> Result<File, Error> {
    let file = File::create(path).at("create", path)?;
    let locked = try_for(patience, || match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        locked => locked.at("lock", path).map(Some),
    })?;
    let in_use = || format!("{} is in use by another run", path.display()).into();
    locked.map(|()| file).ok_or_else(in_use)
}

/// Removes the file at `path` durably, if it exists.
pub fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder_of(path)),
    };
    removed.at("remove", path)
}

/// Makes the names in the folder of `path` durable.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    File::open(folder)?.sync_all()
}

/// Replaces the file at `to` by a copy of the one at `from`.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let temp = beside(to, ".tmp");
    fs::copy(from, &temp)?;
    fs::rename(&temp, to)
}

/// Returns the names in a folder that are numbers: none if there is no folder.
pub fn numbers_in(folder: &Path) -> Result<BTreeSet<u64>, Error> {
    let paths = paths_in(folder)?.into_iter();
    Ok(paths.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
}

/// Returns the checkpoints that a store has saved in a folder, the newest last: none if there is no
/// folder.
pub fn checkpoints_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = paths_in(folder)?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    paths.sort();
    Ok(paths)
}

/// Returns the paths of what is in a folder: none if there is no folder.
pub(crate) fn paths_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    match list() {
        Err(e) if io::Error::kind(&e) == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.at("list", folder),
    }
}

/// Returns `path` with `suffix` after its last character.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
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
        save(&path, &[1_u32, 2, 3]).unwrap();
        assert_eq!(load::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2, 3]));

        let good = fs::read(&path).unwrap();
        let is_corrupt = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            load::<Vec<u32>>(&path).is_err_and(|e| e.is::<Corrupt>())
        };
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(is_corrupt(&bad), "bit {bit}");
        }
        assert!((0..good.len()).all(|short| is_corrupt(&good[..short])));
    }
}
