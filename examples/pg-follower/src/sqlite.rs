//! The sink of mode 1: a SQLite file. Each transaction holds the rows and the marks as bytes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use repl_checkpoint::{CheckpointBytes, UnsealError};
use repl_core::{Advance, NewShard, ReplicationState, SeqNo, Shard};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params_from_iter};

use crate::changes::{Cell, Change, Kind};
use crate::copy::{COPIED, Copied, Table, describe, lines, quoted, values_of};
use crate::failure::Failure;
use crate::sink::{SHARD, Sink, Stored, Work};

/// The marks, and how often a follower has started.
const MARKS: &str = "create table follower_marks (bytes blob not null, starts integer not null)";

/// How long to wait for the lock of the file: that of a killed process is gone at once.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// Held as long as the process lives: one follower alone writes the file.
    _lock: File,
}

impl Sqlite {
    /// Opens the file, or creates it. A commit is durable when it returns.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let lock = lock(&path.with_extension("lock"))?;
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.set_prepared_statement_cache_capacity(100);
            Ok(connection)
        };
        let path = path.to_owned();
        match open() {
            Ok(connection) => Ok(Sqlite { connection, path, _lock: lock }),
            Err(source) => Err(Failure::Sqlite { act: "open", file: path, source }),
        }
    }

    /// Returns the rows of a table as lines of a COPY.
    pub(crate) fn read(&self, table: &Table) -> Result<Vec<Vec<u8>>, Failure> {
        let list = table.columns.iter().map(|c| format!("cast({} as text)", quoted(&c.name)));
        let list = list.collect::<Vec<_>>().join(", ");
        let read = || {
            let sql = format!("select {list} from {}", quoted(&table.name));
            let mut select = self.connection.prepare(&sql)?;
            let mut rows = select.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let value = |column| row.get::<_, Option<String>>(column);
                let values = (0..table.columns.len()).map(value).collect::<Result<Vec<_>, _>>()?;
                found.push(crate::copy::line_of(values.iter().map(Option::as_deref)));
            }
            Ok(found)
        };
        read().map_err(|source| self.failure("read", source))
    }

    fn failure(&self, act: &'static str, source: rusqlite::Error) -> Failure {
        Failure::Sqlite { act, file: self.path.clone(), source }
    }

    /// Runs a transaction. It takes the write lock first, as it reads what it then replaces.
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<R, Broken>,
    ) -> Result<R, Failure> {
        let file = &self.path;
        let run = |connection: &mut Connection| -> Result<R, Broken> {
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut self.connection).map_err(|broken| broken.in_file(file))
    }
}

/// Locks a file, which stays. Another follower is refused until this process ends.
fn lock(path: &Path) -> Result<File, Failure> {
    let lock = || {
        let file = File::options().create(true).write(true).truncate(false).open(path);
        let file = file.map_err(TryLockError::Error)?;
        file.try_lock().map(|()| file)
    };
    lock().map_err(|source| Failure::Locked { file: path.to_owned(), source })
}

/// Why a transaction failed.
enum Broken {
    Sqlite(rusqlite::Error),
    Marks(UnsealError),
    Other(Failure),
}

impl Broken {
    fn in_file(self, file: &Path) -> Failure {
        let file = file.to_owned();
        match self {
            Broken::Sqlite(source) => Failure::Sqlite { act: "write", file, source },
            Broken::Marks(source) => Failure::CorruptMarks { file, source },
            Broken::Other(failure) => failure,
        }
    }
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Broken::Sqlite(error)
    }
}

impl From<tokio_postgres::Error> for Broken {
    fn from(error: tokio_postgres::Error) -> Self {
        Broken::Other(error.into())
    }
}

impl Sink for Sqlite {
    async fn stored(&mut self) -> Result<Stored, Failure> {
        self.transaction(|transaction| {
            let tables = "select count(*) from sqlite_master where type = 'table'";
            if transaction.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
                return Ok(Stored::Nothing);
            }
            if !transaction.table_exists(None, "follower_marks")? {
                return Ok(Stored::DataWithoutMarks);
            }
            // It changes a row, so the commit syncs: also what a killed process has written, and
            // not synced. Only then may these marks be confirmed to the server.
            transaction.execute("update follower_marks set starts = starts + 1", [])?;
            let state = ReplicationState::from_checkpoint_bytes(&bytes(transaction)?, &[SHARD]);
            Ok(Stored::Marks(Arc::new(state.map_err(Broken::Marks)?)))
        })
    }

    async fn copied(&mut self) -> Result<Copied, Failure> {
        let read = || {
            let sql = format!("select name, columns from {COPIED}");
            let mut select = self.connection.prepare(&sql)?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|source| self.failure("read", source))
    }

    async fn copy(
        &mut self,
        source: &tokio_postgres::Transaction<'_>,
        tables: &[Table],
        new: NewShard,
    ) -> Result<u64, Failure> {
        let (file, mut rows) = (self.path.clone(), 0);
        let copy = async || -> Result<(), Broken> {
            let behavior = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            let old = "select name from sqlite_master where type = 'table'";
            let old: Vec<String> = transaction
                .prepare(old)?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for table in old {
                transaction.execute_batch(&format!("drop table {}", quoted(&table)))?;
            }
            let sql = format!("create table {COPIED} (name text not null, columns text not null)");
            transaction.execute_batch(&sql)?;
            for table in tables {
                let sql = format!("insert into {COPIED} values (?, ?)");
                transaction.execute(&sql, [&table.name, &describe(&table.columns)])?;
                transaction.execute_batch(&create(table))?;
                let places = vec!["?"; table.columns.len()].join(", ");
                let sql = format!("insert into {} values ({places})", quoted(&table.name));
                let mut insert = transaction.prepare(&sql)?;
                let stream = source.copy_out(&table.copy_out()).await?;
                lines(stream, |line| {
                    let values = values_of(line).map_err(|e| Broken::Other(e.into()))?;
                    rows += insert.execute(params_from_iter(values))? as u64;
                    Ok::<_, Broken>(())
                })
                .await?;
            }
            transaction.execute_batch(MARKS)?;
            let marks = ReplicationState::new(&[]);
            let _ = marks.add_shard(new); // it is the first
            let sql = "insert into follower_marks values (?, 0)";
            transaction.execute(sql, [marks.to_checkpoint_bytes()])?;
            Ok(transaction.commit()?)
        };
        copy().await.map_err(|broken| broken.in_file(&file))?;
        Ok(rows)
    }

    async fn adopt(&mut self, _: &Shard, new: NewShard) -> Result<(), Failure> {
        self.transaction(|transaction| move_marks(transaction, |marks| marks.reset_shard(new)))?;
        Ok(())
    }

    async fn commit(&mut self, live: &Shard, work: Work<'_>) -> Result<(), Failure> {
        let file = self.path.clone();
        self.transaction(|transaction| {
            if let Some(mark) = work.mark {
                match move_marks(transaction, |marks| advance(marks, live, mark))? {
                    Some(Advance::Advanced { .. }) => {}
                    Some(Advance::Stale { .. }) => return Ok(()), // all of it is there
                    _ => return Err(Broken::Other(Failure::Overtaken { file })),
                }
            }
            let changes = work.transactions.iter().flat_map(|transaction| &transaction.changes);
            changes.into_iter().try_for_each(|change| apply(transaction, change))
        })
    }
}

/// Without a unique index: a row that is applied twice is there twice, and the comparison sees it.
fn create(table: &Table) -> String {
    let columns = table.columns.iter().zip(&table.sql_types).map(|(column, sql_type)| {
        // A text keeps every digit and blank.
        let is_integer = ["smallint", "integer", "bigint"].contains(&&**sql_type);
        format!("{} {}", quoted(&column.name), if is_integer { "integer" } else { "text" })
    });
    let (name, columns) = (quoted(&table.name), columns.collect::<Vec<_>>().join(", "));
    let (index, key) = (quoted(&format!("{}_key", table.name)), table.key_list());
    format!("create table {name} ({columns}); create index {index} on {name} ({key})")
}

/// Moves the stored mark, unless another follower has: then this one lacks what came between.
fn advance(stored: &ReplicationState, live: &Shard, mark: SeqNo) -> Option<Advance> {
    let stored = stored.shard(SHARD).filter(|stored| stored.log() == live.log())?;
    let is_ours = stored.applied() == live.applied() || stored.applied() >= mark;
    is_ours.then(|| stored.advance(mark))
}

/// Reads the stored bytes.
fn bytes(transaction: &Connection) -> rusqlite::Result<Vec<u8>> {
    let mut select = transaction.prepare_cached("select bytes from follower_marks")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Moves the stored marks.
fn move_marks<R>(
    transaction: &Connection,
    moves: impl FnOnce(&ReplicationState) -> R,
) -> Result<R, Broken> {
    let stored = bytes(transaction)?;
    let (next, result) =
        ReplicationState::next_checkpoint_bytes(&stored, moves).map_err(Broken::Marks)?;
    if next != stored {
        transaction.prepare_cached("update follower_marks set bytes = ?")?.execute([next])?;
    }
    Ok(result)
}

fn apply(transaction: &Connection, change: &Change) -> Result<(), Broken> {
    let (relation, table) = (&change.relation, quoted(&change.relation.table));
    let names = |cells: &[Cell<'_>], text: &str, between: &str| {
        let names = cells.iter().map(|(name, _)| format!("{}{text}", quoted(name)));
        names.collect::<Vec<_>>().join(between)
    };
    let (sql, values) = match &change.kind {
        Kind::Insert(row) => {
            let cells: Vec<_> = relation.values(row).collect();
            let places = vec!["?"; cells.len()].join(", ");
            (format!("insert into {table} ({}) values ({places})", names(&cells, "", ", ")), cells)
        }
        Kind::Update(key, row) => {
            let mut cells: Vec<_> = relation.values(row).collect();
            let key: Vec<_> = relation.key(key).collect();
            let (set, is) = (names(&cells, " = ?", ", "), names(&key, " = ?", " and "));
            cells.extend(key);
            (format!("update {table} set {set} where {is}"), cells)
        }
        Kind::Delete(key) => {
            let cells: Vec<_> = relation.key(key).collect();
            (format!("delete from {table} where {}", names(&cells, " = ?", " and ")), cells)
        }
        Kind::Truncate => {
            transaction.execute(&format!("delete from {table}"), [])?;
            return Ok(());
        }
    };
    let mut statement = transaction.prepare_cached(&sql)?;
    match statement.execute(params_from_iter(values.iter().map(|(_, value)| value)))? {
        0 => Err(Broken::Other(Failure::MissingRow { table: relation.table.clone() })),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
