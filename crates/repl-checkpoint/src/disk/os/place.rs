//! Whether an open file is still the one at its path.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::OsDir;

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

/// The device and the inode of an open file. They stay as long as it is open.
pub(super) type Place = (u64, u64);

pub(super) fn place_of(file: &File) -> io::Result<Place> {
    #[cfg(target_os = "linux")]
    if let Some(place) = asked(file, Path::new(""), AtFlags::EMPTY_PATH) {
        return Ok(place);
    }
    file.metadata().map(|found| of(&found))
}

/// Whether the file of this place is at `path`.
pub(super) fn is_place(place: Place, path: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    if let Some(found) = asked(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        return Ok(found == place);
    }
    is_found(place, fs::symlink_metadata(path))
}

/// Whether the directory of this place is at `path`, or where a symbolic link there leads.
pub(super) fn is_dir_place(place: Place, path: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    if let Some(found) = asked(CWD, path, AtFlags::empty()) {
        return Ok(found == place);
    }
    is_found(place, fs::metadata(path))
}

fn is_found(place: Place, found: io::Result<Metadata>) -> io::Result<bool> {
    match found {
        Ok(there) => Ok(place == of(&there)),
        Err(err) if is_missing(&err) => Ok(false),
        Err(err) => Err(err),
    }
}

fn of(found: &Metadata) -> Place {
    (found.dev(), found.ino())
}

/// Whether the file of this place has this name in a directory.
pub(super) fn is_place_in(place: Place, dir: &OsDir, name: &OsStr) -> io::Result<bool> {
    // Without a walk over the whole path.
    #[cfg(target_os = "linux")]
    if let Some(found) = asked(&dir.open, Path::new(name), AtFlags::SYMLINK_NOFOLLOW) {
        return Ok(found == place);
    }
    is_place(place, &dir.path.join(name))
}

fn is_missing(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The place of a file, where the kernel gives it without the file's times.
///
/// Since Linux 6.13 a write after the times were asked for gets a time of its own, which costs a
/// save in place half as much again: the inode is then logged with every save.
#[cfg(target_os = "linux")]
fn asked(dir: impl std::os::fd::AsFd, path: &Path, how: AtFlags) -> Option<Place> {
    let found = statx(dir, path, how, StatxFlags::INO).ok()?;
    Some((makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino))
}
