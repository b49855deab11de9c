//! Generates the leader's transactions, unless the user gives a file.
//!
//! They change pages in every way, as README.md lists. The n-th transaction of a database depends
//! only on the seed, the database and n.

use fastrand::Rng;
use repl_core::ShardId;
use rusqlite::{Connection, Params};

use crate::database::{begin, count_one};

const ACCOUNTS: i64 = 100;

/// An invariant of every transaction, over tables that share no page.
pub(crate) const INVARIANT: &str = "SELECT (SELECT sum(balance) FROM accounts) = 100000
    AND (SELECT count(*) FROM events) = (SELECT events FROM totals)
    AND (SELECT count(*) FROM blobs) = (SELECT blobs FROM totals)";

const TABLES: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, weight REAL, note TEXT);
    CREATE INDEX events_by_kind ON events (kind, weight);
    CREATE TABLE blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE totals (events INTEGER NOT NULL, blobs INTEGER NOT NULL);
    INSERT INTO totals VALUES (0, 0);
    CREATE TRIGGER a AFTER INSERT ON events BEGIN UPDATE totals SET events = events + 1; END;
    CREATE TRIGGER b AFTER DELETE ON events BEGIN UPDATE totals SET events = events - 1; END;
    CREATE TRIGGER c AFTER INSERT ON blobs BEGIN UPDATE totals SET blobs = blobs + 1; END;
    CREATE TRIGGER d AFTER DELETE ON blobs BEGIN UPDATE totals SET blobs = blobs - 1; END;
";

/// After this many transactions most rows are deleted and the database is vacuumed.
const VACUUM_EVERY: u64 = 900;

pub(crate) fn make_tables(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    (0..ACCOUNTS).try_for_each(|id| execute(db, "INSERT INTO accounts VALUES (?1, 1000)", [id]))
}

/// Commits the transaction with this number.
pub(crate) fn commit(
    db: &mut Connection,
    seed: u64,
    shard: ShardId,
    number: u64,
) -> rusqlite::Result<()> {
    let mut rng = example_support::rng(&[seed, shard.0, number]);
    let shrink = number.is_multiple_of(VACUUM_EVERY);
    let roll = rng.u32(..100);
    if roll >= 98 {
        spill_and_roll_back(db, &mut rng)?;
    }
    let transaction = begin(db)?;
    if shrink {
        let most = "DELETE FROM events WHERE id % 10 <> 0;
            DELETE FROM blobs WHERE name NOT LIKE '%7';";
        transaction.execute_batch(most)?;
    } else {
        change(&transaction, &mut rng, roll)?;
    }
    count_one(&transaction, 0)?;
    transaction.commit()?;
    if shrink { db.execute_batch("VACUUM") } else { Ok(()) }
}

fn change(db: &Connection, rng: &mut Rng, roll: u32) -> rusqlite::Result<()> {
    let kind = format!("kind {}", rng.u32(..40));
    let name = format!("blob {}", rng.u32(..400));
    match roll {
        0..40 => {
            let sql = "INSERT INTO events (kind, weight, note) VALUES (?1, ?2, ?3)";
            for _ in 0..rng.u32(1..=4) {
                let kind = format!("kind {}", rng.u32(..40));
                let weight = f64::from(rng.u32(..1000)) / 8.0;
                execute(db, sql, (kind, weight, "n".repeat(rng.usize(..200))))?;
            }
            Ok(())
        }
        40..58 => {
            let amount = rng.i64(..50);
            let sql = "UPDATE accounts SET balance = balance + ?2 WHERE id = ?1";
            execute(db, sql, [rng.i64(..ACCOUNTS), amount])?;
            execute(db, sql, [rng.i64(..ACCOUNTS), -amount])
        }
        58..72 => {
            let sql = "INSERT INTO blobs VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET data = excluded.data";
            let length = rng.usize(..9000);
            execute(db, sql, (name, bytes(rng, length)))
        }
        72..80 => {
            let sql = "UPDATE events SET weight = weight + 1, note = substr(note, 2)
                WHERE id IN (SELECT id FROM events WHERE kind = ?1 LIMIT 5)";
            execute(db, sql, [kind])
        }
        80..90 => {
            let sql = "DELETE FROM events
                WHERE id IN (SELECT id FROM events WHERE kind = ?1 LIMIT 6)";
            execute(db, sql, [kind])
        }
        90..97 => execute(db, "DELETE FROM blobs WHERE name = ?1", [name]),
        97 => {
            let table = format!("extra_{}", rng.u32(..4));
            db.execute_batch(&if rng.bool() {
                format!("DROP TABLE IF EXISTS {table}")
            } else {
                format!("CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM events LIMIT 20")
            })
        }
        _ => Ok(()),
    }
}

/// Leaves frames after the last commit, which the next transaction overwrites under the same salts.
fn spill_and_roll_back(db: &mut Connection, rng: &mut Rng) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", 5)?;
    let transaction = begin(db)?;
    for i in 0..30 {
        let row = (format!("never {i}"), bytes(rng, 3000));
        execute(&transaction, "INSERT INTO blobs VALUES (?1, ?2)", row)?;
    }
    transaction.rollback()?;
    db.pragma_update(None, "cache_size", -2000) // the default, in KiB
}

fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

fn execute(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(params).map(drop)
}
