//! The names of the files of a store.

use std::ffi::OsString;
use std::path::Path;

use repl_checkpoint::Generation;

/// The file of a `SlotStore` that has a directory of its own.
pub(crate) const SLOT_FILE: &str = "marks.slots";
/// The extension of a checkpoint file of a `FileStore`.
pub(crate) const EXTENSION: &str = "checkpoint";

/// The lock file of a store that has a directory of its own.
pub(crate) const LOCK: &str = "repl-checkpoint.lock";
/// The file that says that such a store has saved.
pub(crate) const MARKER: &str = "repl-checkpoint.marker";

/// The directory of a path; the working directory for a name alone.
pub(crate) fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// The generation in the name of a checkpoint file.
pub(crate) fn generation_of(name: &OsString) -> Option<Generation> {
    let digits = name.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let is_number = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}
