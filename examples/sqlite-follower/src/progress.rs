//! How much of its work does a database hold? It says so itself, in the transaction that does it.
//!
//! One row in a table of its own: a leader that is killed and starts again reads there where to go
//! on, and neither leaves a transaction out nor makes one twice.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use thiserror::Error;

use crate::client_row;

/// What a database is written with; stands in the row, and the other kind is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Workload,
    Load,
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Units of work that are in the database.
    pub(crate) done: u64,
    /// What they were, for work that could change between two runs.
    pub(crate) digest: String,
}

/// The row could not be made or read.
#[derive(Debug, Error)]
pub(crate) enum ProgressError {
    #[error(
        "the database was written with {found:?} before, and not with {asked:?}: give another --dir"
    )]
    OtherKind { found: String, asked: &'static str },
    #[error("the table follower_progress cannot be used")]
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

/// Makes the row where it is missing, together with what `prepare` makes and the table of clients,
/// and counts a start. This commits whatever it finds, so there is a log afterwards.
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
        return Err(ProgressError::OtherKind { found, asked: kind });
    }
    if first > 0 {
        prepare(&transaction)?;
    }
    client_row::make_table(&transaction)?;
    transaction.commit()?;
    Ok(Progress { done: done.unsigned_abs(), digest })
}

/// Counts one unit as done, in the transaction that does it.
pub(crate) fn count_one(db: &Connection, digest: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE follower_progress SET done = done + 1, digest = ?1";
    db.prepare_cached(sql)?.execute([digest]).map(drop)
}

/// How much is done, and by what kind of work; `None` where there is no row.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<Option<(String, u64)>> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'follower_progress'";
    if db.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let row = "SELECT work, done FROM follower_progress";
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    db.query_row(row, [], columns).optional()
}
