//! Whether an open file is still the one at its path.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The device and the inode of an open file. They stay as long as it is open.
pub(super) type Place = (u64, u64);

pub(super) fn place_of(file: &File) -> io::Result<Place> {
    file.metadata().map(|found| (found.dev(), found.ino()))
}

/// Whether the file of this place is at `path`.
pub(super) fn is_place(place: Place, path: &Path) -> io::Result<bool> {
    is_found(place, fs::symlink_metadata(path))
}

/// Whether the directory of this place is at `path`, or where a symbolic link there leads.
pub(super) fn is_dir_place(place: Place, path: &Path) -> io::Result<bool> {
    is_found(place, fs::metadata(path))
}

fn is_found(place: Place, found: io::Result<Metadata>) -> io::Result<bool> {
    match found {
        Ok(there) => Ok(place == (there.dev(), there.ino())),
        Err(err) if is_missing(&err) => Ok(false),
        Err(err) => Err(err),
    }
}

/// Whether `file` is the file at `path`.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    is_place(place_of(file)?, path)
}

fn is_missing(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
