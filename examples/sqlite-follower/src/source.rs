//! How is one of the leader's databases opened?
//!
//! Its log may restart only when the leader has seen to it. So no connection of ours, in any
//! process, checkpoints by itself, neither after a commit nor when it is the last one to close.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// How long a connection waits for another's lock. The follower takes the write lock for an instant
/// at a base copy; the leader holds it for one transaction.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One of the leader's databases could not be opened.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error("cannot open the leader's database {}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the leader's database {} is in journal mode {mode:?}, not in WAL mode: there is no log \
         to follow; start with an empty --dir",
        path.display()
    )]
    NotWal { path: PathBuf, mode: String },
}

/// Opens the database at `path` to write it, making it with this page size where it is missing.
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
    // The log is synced where it matters to its own database: before a checkpoint.
    db.pragma_update(None, "synchronous", "normal").map_err(failed)?;
    // Has SQLite read the log, and make its index anew where it must.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    Ok(db)
}

/// Opens a database that the leader has made.
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
