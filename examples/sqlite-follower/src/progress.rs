//! The progress of the leader's work, stored in the database that is written.
//!
//! One row in a table of its own, updated by each transaction. A leader that restarts after a kill
//! reads it, and neither skips nor repeats a transaction.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use thiserror::Error;

use crate::client_row;

/// The kind of work on a database. The row holds it, and the other kind is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Workload,
    Load,
}

/// The contents of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of units of work done.
    pub(crate) done: u64,
    /// A digest of those units, for work that may change between two runs.
    pub(crate) digest: String,
}

/// An error while creating or reading the row.
#[derive(Debug, Error)]
pub(crate) enum ProgressError {
    #[error(
        "the database was written by a {found:?} run, but this is a {requested:?} run: give \
         another --dir"
    )]
    OtherKind { found: String, requested: &'static str },
    #[error("cannot use the table follower_progress")]
    Sqlite(#[from] rusqlite::Error),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Workload => "workload",
            Kind::Load => "load",
        }
    }
}

/// Creates the row if it is missing, together with what `prepare` creates and the table of clients,
/// and counts a start. Always commits a change, so that a log exists afterwards.
pub(crate) fn begin(
    db: &mut Connection,
    kind: Kind,
    prepare: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> Result<Progress, ProgressError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS follower_progress (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            work TEXT NOT NULL, done INTEGER NOT NULL, starts INTEGER NOT NULL,
            digest TEXT NOT NULL)",
    )?;
    let kind = kind.name();
    let first = transaction
        .execute("INSERT OR IGNORE INTO follower_progress VALUES (1, ?1, 0, 0, '')", [kind])?;
    let (found, done, digest) = transaction.query_row(
        "UPDATE follower_progress SET starts = starts + 1 RETURNING work, done, digest",
        [],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)),
    )?;
    if found != kind {
        return Err(ProgressError::OtherKind { found, requested: kind });
    }
    if first > 0 {
        prepare(&transaction)?;
    }
    client_row::make_table(&transaction)?;
    transaction.commit()?;
    Ok(Progress { done: done.unsigned_abs(), digest })
}

/// Counts one unit as done. Call it in the transaction of that unit.
pub(crate) fn count_one(db: &Connection, digest: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE follower_progress SET done = done + 1, digest = ?1";
    db.prepare_cached(sql)?.execute([digest]).map(drop)
}

/// Reads the kind of work and the number of units done; `None` if there is no row.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<Option<(String, u64)>> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'follower_progress'";
    if db.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let row = "SELECT work, done FROM follower_progress";
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    db.query_row(row, [], columns).optional()
}
