//! Compares a replica with the leader's database.
//!
//! They are not equal byte for byte, since SQLite does not log pages of the free list. Everything
//! that SQL shows must be equal: the schema, and in each table every row with its rowid, in order,
//! with the type of each value. `PRAGMA integrity_check` checks each index against its table.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use example_support::{Context, Error};
use repl_core::ShardId;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::Serialize;

use crate::database::open_existing;
use crate::layout::Layout;
use crate::replica::open_immutable;

/// The result of comparing one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) shard: u64,
    pub(crate) equal: bool,
    pub(crate) tables: u64,
    pub(crate) rows: u64,
    /// The hash of all content of the leader's database.
    pub(crate) hash: String,
    /// What differs, if anything.
    pub(crate) differences: Vec<String>,
}

/// Everything that SQL shows of a database: for each table the number of rows and their hash. The
/// empty name stands for the schema.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Content(BTreeMap<String, (u64, u64)>);

/// Compares a replica with the leader's database. Neither may be written meanwhile.
pub(crate) fn compare(layout: &Layout, shard: ShardId) -> Result<Comparison, Error> {
    let leader = Content::read(&open_existing(&layout.database(shard))?);
    let leader = leader.context(|| format!("shard {shard}: cannot read the leader's database"))?;
    let check = || -> rusqlite::Result<Vec<String>> {
        let db = open_immutable(&layout.replica(shard))?;
        let integrity: String = db.query_row("PRAGMA integrity_check(3)", [], |row| row.get(0))?;
        let broken = (integrity != "ok").then(|| format!("integrity_check: {integrity}"));
        Ok(broken.into_iter().chain(Content::read(&db)?.differences(&leader)).collect())
    };
    let differences = check().unwrap_or_else(|e| vec![format!("cannot read the replica: {e}")]);
    let mut hash = DefaultHasher::new();
    leader.hash(&mut hash);
    Ok(Comparison {
        shard: shard.0,
        equal: differences.is_empty(),
        tables: leader.0.len() as u64 - 1,
        rows: leader.0.values().map(|(rows, _)| rows).sum(),
        hash: format!("{:016x}", hash.finish()),
        differences,
    })
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
            // A column may have one of the names of the rowid, and hides it then.
            let rowid = if without_rowid { "" } else { "rowid, _rowid_, oid, " };
            // A scan of the table itself is in the order of its rowid, or of its key.
            let table = name.replace('"', "\"\"");
            let query = format!("SELECT {rowid}* FROM \"{table}\" NOT INDEXED");
            content.insert(name, hash_rows(db, &query)?);
        }
        Ok(Content(content))
    }

    fn differences(&self, leader: &Content) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(leader.0.keys()).collect();
        let rows = |content: &Content, name: &String| content.0.get(name).map(|(rows, _)| *rows);
        let text = |name: &String| match (rows(self, name), rows(leader, name)) {
            _ if self.0.get(name) == leader.0.get(name) => None,
            _ if name.is_empty() => Some("the schema differs".to_owned()),
            (here, there) => {
                Some(format!("table {name} differs: {here:?} rows, the leader's has {there:?}"))
            }
        };
        names.into_iter().filter_map(text).collect()
    }
}

/// The number of rows of a query, and the hash of all their values in order.
fn hash_rows(db: &Connection, query: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = db.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let (mut count, mut hash) = (0, DefaultHasher::new());
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0.hash(&mut hash),
                ValueRef::Integer(i) => (1, i).hash(&mut hash),
                ValueRef::Real(r) => (2, r.to_bits()).hash(&mut hash),
                ValueRef::Text(t) => (3, t).hash(&mut hash),
                ValueRef::Blob(b) => (4, b).hash(&mut hash),
            }
        }
    }
    Ok((count, hash.finish()))
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
            "UPDATE t SET rowid = 7 WHERE a = 3;",
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
