//! The engine: a database with the data, and the marks as bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use example_support::{Context, Error};
use repl_checkpoint::CheckpointBytes;
use repl_core::{ReplicationState, SeqNo, ShardId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

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

/// How often each segment was applied, and the total of each shard.
type Contents = (BTreeMap<(ShardId, SeqNo), u64>, Vec<u64>);

impl Database {
    /// Creates the database with nothing applied.
    pub(crate) fn create(path: &Path) -> Result<(), Error> {
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
        create().at("create the database", path)
    }

    /// Opens the database. A commit is then durable when it returns.
    pub(crate) fn open(path: &Path) -> Result<Database, Error> {
        let open = || -> rusqlite::Result<_> {
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
        let connection = open().at("open the database", path)?;
        Ok(Database { connection, path: path.to_owned() })
    }

    /// Reads the bytes outside a transaction.
    pub(crate) fn marks(&self) -> Result<Vec<u8>, Error> {
        stored_marks(&self.connection).at("read the database", &self.path)
    }

    /// Begins a transaction as a reader, so that others run beside it.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Deferred);
        begun.at("read the database", &self.path)
    }

    /// Reads how often each segment was applied, and the total of each shard.
    pub(crate) fn contents(&self) -> Result<Contents, Error> {
        let number = |row: &rusqlite::Row<'_>, column| row.get(column).map(i64::cast_unsigned);
        let read = || -> rusqlite::Result<_> {
            let mut rows = self.connection.prepare("SELECT shard, seqno, times FROM applied")?;
            let rows = rows.query_map([], |row| {
                Ok(((ShardId(number(row, 0)?), number(row, 1)?), number(row, 2)?))
            })?;
            let mut totals = self.connection.prepare("SELECT total FROM totals ORDER BY shard")?;
            let totals = totals.query_map([], |row| number(row, 0))?;
            Ok((rows.collect::<Result<_, _>>()?, totals.collect::<Result<_, _>>()?))
        };
        read().at("read the database", &self.path)
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
