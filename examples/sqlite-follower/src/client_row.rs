//! What does a client write on the leader, and look for on the follower?
//!
//! A row of its own in a table of its own, which holds how often the client wrote it. Nobody else
//! writes that row, and the client writes it again only when it has read it, so a read that is not
//! stale sees the very number that was written last, no less and no more.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Makes the table where it is missing.
pub(crate) fn make_table(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS follower_clients (
            client INTEGER PRIMARY KEY, written INTEGER NOT NULL)",
    )
}

/// Commits one more write of a client; returns the number that its row holds now.
pub(crate) fn write(db: &mut Connection, client: u64) -> rusqlite::Result<u64> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let written: i64 = transaction
        .prepare_cached(
            "INSERT INTO follower_clients VALUES (?1, 1)
             ON CONFLICT (client) DO UPDATE SET written = written + 1 RETURNING written",
        )?
        .query_row([client.cast_signed()], |row| row.get(0))?;
    transaction.commit()?;
    Ok(written.unsigned_abs())
}

/// The number in the row of a client; `None` where there is no row, or no table yet.
pub(crate) fn read(db: &Connection, client: u64) -> rusqlite::Result<Option<u64>> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'follower_clients'";
    if db.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let row = "SELECT written FROM follower_clients WHERE client = ?1";
    let written: Option<i64> =
        db.query_row(row, [client.cast_signed()], |row| row.get(0)).optional()?;
    Ok(written.map(i64::unsigned_abs))
}
