//! Durable commits of every shard's mark in embedded databases, as each database documents them.

use std::error::Error;
use std::path::Path;

use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, TableDefinition};
use repl_core::Snapshot;

/// The result of a call to a database.
pub type Done<T = ()> = Result<T, Box<dyn Error>>;

/// SQLite: one row per shard, WAL, `synchronous=FULL`.
#[derive(Debug)]
pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// Creates a database in the folder `dir`, with a row for each shard.
    ///
    /// # Errors
    /// If the database fails.
    pub fn new(dir: &Path, marks: &Snapshot) -> Done<Self> {
        let mut database = rusqlite::Connection::open(dir.join("sqlite"))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database
            .execute_batch("CREATE TABLE marks (shard INTEGER PRIMARY KEY, mark INTEGER) STRICT")?;
        let transaction = database.transaction()?;
        for (shard, mark) in marks {
            let row = (i64::try_from(shard.0)?, i64::try_from(mark)?);
            transaction.execute("INSERT INTO marks VALUES (?1, ?2)", row)?;
        }
        transaction.commit()?;
        Ok(Sqlite(database))
    }

    /// Commits the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn commit(&mut self, marks: &Snapshot) -> Done {
        let transaction = self.0.transaction()?;
        {
            let update = "UPDATE marks SET mark = ?2 WHERE shard = ?1";
            let mut update = transaction.prepare_cached(update)?;
            for (shard, mark) in marks {
                update.execute((i64::try_from(shard.0)?, i64::try_from(mark)?))?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Reads the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn marks(&self) -> Done<Vec<(u64, u64)>> {
        let mut select = self.0.prepare("SELECT shard, mark FROM marks ORDER BY shard")?;
        let rows =
            select.query_map((), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let row = |row: rusqlite::Result<(i64, i64)>| {
            let (shard, mark) = row?;
            Ok((u64::try_from(shard)?, u64::try_from(mark)?))
        };
        rows.map(row).collect()
    }
}

const MARKS: TableDefinition<'_, u64, u64> = TableDefinition::new("marks");

/// redb: one entry per shard, with the default `Durability::Immediate`.
#[derive(Debug)]
pub struct Redb(redb::Database);

impl Redb {
    /// Creates a database in the folder `dir`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn new(dir: &Path) -> Done<Self> {
        Ok(Redb(redb::Database::create(dir.join("redb"))?))
    }

    /// Commits the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn commit(&mut self, marks: &Snapshot) -> Done {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(MARKS)?;
            for (shard, mark) in marks {
                table.insert(shard.0, mark)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Reads the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn marks(&self) -> Done<Vec<(u64, u64)>> {
        let table = self.0.begin_read()?.open_table(MARKS)?;
        table
            .range::<u64>(..)?
            .map(|row| row.map(|(s, m)| (s.value(), m.value())))
            .map(|r| Ok(r?))
            .collect()
    }
}

/// fjall: one entry per shard, in a batch with `PersistMode::SyncData`.
pub struct Fjall {
    database: fjall::Database,
    keyspace: fjall::Keyspace,
}

impl Fjall {
    /// Creates a database in the folder `dir`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn new(dir: &Path) -> Done<Self> {
        let database = fjall::Database::builder(dir.join("fjall")).open()?;
        let keyspace = database.keyspace("marks", KeyspaceCreateOptions::default)?;
        Ok(Fjall { database, keyspace })
    }

    /// Commits the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn commit(&mut self, marks: &Snapshot) -> Done {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (shard, mark) in marks {
            batch.insert(&self.keyspace, shard.0.to_be_bytes(), mark.to_be_bytes());
        }
        Ok(batch.commit()?)
    }

    /// Reads the marks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn marks(&self) -> Done<Vec<(u64, u64)>> {
        let number = |bytes: &[u8]| Ok::<_, Box<dyn Error>>(u64::from_be_bytes(bytes.try_into()?));
        self.keyspace
            .iter()
            .map(|entry| {
                let (shard, mark) = entry.into_inner()?;
                Ok((number(&shard)?, number(&mark)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dense_ids, state_of};

    #[test]
    fn every_database_holds_the_committed_marks() {
        let dir = tempfile::tempdir().unwrap();
        let ids = dense_ids(100);
        let state = state_of(&ids);
        let mut sqlite = Sqlite::new(dir.path(), &state.snapshot()).unwrap();
        let mut redb = Redb::new(dir.path()).unwrap();
        let mut fjall = Fjall::new(dir.path()).unwrap();
        for mark in [1_000_000, 1_000_001] {
            for id in &ids {
                state.advance(*id, mark);
            }
            let marks = state.snapshot();
            sqlite.commit(&marks).unwrap();
            redb.commit(&marks).unwrap();
            fjall.commit(&marks).unwrap();
            let expected: Vec<_> = marks.iter().map(|(shard, mark)| (shard.0, mark)).collect();
            assert!(expected.len() == 100 && expected.iter().all(|row| row.1 == mark));
            assert_eq!(sqlite.marks().unwrap(), expected);
            assert_eq!(redb.marks().unwrap(), expected);
            assert_eq!(fjall.marks().unwrap(), expected);
        }
    }
}
