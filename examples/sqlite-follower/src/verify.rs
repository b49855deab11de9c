//! Compares a replica with the leader's database.
//!
//! They are not equal byte for byte, since SQLite does not log pages of the free list. Everything
//! that SQL shows must be equal: the schema, and in each table every row with its rowid, in order,
//! with the type of each value. `PRAGMA integrity_check` checks each index against its table.

use std::collections::BTreeMap;
use std::path::Path;

use repl_core::ShardId;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::Serialize;
use thiserror::Error;

use crate::layout::Layout;
use crate::replica::open_immutable;
use crate::source::{SourceError, open_existing};

/// The result of comparing one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) shard: u64,
    pub(crate) equal: bool,
    pub(crate) tables: u64,
    pub(crate) rows: u64,
    /// The hash of all content of the leader's database.
    pub(crate) hash: String,
    /// What differs, if anything.
    pub(crate) differences: Vec<String>,
}

/// An error while reading the leader's database, which decides nothing about the replica.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("shard {shard}: cannot read the leader's database")]
    Leader { shard: ShardId, source: rusqlite::Error },
}

/// Everything that SQL shows of a database: for each table the number of rows and their hash. The
/// empty name stands for the schema.
#[derive(Debug, PartialEq, Eq)]
struct Content(BTreeMap<String, (u64, u128)>);

/// Compares a replica with the leader's database. Neither may be written meanwhile.
pub(crate) fn compare(layout: &Layout, shard: ShardId) -> Result<Verdict, VerifyError> {
    let leader = open_existing(&layout.database(shard))?;
    let leader = Content::read(&leader);
    let leader = leader.map_err(|source| VerifyError::Leader { shard, source })?;
    let differences = match check_replica(&layout.replica(shard)) {
        Ok((integrity, replica)) => {
            let mut differences = replica.differences(&leader);
            if integrity != "ok" {
                differences.insert(0, format!("integrity_check: {integrity}"));
            }
            differences
        }
        Err(e) => vec![format!("cannot read the replica: {e}")],
    };
    let mut all = Hash::new();
    for (name, (_, hash)) in &leader.0 {
        all.add(name.as_bytes());
        all.add(&hash.to_le_bytes());
    }
    Ok(Verdict {
        shard: shard.0,
        equal: differences.is_empty(),
        tables: leader.0.len() as u64 - 1,
        rows: leader.0.values().map(|(rows, _)| rows).sum(),
        hash: format!("{:032x}", all.0),
        differences,
    })
}

fn check_replica(path: &Path) -> rusqlite::Result<(String, Content)> {
    let db = open_immutable(path)?;
    let integrity = db.query_row("PRAGMA integrity_check(3)", [], |row| row.get(0))?;
    Ok((integrity, Content::read(&db)?))
}

impl Content {
    fn read(db: &Connection) -> rusqlite::Result<Content> {
        let schema =
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name, tbl_name";
        let mut content = BTreeMap::from([(String::new(), hash_rows(db, schema)?)]);
        // Includes the shadow tables, which hold the content of virtual tables.
        let tables = "SELECT name, wr FROM pragma_table_list
            WHERE schema = 'main' AND type IN ('table', 'shadow') AND name <> 'sqlite_schema'";
        let mut tables = db.prepare(tables)?;
        let mut rows = tables.query([])?;
        while let Some(row) = rows.next()? {
            let (name, without_rowid): (String, bool) = (row.get(0)?, row.get(1)?);
            let query = query_of(db, &name, without_rowid)?;
            content.insert(name, hash_rows(db, &query)?);
        }
        Ok(Content(content))
    }

    fn differences(&self, leader: &Content) -> Vec<String> {
        let names = self.0.keys().chain(leader.0.keys().filter(|n| !self.0.contains_key(*n)));
        let differs = |name: &String| {
            let what = if name.is_empty() { "the schema".into() } else { format!("table {name}") };
            match (self.0.get(name), leader.0.get(name)) {
                (here, there) if here == there => None,
                (None, _) => Some(format!("{what} is missing")),
                (_, None) => Some(format!("{what} is not in the leader's database")),
                (Some((here, _)), Some((there, _))) if here != there => {
                    Some(format!("{what} has {here} rows, but the leader's has {there}"))
                }
                _ => Some(format!("{what} differs")),
            }
        };
        names.filter_map(differs).collect()
    }
}

/// A query for all rows of a table in a fixed order.
fn query_of(db: &Connection, table: &str, without_rowid: bool) -> rusqlite::Result<String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = "SELECT name, pk FROM pragma_table_xinfo(?1) ORDER BY pk";
    let mut columns = db.prepare(columns)?;
    let columns = columns.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns: Vec<(String, i64)> = columns.collect::<Result<_, _>>()?;
    let is_column = |name: &&str| columns.iter().any(|(c, _)| c.eq_ignore_ascii_case(name));
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !is_column(name));
    let table = quoted(table);
    Ok(match rowid {
        Some(rowid) if !without_rowid => {
            format!("SELECT {rowid}, * FROM {table} ORDER BY {rowid}")
        }
        // Without an accessible rowid: by the key if there is one, else by all columns.
        _ => {
            let has_key = columns.iter().any(|(_, pk)| *pk > 0);
            let in_order = columns.iter().filter(|(_, pk)| !has_key || *pk > 0);
            let order: Vec<String> = in_order.map(|(name, _)| quoted(name)).collect();
            format!("SELECT * FROM {table} ORDER BY {}", order.join(", "))
        }
    })
}

/// The number of rows of a query, and their hash in order.
fn hash_rows(db: &Connection, query: &str) -> rusqlite::Result<(u64, u128)> {
    let mut statement = db.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let (mut count, mut hash) = (0, Hash::new());
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => hash.value(0, &[]),
                ValueRef::Integer(i) => hash.value(1, &i.to_le_bytes()),
                ValueRef::Real(r) => hash.value(2, &r.to_bits().to_le_bytes()),
                ValueRef::Text(t) => hash.value(3, t),
                ValueRef::Blob(b) => hash.value(4, b),
            }
        }
    }
    Ok((count, hash.0))
}

/// FNV-1a of 128 bits.
struct Hash(u128);

impl Hash {
    fn new() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn value(&mut self, kind: u8, bytes: &[u8]) {
        self.add(&[kind]);
        self.add(&(bytes.len() as u64).to_le_bytes());
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(sql: &str) -> Content {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(sql).unwrap();
        Content::read(&db).unwrap()
    }

    #[test]
    fn any_difference_that_sql_shows_is_found() {
        let table = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, x'00ff');";
        let same = content(table);
        assert_eq!(content(table).differences(&same), Vec::<String>::new());
        for other in [
            "UPDATE t SET a = '1' WHERE a = 1;",
            "UPDATE t SET a = 1.0 WHERE a = 1;",
            "UPDATE t SET b = CAST(b AS BLOB) WHERE a = 1;",
            "UPDATE t SET rowid = 7 WHERE a = 2;",
            "UPDATE t SET a = NULL WHERE a = 1;",
            "DELETE FROM t WHERE a = 1;",
            "CREATE INDEX i ON t (a);",
            "CREATE VIEW v AS SELECT 1;",
            "UPDATE t SET b = x'00fe' WHERE a = 3;",
            "CREATE TABLE \"o\"\"d\" (rowid, oid, _rowid_); INSERT INTO \"o\"\"d\" VALUES (1,2,3)",
            "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES (1, 2);",
        ] {
            let different = content(&format!("{table}{other}"));
            assert_ne!(different.differences(&same), Vec::<String>::new(), "{other}");
        }
    }
}
