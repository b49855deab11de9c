//! Compares every row of every table with the server's.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;
use tokio_postgres::Client;

use crate::copy::Table;
use crate::failure::Failure;
use crate::postgres::TARGET;
use crate::source::Address;
use crate::sqlite::Sqlite;

/// The result for one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) table: String,
    /// The rows of the server.
    pub(crate) rows: u64,
    /// Rows of the server that the copy lacks, with other values too.
    pub(crate) missing: u64,
    /// Rows of the copy that the server has not, or not as often.
    pub(crate) extra: u64,
}

/// What is compared with the server.
pub(crate) enum Copy<'a> {
    Sqlite(Sqlite),
    Postgres(&'a Address),
}

impl Copy<'_> {
    /// Compares all tables.
    pub(crate) async fn compare(&self, server: &mut Client) -> Result<Vec<Comparison>, Failure> {
        let transaction = server.transaction().await?;
        let tables = Table::published(&transaction).await?;
        transaction.rollback().await?;
        let target = match self {
            Copy::Sqlite(_) => None,
            Copy::Postgres(address) => Some(address.connect(TARGET).await?),
        };
        let mut comparisons = Vec::new();
        for table in tables {
            let ours = match (self, &target) {
                (_, Some(target)) => lines(&table, target).await?,
                (Copy::Sqlite(sqlite), None) => sqlite.read(&table)?,
                (Copy::Postgres(_), None) => Vec::new(),
            };
            let theirs = lines(&table, server).await?;
            comparisons.push(compare(table.name, theirs, ours));
        }
        Ok(comparisons)
    }
}

async fn lines(table: &Table, client: &Client) -> Result<Vec<Vec<u8>>, Failure> {
    let mut lines = Vec::new();
    table
        .read(client, |line| {
            lines.push(line.to_vec());
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(lines)
}

/// Compares rows as sets in which a row may be more than once.
fn compare(table: String, mut theirs: Vec<Vec<u8>>, mut ours: Vec<Vec<u8>>) -> Comparison {
    theirs.sort_unstable();
    ours.sort_unstable();
    let rows = theirs.len() as u64;
    let (mut missing, mut extra) = (0, 0);
    let (mut theirs, mut ours) = (theirs.iter().peekable(), ours.iter().peekable());
    loop {
        let order = match (theirs.peek(), ours.peek()) {
            (None, None) => return Comparison { table, rows, missing, extra },
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(their), Some(our)) => their.cmp(our),
        };
        missing += u64::from(order == Ordering::Less);
        extra += u64::from(order == Ordering::Greater);
        if order != Ordering::Greater {
            theirs.next();
        }
        if order != Ordering::Less {
            ours.next();
        }
    }
}

impl Comparison {
    pub(crate) fn different(&self) -> u64 {
        self.missing + self.extra
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { rows, missing, extra, .. } = self;
        if self.different() == 0 {
            return write!(f, "equal: {rows} rows");
        }
        write!(f, "DIFFERS: of {rows} rows, {missing} are missing, and {extra} are there besides")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_missing_changed_or_doubled_are_counted() {
        let of = |theirs: &[&str], ours: &[&str]| {
            let rows = |rows: &[&str]| rows.iter().map(|row| row.as_bytes().to_vec()).collect();
            let found = compare("t".to_owned(), rows(theirs), rows(ours));
            (found.rows, found.missing, found.extra)
        };
        assert_eq!(of(&["b", "a", "a"], &["a", "b", "a"]), (3, 0, 0));
        assert_eq!(of(&["a", "b"], &["b"]), (2, 1, 0));
        assert_eq!(of(&["a"], &["a", "a"]), (1, 0, 1));
        assert_eq!(of(&["a", "a"], &["a"]), (2, 1, 0));
        assert_eq!(of(&["a 1", "b 1"], &["a 1", "b 2"]), (2, 1, 1));
        assert_eq!(of(&[], &["z"]), (0, 0, 1));
    }
}
