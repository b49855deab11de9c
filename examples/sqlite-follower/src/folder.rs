//! The folder of a run, and what it was made for.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use thiserror::Error;

use crate::durable::{self, Durability, FileError};
use crate::layout::Layout;
use crate::progress::Kind;

/// What a folder was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunFile {
    pub(crate) work: String,
    pub(crate) seed: u64,
    pub(crate) databases: u64,
    /// The store id of the checkpoints of this folder, in hexadecimal. It prevents the use of those
    /// of another folder.
    pub(crate) store: String,
}

/// A locked folder.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) layout: Layout,
    pub(crate) run: RunFile,
    temporary: Option<TempDir>,
    _lock: File,
}

/// An error while opening the folder of a run.
#[derive(Debug, Error)]
pub(crate) enum FolderError {
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is in use by another run: wait for it, or give another --dir", path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} holds other files ({name}) and was not made by this program: give an empty --dir",
        path.display()
    )]
    Foreign { path: PathBuf, name: String },
    #[error(
        "{} was made for a {found} over {databases} databases, but this run is a {requested}: \
         give another --dir", path.display()
    )]
    OtherWork { path: PathBuf, found: String, databases: u64, requested: &'static str },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Folder {
    /// Locks the folder `dir`, or a temporary one, and creates what is missing in it.
    pub(crate) fn take(
        dir: Option<&Path>,
        kind: Kind,
        databases: u64,
        seed: Option<u64>,
    ) -> Result<Folder, FolderError> {
        let failed = |act, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { act, path, source }
        };
        let (root, temporary) = if let Some(dir) = dir {
            fs::create_dir_all(dir).map_err(failed("create", dir))?;
            (fs::canonicalize(dir).map_err(failed("resolve", dir))?, None)
        } else {
            let folder = tempfile::Builder::new().prefix("sqlite-follower-").tempdir();
            let folder = folder.map_err(failed("create a folder in", &std::env::temp_dir()))?;
            (folder.path().to_owned(), Some(folder))
        };
        let layout = Layout::new(&root);
        refuse_foreign(&layout)?;
        let lock = lock(&layout)?;
        let run = match durable::load::<RunFile>(&layout.run_file())? {
            Some(run) if run.work != kind.name() || run.databases != databases => {
                let (found, databases, requested) = (run.work, run.databases, kind.name());
                return Err(FolderError::OtherWork { path: root, found, databases, requested });
            }
            Some(run) => RunFile { seed: seed.unwrap_or(run.seed), ..run },
            None => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let now = now.unwrap_or_default();
                let any = u64::from(std::process::id()) ^ u64::from(now.subsec_nanos());
                let seed = seed.unwrap_or(any % 1_000_000);
                let now = now.as_nanos();
                let store = format!("{:032x}", now << 32 | u128::from(std::process::id()));
                RunFile { work: kind.name().to_owned(), seed, databases, store }
            }
        };
        for part in [layout.leader(), layout.follower()] {
            fs::create_dir_all(&part).map_err(failed("create", &part))?;
        }
        durable::sync_folder_of(&layout.leader()).map_err(failed("sync", &root))?;
        durable::save(&layout.run_file(), &run, Durability::Disk)?;
        Ok(Folder { layout, run, temporary, _lock: lock })
    }

    /// Keeps a temporary folder, and returns the path.
    pub(crate) fn keep(self) -> PathBuf {
        match self.temporary {
            Some(folder) => folder.keep(),
            None => self.layout.root().to_owned(),
        }
    }
}

fn refuse_foreign(layout: &Layout) -> Result<(), FolderError> {
    let path = layout.root().to_owned();
    if layout.run_file().exists() {
        return Ok(());
    }
    let failed = |source| FolderError::Io { act: "list", path: path.clone(), source };
    for entry in fs::read_dir(&path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // These may remain from a run that was killed at its start.
        if !["LOCK", "run.tmp", "leader", "follower"].contains(&name.as_str()) {
            return Err(FolderError::Foreign { path, name });
        }
    }
    Ok(())
}

fn lock(layout: &Layout) -> Result<File, FolderError> {
    let path = layout.run_lock();
    let failed = |source| FolderError::Io { act: "lock", path: path.clone(), source };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: layout.root().to_owned() }),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}
