//! The engine: a database with the data, and the marks as bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use repl_checkpoint::CheckpointBytes;
use repl_core::{ReplicationState, SeqNo, ShardId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use thiserror::Error;

use crate::log::{SHARDS, Segment};

/// `applied` counts how often each segment was applied. The check needs it independently of the
/// marks.
const TABLES: &str = "
    CREATE TABLE marks (bytes BLOB NOT NULL);
    CREATE TABLE totals (shard INTEGER PRIMARY KEY, total INTEGER NOT NULL);
    CREATE TABLE applied (
        shard INTEGER, seqno INTEGER, times INTEGER NOT NULL, PRIMARY KEY (shard, seqno)
    ) WITHOUT ROWID;
";

/// How long opening waits for another connection that recovers the database.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the database.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

/// A row of `applied`.
pub(crate) struct Applied {
    pub(crate) shard: ShardId,
    pub(crate) seqno: SeqNo,
    pub(crate) times: u64,
}

/// An error from the database.
#[derive(Debug, Error)]
#[error("cannot {act} the database {}", path.display())]
pub(crate) struct DatabaseError {
    act: &'static str,
    path: PathBuf,
    source: rusqlite::Error,
}

impl Database {
    /// Creates the database with nothing applied.
    pub(crate) fn create(path: &Path) -> Result<(), DatabaseError> {
        let create = || {
            let mut connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            for shard in SHARDS {
                let sql = "INSERT INTO totals VALUES (?1, 0)";
                transaction.execute(sql, [shard.0.cast_signed()])?;
            }
            let marks = ReplicationState::new(&SHARDS).to_checkpoint_bytes();
            transaction.execute("INSERT INTO marks VALUES (?1)", [marks])?;
            transaction.commit()
        };
        create().map_err(failed("create", path))
    }

    /// Opens the database. A commit is then durable when it returns.
    pub(crate) fn open(path: &Path) -> Result<Database, DatabaseError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "synchronous", "full")?;
            // The next process finds what a kill has left, even if the parent looks first.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.query_row("SELECT count(*) FROM marks", [], |_| Ok(()))?;
            connection.busy_timeout(Duration::ZERO)?; // a conflict is reported at once
            Ok(connection)
        };
        let connection = open().map_err(failed("open", path))?;
        Ok(Database { connection, path: path.to_owned() })
    }

    /// Moves what is in SQLite's own log into the database file.
    pub(crate) fn fold_log(&self) -> Result<(), DatabaseError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection.query_row(sql, [], |_| Ok(())).map_err(failed("checkpoint", &self.path))
    }

    /// Reads the bytes outside a transaction.
    pub(crate) fn marks(&self) -> Result<Vec<u8>, DatabaseError> {
        stored_marks(&self.connection).map_err(failed("read", &self.path))
    }

    /// Begins a transaction as a reader, so that others run beside it.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, DatabaseError> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Deferred);
        begun.map_err(failed("read", &self.path))
    }

    /// Reads how often each segment was applied, and the total of each shard.
    pub(crate) fn contents(&self) -> Result<(Vec<Applied>, Vec<u64>), DatabaseError> {
        let read = || {
            let mut rows = self.connection.prepare("SELECT shard, seqno, times FROM applied")?;
            let rows = rows.query_map([], |row| {
                let number = |column| row.get(column).map(i64::cast_unsigned);
                let (shard, seqno, times) = (number(0)?, number(1)?, number(2)?);
                Ok(Applied { shard: ShardId(shard), seqno, times })
            })?;
            let mut totals = self.connection.prepare("SELECT total FROM totals ORDER BY shard")?;
            let totals = totals.query_map([], |row| row.get(0).map(i64::cast_unsigned))?;
            Ok((rows.collect::<Result<_, _>>()?, totals.collect::<Result<_, _>>()?))
        };
        read().map_err(failed("read", &self.path))
    }
}

/// Reads the stored bytes in a transaction.
pub(crate) fn stored_marks(transaction: &Connection) -> rusqlite::Result<Vec<u8>> {
    let mut select = transaction.prepare_cached("SELECT bytes FROM marks")?;
    select.query_row([], |row| row.get(0))
}

/// Replaces the stored bytes.
pub(crate) fn store_marks(transaction: &Connection, bytes: &[u8]) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE marks SET bytes = ?1")?.execute([bytes]).map(drop)
}

/// Adds the amount of a segment to the total of its shard.
pub(crate) fn add(transaction: &Connection, segment: Segment) -> rusqlite::Result<()> {
    let Segment { shard, seqno, amount } = segment;
    let sql = "UPDATE totals SET total = total + ?2 WHERE shard = ?1";
    transaction.prepare_cached(sql)?.execute((shard.0.cast_signed(), amount.cast_signed()))?;
    let sql = "INSERT INTO applied VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET times = times + 1";
    transaction.prepare_cached(sql)?.execute((shard.0.cast_signed(), seqno.cast_signed())).map(drop)
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
    let path = path.to_owned();
    move |source| DatabaseError { act, path, source }
}
