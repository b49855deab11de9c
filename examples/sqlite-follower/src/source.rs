//! Opens the leader's databases.
//!
//! Only the leader may restart a log, after it has written a record. So no connection of this
//! program checkpoints automatically, neither after a commit nor as the last one to close.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// How long a connection waits for the lock of another. The follower holds the write lock briefly
/// during a base copy, the leader for one transaction.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An error while opening a database of the leader.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error("cannot open the leader's database {}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the leader's database {} is in journal mode {mode:?} instead of WAL, so there is no log \
         to follow: give an empty --dir",
        path.display()
    )]
    NotWal { path: PathBuf, mode: String },
}

/// Opens the database at `path` for writing. Creates it with this page size if it is missing.
pub(crate) fn open_to_write(path: &Path, page_size: u32) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let db = open(path, flags)?;
    let failed = |source| SourceError::Open { path: path.to_owned(), source };
    db.pragma_update(None, "page_size", page_size).map_err(failed)?;
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        return Err(SourceError::NotWal { path: path.to_owned(), mode });
    }
    // Syncs the log only before a checkpoint, which suffices for the database itself.
    db.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    // Makes SQLite read the log, and rebuild its index if necessary.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    Ok(db)
}

/// Opens a database that the leader has created.
pub(crate) fn open_existing(path: &Path) -> Result<Connection, SourceError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, SourceError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(db)
    };
    open().map_err(|source| SourceError::Open { path: path.to_owned(), source })
}
