//! Which store is at a path, and which codec wrote it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use repl_checkpoint::{BincodeCodec, Codec, Disk, JsonCodec, OsDisk};

use crate::apart::check_one_kind;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::{EXTENSION, LOCK, MARKER, SLOT_FILE, generation_of, parent};
use crate::wording::shown;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The directory of a `FileStore`, or one that holds no checkpoint.
    Files { dir: PathBuf },
    /// The slot file of a `SlotStore`.
    Slots { file: PathBuf },
    /// One checkpoint file.
    One { file: PathBuf },
}

impl Place {
    /// Looks what is at a path. Reads the first bytes of a file at most.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let kind = std::fs::metadata(path).map_err(|error| Failure::io("look at", path, &error))?;
        if kind.is_dir() {
            check_one_kind(path)?;
            let slots = path.join(SLOT_FILE);
            let dir = path.to_owned();
            return Ok(if slots.exists() {
                Place::Slots { file: slots }
            } else {
                Place::Files { dir }
            });
        }
        check_checkpoint(path)?;
        let file = path.to_owned();
        let is_named = file.extension().is_some_and(|extension| extension == EXTENSION);
        Ok(if is_named || !is_slot_file(path)? {
            Place::One { file }
        } else {
            Place::Slots { file }
        })
    }

    /// The kind of the store, as its type is called.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Place::Files { .. } => "FileStore",
            Place::Slots { .. } => "SlotStore",
            Place::One { .. } => "checkpoint file",
        }
    }

    /// Whether it is one of the files of a store.
    pub(crate) fn is_one_of_a_store(&self) -> bool {
        let Place::One { file } = self else { return false };
        let is_of_a_store = |name: &OsString| {
            name == LOCK
                || name == MARKER
                || Some(name.as_os_str()) != file.file_name() && generation_of(name).is_some()
        };
        let is_named = file.extension().is_some_and(|extension| extension == EXTENSION);
        let names = OsDisk.list(parent(file)).unwrap_or_default();
        is_named && names.iter().any(is_of_a_store)
    }

    /// The file that a store locks; `None` for one checkpoint file.
    pub(crate) fn lock_file(&self) -> Option<PathBuf> {
        match self {
            Place::Files { dir } => Some(dir.join(LOCK)),
            Place::Slots { file } if file.ends_with(SLOT_FILE) => Some(file.with_file_name(LOCK)),
            Place::Slots { file } => {
                let mut lock = file.clone().into_os_string();
                lock.push(".lock");
                Some(lock.into())
            }
            Place::One { .. } => None,
        }
    }
}

/// Refuses the lock file and the marker of a store.
fn check_checkpoint(path: &Path) -> Result<(), Failure> {
    let what = match path.extension().and_then(OsStr::to_str) {
        Some("lock") => "the lock file",
        Some("marker") => "the marker",
        _ => return Ok(()),
    };
    let is_of_directory = path.file_name().is_some_and(|name| name == LOCK || name == MARKER);
    let slot_file = path.with_extension("");
    let store = if is_of_directory {
        parent(path)
    } else if slot_file.is_file() && is_slot_file(&slot_file)? {
        &slot_file
    } else {
        return Ok(());
    };
    let reason = format!("this is not a checkpoint: it is {what} of a store, and may be empty");
    Err(Failure::new(Exit::Usage, path, reason).then(format!("replctl verify {}", shown(store))))
}

/// The slot files in a directory, by name; none if it cannot be read.
pub(crate) fn slot_files_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let mut found: Vec<_> = files.filter(|path| is_slot_file(path).unwrap_or(false)).collect();
    found.sort();
    found
}

/// Whether a file is a slot file: by its first bytes, or by its name and what is beside it, as these
/// bytes may be damaged.
fn is_slot_file(path: &Path) -> Result<bool, Failure> {
    use std::io::Read;
    const MAGIC: &[u8] = b"repl-checkpoint slots v";
    let failed = |error| Failure::io("read", path, &error);
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(failed)?;
    let mut marker = path.as_os_str().to_owned();
    marker.push(".marker");
    let has_name = path.extension().is_some_and(|extension| extension == "slots");
    Ok(head == MAGIC || has_name || Path::new(&marker).exists())
}

/// The codec of this name.
pub(crate) fn codec_of(name: &str, path: &Path) -> Result<Box<dyn Codec>, Failure> {
    match name {
        "json" => Ok(Box::new(JsonCodec)),
        "bincode" => Ok(Box::new(BincodeCodec)),
        name => {
            let reason = format!("its codec is {name:?}, and this program knows json and bincode");
            Err(Failure::new(Exit::Unknown, path, reason)
                .then("replctl inspect --raw PATH, for what its headers say"))
        }
    }
}
