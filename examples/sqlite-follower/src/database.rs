//! The leader's databases: how they are opened, and the tables that the leader adds.
//!
//! `follower_progress` holds one row, updated by each transaction, so that a leader which restarts
//! neither skips nor repeats one. `follower_clients` holds a row per client: the number of writes.

use std::path::Path;
use std::time::Duration;

use example_support::{Context, Error};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

/// How long a connection waits for the lock of another, which holds it briefly.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the database at `path` for writing. Creates it with this page size if it is missing.
pub(crate) fn open_to_write(path: &Path, page_size: u32) -> Result<Connection, Error> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    let prepare = || {
        db.pragma_update(None, "page_size", page_size)?;
        let mode: String =
            db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        // Syncs the log only before a checkpoint, which suffices for the database itself.
        db.pragma_update(None, "synchronous", "normal")?;
        // Makes SQLite read the log, and rebuild its index if necessary.
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(mode))
    };
    let mode = prepare().at("open the leader's database", path)?;
    if mode != "wal" {
        let path = path.display();
        return Err(format!("{path} is in journal mode {mode:?}, so there is no log").into());
    }
    Ok(db)
}

/// Opens a database that the leader has created.
pub(crate) fn open_existing(path: &Path) -> Result<Connection, Error> {
    connect(path, OpenFlags::empty())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<_> {
        let db = Connection::open_with_flags(path, flags)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(db)
    };
    open().at("open the leader's database", path)
}

/// How much of the leader's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    /// A digest of what was done, for work that may change between two runs.
    pub(crate) digest: u32,
}

/// Begins a transaction that takes the write lock at once, waiting for it. One that reads first
/// would fail without waiting while a base copy holds the lock.
pub(crate) fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Creates the tables if they are missing, together with what `prepare` creates, and counts a
/// start. Always commits a change, so that a log exists afterwards.
pub(crate) fn begin_work(
    db: &mut Connection,
    prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Progress> {
    let transaction = begin(db)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS follower_progress (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            done INTEGER NOT NULL, starts INTEGER NOT NULL, digest INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS follower_clients (
            client INTEGER PRIMARY KEY, written INTEGER NOT NULL)",
    )?;
    let insert = "INSERT OR IGNORE INTO follower_progress VALUES (1, 0, 0, 0)";
    if transaction.execute(insert, [])? > 0 {
        prepare(&transaction)?;
    }
    transaction.execute("UPDATE follower_progress SET starts = starts + 1", [])?;
    transaction.commit()?;
    progress(db)
}

/// Reads how much is done: nothing if the table does not exist.
pub(crate) fn progress(db: &Connection) -> rusqlite::Result<Progress> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'follower_progress'";
    if db.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Progress { done: 0, digest: 0 });
    }
    let columns = |row: &rusqlite::Row<'_>| {
        Ok(Progress { done: row.get::<_, i64>(0)?.unsigned_abs(), digest: row.get(1)? })
    };
    db.query_row("SELECT done, digest FROM follower_progress", [], columns)
}

/// Counts one transaction as done. Call it in that transaction.
pub(crate) fn count_one(db: &Connection, digest: u32) -> rusqlite::Result<()> {
    let sql = "UPDATE follower_progress SET done = done + 1, digest = ?1";
    db.prepare_cached(sql)?.execute([digest]).map(drop)
}

/// Commits one more write of a client. Returns the number that its row then holds.
pub(crate) fn write_row(db: &mut Connection, client: u64) -> rusqlite::Result<u64> {
    let transaction = begin(db)?;
    let sql = "INSERT INTO follower_clients VALUES (?1, 1)
        ON CONFLICT (client) DO UPDATE SET written = written + 1 RETURNING written";
    let written: i64 =
        transaction.prepare_cached(sql)?.query_row([client.cast_signed()], |row| row.get(0))?;
    transaction.commit()?;
    Ok(written.unsigned_abs())
}

/// Reads the number in the row of a client, if it exists.
pub(crate) fn read_row(db: &Connection, client: u64) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT written FROM follower_clients WHERE client = ?1";
    let written = db.query_row(sql, [client.cast_signed()], |row| row.get::<_, i64>(0));
    Ok(written.optional()?.map(i64::unsigned_abs))
}
