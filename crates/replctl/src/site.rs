//! Where a store is, and the names of the files that this program puts beside it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, Generation, OsDisk};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::{SLOT_FILE, generation_of, parent};
use crate::store::Place;

/// What the files beside the checkpoints of a directory are named after.
const OF_DIRECTORY: &str = "repl-checkpoint";

/// The kind of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A `FileStore`.
    Files,
    /// A `SlotStore`.
    Slots,
}

impl Kind {
    /// Its type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Files => "FileStore",
            Kind::Slots => "SlotStore",
        }
    }

    /// The number of saves after which a store of this kind keeps no older checkpoint: as many as
    /// it keeps.
    pub(crate) fn places(self) -> u64 {
        match self {
            Kind::Files => 2,
            Kind::Slots => 3,
        }
    }
}

/// Where a store is.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) kind: Kind,
    /// What was typed, for messages.
    pub(crate) typed: PathBuf,
    /// Its directory; absolute, so that a store syncs all directories above.
    pub(crate) dir: PathBuf,
    /// Its slot file, if it is one that was named by its path.
    file: Option<OsString>,
}

impl Site {
    /// The store at a path.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        match Place::of(path)? {
            Place::Files { .. } => Self::new(Kind::Files, path, path, None),
            Place::Slots { file } if file.ends_with(SLOT_FILE) => {
                Self::new(Kind::Slots, path, parent(&file), None)
            }
            Place::Slots { file } => {
                Self::new(Kind::Slots, path, parent(&file), file.file_name().map(Into::into))
            }
            Place::One { .. } => {
                let reason = "it is one checkpoint file, and not a store";
                Err(Failure::new(Exit::Usage, path, reason)
                    .then("the same command with PARENT, its directory"))
            }
        }
    }

    /// What is at a path to read from: a store, or one checkpoint file.
    pub(crate) fn of_any(path: &Path) -> Result<Self, Failure> {
        match Place::of(path)? {
            Place::One { .. } => Self::new(Kind::Files, path, parent(path), None),
            _ => Self::of(path),
        }
    }

    /// The store at a path; `None` if no store has saved there.
    ///
    /// A directory that has lost its checkpoints does not say of which kind it was: `like` does.
    pub(crate) fn of_store(path: &Path, like: Kind) -> Result<Option<Self>, Failure> {
        if !path.exists() {
            let mut marker = path.to_owned().into_os_string();
            marker.push(".marker");
            let has_lost_its_file = Path::new(&marker).exists();
            return if has_lost_its_file { Self::of_new_file(path).map(Some) } else { Ok(None) };
        }
        let site = Self::of(path)?;
        let failed = |error| Failure::io("list", path, &error);
        let names = OsDisk.list(&site.dir).map_err(failed)?;
        if names.iter().any(|name| site.is_checkpoint(name)) {
            return Ok(Some(site));
        }
        let is_lost = names.contains(&site.marker());
        Ok(is_lost.then_some(Site { kind: like, ..site }))
    }

    /// The highest generation that the name of a file says; 0 if none does.
    pub(crate) fn highest_named(&self) -> Generation {
        let names = OsDisk.list(&self.dir).unwrap_or_default();
        names.iter().filter_map(generation_of).max().unwrap_or(0)
    }

    /// A store of this kind in a directory that exists.
    pub(crate) fn in_directory(kind: Kind, dir: &Path) -> Result<Self, Failure> {
        Self::new(kind, dir, dir, None)
    }

    /// The store of a slot file that does not exist yet, in a directory that does.
    pub(crate) fn of_new_file(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().filter(|name| *name != SLOT_FILE);
        Self::new(Kind::Slots, path, parent(path), name.map(Into::into))
    }

    fn new(kind: Kind, typed: &Path, dir: &Path, file: Option<OsString>) -> Result<Self, Failure> {
        let failed = |error| Failure::io("find the absolute path of", dir, &error);
        let dir = std::fs::canonicalize(dir).map_err(failed)?;
        Ok(Site { kind, typed: typed.to_owned(), dir, file })
    }

    /// The path of the slot file, if it has one.
    pub(crate) fn slot_file(&self) -> PathBuf {
        self.dir.join(self.file.clone().unwrap_or_else(|| SLOT_FILE.into()))
    }

    /// Whether its slot file was named by its path.
    pub(crate) fn is_by_file(&self) -> bool {
        self.file.is_some()
    }

    /// The name of a file beside the checkpoints.
    pub(crate) fn beside(&self, end: &str) -> OsString {
        let mut name = self.file.clone().unwrap_or_else(|| OF_DIRECTORY.into());
        name.push(end);
        name
    }

    /// The file that says that a checkpoint was saved.
    pub(crate) fn marker(&self) -> OsString {
        self.beside(".marker")
    }

    /// The path of a file in its directory, as the command line would name it.
    pub(crate) fn typed(&self, name: &Path) -> PathBuf {
        let is_file = self.kind == Kind::Slots && !self.typed.is_dir();
        let dir = if is_file { parent(&self.typed) } else { &self.typed };
        if dir == Path::new(".") { name.to_owned() } else { dir.join(name) }
    }

    /// The path of a file of the store, as the command line would name it.
    pub(crate) fn typed_file(&self, path: &Path) -> PathBuf {
        self.typed(Path::new(path.file_name().unwrap_or_default()))
    }

    /// Whether a file of this name in its directory is a checkpoint or a slot file of it.
    pub(crate) fn is_checkpoint(&self, name: &OsString) -> bool {
        match self.kind {
            Kind::Files => generation_of(name).is_some(),
            Kind::Slots => self.slot_file().file_name() == Some(name),
        }
    }
}
