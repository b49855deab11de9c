//! How a directory becomes ready for a store: found, created, and durable in its parents.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, Kind};

/// A store could not be opened. No checkpoint was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// Another store, in this or another process, holds the directory.
    #[error(
        "checkpoint directory {dir} is in use: one follower owns a directory; stop the other one \
         or give each its own", dir = .dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Something else stands where the directory should be.
    #[error("{path} is not a directory: move it away or name another", path = .path.display())]
    NotADirectory {
        /// The place.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to {act} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The absolute path of a directory that may not exist yet, with every symbolic link followed.
pub(super) fn resolved(dir: &Path) -> Result<PathBuf, OpenStoreError> {
    let find = "find the absolute path of";
    let absolute = std::path::absolute(dir).map_err(failed(find, dir))?;
    for ancestor in absolute.ancestors() {
        match std::fs::canonicalize(ancestor) {
            Ok(real) => return Ok(real.join(absolute.strip_prefix(ancestor).unwrap_or(dir))),
            Err(err) if is_missing(&err) => {}
            Err(err) => return Err(failed(find, ancestor)(err)),
        }
    }
    Ok(absolute)
}

/// Open step 1. The parents of directories that were there are synced as well, as far as this
/// process may: whoever made them may have died before that.
pub(super) fn create_dirs(disk: &impl Disk, dir: &Path) -> Result<(), OpenStoreError> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|a| !a.as_os_str().is_empty()) {
        match disk.kind(ancestor) {
            Ok(Kind::Dir | Kind::Symlink) => break,
            Ok(Kind::File | Kind::Other) => {
                return Err(OpenStoreError::NotADirectory { path: ancestor.to_owned() });
            }
            // Below something that is not a directory: that one is found further up.
            Err(err) if is_missing(&err) => missing.push(ancestor),
            Err(err) => return Err(failed("look at", ancestor)(err)),
        }
    }
    for new in missing.iter().rev() {
        match disk.create_dir(new) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", new)(err));
            }
            Ok(()) | Err(_) => {}
        }
    }
    for (depth, parent) in dir.ancestors().skip(1).enumerate() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match disk.open_dir(parent).and_then(|open| disk.sync_dir(&open)) {
            Err(err) if depth < missing.len() || !may_not_sync(&err) => {
                return Err(failed("sync the directory", parent)(err));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn is_missing(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a directory belongs to others, who have made it durable themselves.
fn may_not_sync(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(err.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported)
}

pub(super) fn failed<'a>(
    act: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> OpenStoreError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::NotADirectory => OpenStoreError::NotADirectory { path: path.to_owned() },
        _ => OpenStoreError::Io { act, path: path.to_owned(), source },
    }
}
