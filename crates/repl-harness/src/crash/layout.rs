//! Paths, names and sizes of what the stores under test keep on the simulated disk.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use repl_checkpoint::StoreId;

pub(crate) const STORE_ID: StoreId = StoreId(0x00c0_ffee);
/// The store's directory. Neither it nor its parent exists at first.
pub(crate) const DIR: &str = "/data/marks";
const SLOT_FILE: &str = "/data/marks/marks.slots";
/// The length of a slot file's first page: docs/format.md.
pub(crate) const PAGE: usize = 4096;
/// The offset of the payload in a sealed checkpoint: docs/format.md.
pub(crate) const PAYLOAD: usize = 197;
/// What the unused bytes of a slot are: docs/format.md.
pub(crate) const UNUSED: u8 = 0xff;
/// The number of slots behind that page.
pub(crate) const SLOTS: usize = 3;

/// The path of the slot file.
pub(crate) fn slot_file() -> PathBuf {
    PathBuf::from(SLOT_FILE)
}

/// The path of the file that says that a checkpoint was saved.
pub(crate) fn marker() -> PathBuf {
    Path::new(DIR).join("repl-checkpoint.marker")
}

/// Whether this is the name of a marker, which no process reads.
pub(crate) fn is_marker(name: &OsStr) -> bool {
    name == "repl-checkpoint.marker"
}

/// Whether this is the marker, or what it is made of.
pub(crate) fn is_of_marker(path: &Path) -> bool {
    path.to_string_lossy().starts_with(&*marker().to_string_lossy())
}

/// The path of the lock file.
pub(crate) fn lock_file() -> PathBuf {
    Path::new(DIR).join("repl-checkpoint.lock")
}

/// Whether a file with this path holds a checkpoint that a process would read.
pub(crate) fn is_checkpoint(path: &Path) -> bool {
    path == Path::new(SLOT_FILE) || path.extension().is_some_and(|e| e == "checkpoint")
}

/// Whether this is the name of a temporary file: a process that finds one only removes it.
pub(crate) fn is_temp(name: &OsStr) -> bool {
    name.to_string_lossy().contains(".temp-")
}

/// A path below the store's directory, without the part that is unique to one process.
pub(crate) fn short(path: &Path) -> String {
    let name = path.strip_prefix(DIR).unwrap_or(path).to_string_lossy();
    let name = if name.is_empty() { DIR.into() } else { name };
    match name.split_once(".temp-") {
        Some((name, unique)) => {
            format!("{name}.temp-{}", unique.split_once('-').map_or("", |(_, n)| n))
        }
        None => name.into_owned(),
    }
}
