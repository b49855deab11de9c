//! Generates the leader's transactions, unless the user gives a file.
//!
//! They change pages in every way: rows inserted, updated and deleted under an index, blobs longer
//! than a page, tables created and dropped, rolled-back transactions that spill into the log, and
//! `VACUUM` to a fraction of the size. The n-th transaction of a database depends only on the seed,
//! the database and n.

use repl_core::ShardId;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::progress::{self, Kind, ProgressError};
use crate::rng::Rng;

const ACCOUNTS: u64 = 100;

/// An invariant of every transaction, over tables that share no page.
pub(crate) const INVARIANT: &str = "SELECT (SELECT sum(balance) FROM accounts) = 100000
    AND (SELECT count(*) FROM events) = (SELECT events FROM totals)
    AND (SELECT count(*) FROM blobs) = (SELECT blobs FROM totals)";

/// After this many transactions most rows are deleted and the database is vacuumed.
const VACUUM_EVERY: u64 = 900;

/// The cache size of a connection that must spill, in pages, and the default, in KiB.
const TINY_CACHE: i64 = 5;
const USUAL_CACHE: i64 = -2000;

/// The transactions of one database.
#[derive(Debug)]
pub(crate) struct Workload {
    seed: u64,
    shard: ShardId,
    done: u64,
}

/// Whether a database holds the generated workload.
pub(crate) fn is_of_workload(db: &Connection) -> rusqlite::Result<bool> {
    Ok(progress::read(db)?.is_some_and(|(kind, _)| kind == Kind::Workload.name()))
}

impl Workload {
    /// Continues after the transactions that the database holds.
    pub(crate) fn open(
        db: &mut Connection,
        seed: u64,
        shard: ShardId,
    ) -> Result<Workload, ProgressError> {
        let progress = progress::begin(db, Kind::Workload, make_tables)?;
        Ok(Workload { seed, shard, done: progress.done })
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Commits the next transaction.
    pub(crate) fn commit_next(&mut self, db: &mut Connection) -> rusqlite::Result<()> {
        let number = self.done + 1;
        let mut rng = Rng::new(self.seed, &[self.shard.0, number]);
        let shrink = number.is_multiple_of(VACUUM_EVERY);
        let roll = rng.below(100);
        if roll >= 98 {
            spill_and_roll_back(db, &mut rng)?;
        }
        let transaction = begin(db)?;
        match roll {
            _ if shrink => delete_most(&transaction)?,
            0..40 => insert_events(&transaction, &mut rng)?,
            40..58 => transfer(&transaction, &mut rng)?,
            58..72 => put_blob(&transaction, &mut rng)?,
            72..80 => update_events(&transaction, &mut rng)?,
            80..90 => delete_events(&transaction, &mut rng)?,
            90..97 => delete_blob(&transaction, &mut rng)?,
            97 => make_or_drop_table(&transaction, &mut rng)?,
            _ => {}
        }
        progress::count_one(&transaction, "")?;
        transaction.commit()?;
        if shrink {
            db.execute_batch("VACUUM")?;
        }
        self.done = number;
        Ok(())
    }
}

/// Begins a transaction that takes the write lock at once, waiting for it. One that reads first
/// would fail without waiting while a base copy holds the lock.
fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn make_tables(db: &Transaction<'_>) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
         CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, weight REAL, note TEXT);
         CREATE INDEX events_by_kind ON events (kind, weight);
         CREATE TABLE blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE totals (events INTEGER NOT NULL, blobs INTEGER NOT NULL);
         INSERT INTO totals VALUES (0, 0);",
    )?;
    let mut insert = db.prepare("INSERT INTO accounts VALUES (?1, 1000)")?;
    for id in 0..ACCOUNTS {
        insert.execute([id.cast_signed()])?;
    }
    Ok(())
}

fn insert_events(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let rows = 1 + rng.below(4);
    for _ in 0..rows {
        let kind = format!("kind {}", rng.below(40));
        let note = "n".repeat(usize::try_from(rng.below(200)).unwrap_or(0));
        let weight = f64::from(u32::try_from(rng.below(1000)).unwrap_or(0)) / 8.0;
        db.prepare_cached("INSERT INTO events (kind, weight, note) VALUES (?1, ?2, ?3)")?
            .execute(params![kind, weight, note])?;
    }
    db.prepare_cached("UPDATE totals SET events = events + ?1")?.execute([rows.cast_signed()])?;
    Ok(())
}

fn transfer(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let amount = rng.below(50).cast_signed();
    for sign in [1, -1] {
        let id = rng.below(ACCOUNTS).cast_signed();
        db.prepare_cached("UPDATE accounts SET balance = balance + ?2 WHERE id = ?1")?
            .execute([id, sign * amount])?;
    }
    Ok(())
}

fn put_blob(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let name = format!("blob {}", rng.below(400));
    let len = rng.below(9000);
    let data = rng.bytes(len);
    let replaced = db
        .prepare_cached("UPDATE blobs SET data = ?2 WHERE name = ?1")?
        .execute(params![name, data])?;
    if replaced == 0 {
        db.prepare_cached("INSERT INTO blobs VALUES (?1, ?2)")?.execute(params![name, data])?;
        db.prepare_cached("UPDATE totals SET blobs = blobs + 1")?.execute([])?;
    }
    Ok(())
}

fn update_events(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let kind = format!("kind {}", rng.below(40));
    let sql = "UPDATE events SET weight = weight + 1, note = substr(note, 2)
        WHERE id IN (SELECT id FROM events WHERE kind = ?1 LIMIT 5)";
    db.prepare_cached(sql)?.execute([kind]).map(drop)
}

fn delete_events(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let kind = format!("kind {}", rng.below(40));
    let sql = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE kind = ?1 LIMIT 6)";
    let deleted = db.prepare_cached(sql)?.execute([kind])?;
    let deleted = i64::try_from(deleted).unwrap_or(i64::MAX);
    db.prepare_cached("UPDATE totals SET events = events - ?1")?.execute([deleted]).map(drop)
}

fn delete_blob(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let name = format!("blob {}", rng.below(400));
    let deleted = db.prepare_cached("DELETE FROM blobs WHERE name = ?1")?.execute([name])?;
    let deleted = i64::try_from(deleted).unwrap_or(i64::MAX);
    db.prepare_cached("UPDATE totals SET blobs = blobs - ?1")?.execute([deleted]).map(drop)
}

fn make_or_drop_table(db: &Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    let name = format!("extra_{}", rng.below(4));
    db.execute_batch(&if rng.below(2) == 0 {
        format!("DROP TABLE IF EXISTS {name}")
    } else {
        format!("CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM events LIMIT 20")
    })
}

fn delete_most(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM events WHERE id % 10 <> 0;
         DELETE FROM blobs WHERE name NOT LIKE '%7';
         UPDATE totals SET events = (SELECT count(*) FROM events),
             blobs = (SELECT count(*) FROM blobs);",
    )
}

/// Leaves frames after the last commit, which the next transaction overwrites under the same salts.
fn spill_and_roll_back(db: &mut Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", TINY_CACHE)?;
    let transaction = begin(db)?;
    for i in 0..30 {
        let (name, data) = (format!("never {i}"), rng.bytes(3000));
        transaction
            .prepare_cached("INSERT INTO blobs VALUES (?1, ?2)")?
            .execute(params![name, data])?;
    }
    transaction.rollback()?;
    db.pragma_update(None, "cache_size", USUAL_CACHE)
}
