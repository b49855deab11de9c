//! The folder of a run, and what it was made for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::error::{Context, Error};
use crate::files;

/// The file that says what a folder was made for.
const SETTINGS: &str = "run";
const LOCK: &str = "LOCK";

/// A locked folder. A temporary one is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    /// The absolute path.
    pub root: PathBuf,
    /// Whether the folder was made by this process.
    pub(crate) is_new: bool,
    pub(crate) temporary: Option<TempDir>,
    _lock: File,
}

impl Folder {
    /// Locks the folder `dir`, or a temporary one. Returns it with the settings that it was made
    /// for: `new` if nothing is in it.
    pub fn take<S: Serialize + DeserializeOwned>(
        program: &str,
        dir: Option<&Path>,
        new: S,
    ) -> Result<(Folder, S), Error> {
        let (root, temporary) = if let Some(dir) = dir {
            let made = fs::create_dir_all(dir).and_then(|()| fs::canonicalize(dir));
            (made.at("create", dir)?, None)
        } else {
            let prefix = format!("{program}-");
            let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
            let folder = folder.context(|| "cannot create a temporary folder".to_owned())?;
            (folder.path().to_owned(), Some(folder))
        };
        refuse_foreign(&root)?;
        let lock = files::lock(&root.join(LOCK), Duration::ZERO);
        let lock = lock.context(|| format!("cannot use {}; give another --dir", root.display()))?;
        let path = root.join(SETTINGS);
        let found = files::load(&path)?;
        let is_new = found.is_none();
        let settings = found.unwrap_or(new);
        if is_new {
            files::save(&path, &settings)?;
        }
        Ok((Folder { root, is_new, temporary, _lock: lock }, settings))
    }
}

fn refuse_foreign(root: &Path) -> Result<(), Error> {
    let settings = root.join(SETTINGS);
    // A run that was killed at its start leaves only these.
    let own = [root.join(LOCK), files::beside(&settings, ".tmp")];
    match files::paths_in(root)?.iter().find(|path| !own.contains(path)) {
        Some(other) if !settings.exists() => {
            let other = other.display();
            Err(format!("{other} was not made by this program: give an empty --dir").into())
        }
        _ => Ok(()),
    }
}
