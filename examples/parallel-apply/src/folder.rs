//! The folder of a run, and its contents at the start.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;
use thiserror::Error;

use crate::accounts::{Accounts, AccountsError};
use crate::log::{Log, LogError};

const RECORDS: u64 = 40_000;

/// A locked folder with a log and its database.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
    pub(crate) log: Log,
    temporary: Option<TempDir>,
    _lock: File,
}

/// An error while opening the folder of a run.
#[derive(Debug, Error)]
pub(crate) enum FolderError {
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is in use by another run: wait for it, or give another --dir", .0.display())]
    InUse(PathBuf),
    #[error(
        "{} was made with --seed {seed} --records {records}: give the same, or another --dir",
        path.display()
    )]
    OtherLog { path: PathBuf, seed: u64, records: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

pub(crate) fn log_in(root: &Path) -> PathBuf {
    root.join("records.log")
}

pub(crate) fn accounts_in(root: &Path) -> PathBuf {
    root.join("accounts.redb")
}

impl Folder {
    /// Locks the folder `dir`, or a temporary one, and creates what is missing in it.
    pub(crate) fn take(
        dir: Option<&Path>,
        records: Option<u64>,
        seed: Option<u64>,
    ) -> Result<Folder, FolderError> {
        let (root, temporary) = if let Some(dir) = dir {
            fs::create_dir_all(dir).map_err(failed("create", dir))?;
            (fs::canonicalize(dir).map_err(failed("resolve", dir))?, None)
        } else {
            let folder = tempfile::Builder::new().prefix("parallel-apply-").tempdir();
            let folder = folder.map_err(failed("create a folder in", &std::env::temp_dir()))?;
            (folder.path().to_owned(), Some(folder))
        };
        let lock = lock(&root)?;
        let path = log_in(&root);
        if !path.exists() {
            Log::write(&path, seed.unwrap_or_else(any_seed), records.unwrap_or(RECORDS))?;
        }
        let log = Log::open(&path)?;
        if seed.is_some_and(|s| s != log.seed) || records.is_some_and(|r| r != log.records) {
            return Err(FolderError::OtherLog { path, seed: log.seed, records: log.records });
        }
        make_accounts(&root, &log)?;
        File::open(&root).and_then(|root| root.sync_all()).map_err(failed("sync", &root))?;
        Ok(Folder { root, log, temporary, _lock: lock })
    }

    pub(crate) fn open_accounts(&self) -> Result<Accounts, AccountsError> {
        Accounts::open(&accounts_in(&self.root), self.log.id())
    }

    /// Keeps a temporary folder, and returns the path.
    pub(crate) fn keep(self) -> PathBuf {
        self.temporary.map_or(self.root, TempDir::keep)
    }
}

/// Creates the database under a temporary name and renames it. A kill during the creation would
/// otherwise leave a file that redb refuses for good.
fn make_accounts(root: &Path, log: &Log) -> Result<(), FolderError> {
    let path = accounts_in(root);
    if path.exists() {
        return Ok(());
    }
    let temporary = path.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &temporary)(e)),
        _ => Ok(()),
    }?;
    Accounts::create(&temporary, log.id())?;
    fs::rename(&temporary, &path).map_err(failed("rename", &temporary))
}

fn lock(root: &Path) -> Result<File, FolderError> {
    let path = root.join("LOCK");
    let file = File::create(&path).map_err(failed("lock", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { act, path, source }
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (u64::from(std::process::id()) ^ u64::from(now.subsec_nanos())) % 1_000_000
}
