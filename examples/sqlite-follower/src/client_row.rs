//! The row that a client writes on the leader and reads on the follower.
//!
//! Each client has its own row, which counts its writes. No other client writes that row, and the
//! client writes again only after it has read. So a read that is not stale sees exactly the number
//! written last.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Creates the table of the clients if it is missing.
pub(crate) fn make_table(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS follower_clients (
            client INTEGER PRIMARY KEY, written INTEGER NOT NULL)",
    )
}

/// Commits one more write of a client. Returns the number that its row then holds.
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

/// Reads the number in the row of a client; `None` if the row or the table does not exist.
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
