//! The engine: accounts in redb, and the applied set in the same database.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use repl_core::{AppliedSet, LogId, SeqNo, SeqRange};
use thiserror::Error;

use crate::log::Record;

/// The sum of each account.
const SUMS: TableDefinition<'_, u32, u64> = TableDefinition::new("sums");
/// How often each record was applied. The final comparison needs it independently of the mark.
const TIMES: TableDefinition<'_, SeqNo, u64> = TableDefinition::new("times");
/// The completed ranges above the mark: first seqno to last seqno.
const COMPLETED: TableDefinition<'_, SeqNo, SeqNo> = TableDefinition::new("completed");
/// Single numbers by name.
const NUMBERS: TableDefinition<'_, &str, u128> = TableDefinition::new("numbers");
const LOG: &str = "log";
const MARK: &str = "mark";
const OUT_OF_ORDER: &str = "records completed before an earlier one";

/// How long to wait for another process to close the database.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// An open database of accounts.
#[derive(Debug)]
pub struct Accounts {
    db: Database,
    path: PathBuf,
}

/// A transaction with all writes done. Dropping it without a commit discards them.
#[must_use = "a transaction that is dropped without a commit has no effect"]
pub struct Prepared {
    transaction: WriteTransaction,
    path: PathBuf,
}

/// The whole contents of a database, for the final comparison.
pub(crate) struct Contents {
    pub(crate) applied: AppliedSet,
    pub(crate) sums: Vec<(u32, u64)>,
    pub(crate) times: Vec<(SeqNo, u64)>,
    pub(crate) out_of_order: u64,
}

/// An error from the database.
#[derive(Debug, Error)]
pub enum AccountsError {
    /// redb returned an error.
    #[error("cannot {act} the database {}", path.display())]
    Redb {
        /// The operation that failed, as a verb.
        act: &'static str,
        /// The database file.
        path: PathBuf,
        /// The error of redb.
        source: Box<redb::Error>,
    },
    /// Another process has the database open.
    #[error("the database {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file is not a database of this program.
    #[error(
        "{} was not made by this program: move it away, or give another --dir", .0.display()
    )]
    Foreign(PathBuf),
    /// The database was made for another log.
    #[error(
        "{} holds records of another log ({found}): move it away, or give another --dir",
        path.display()
    )]
    OtherLog {
        /// The database file.
        path: PathBuf,
        /// The log that the database was made for.
        found: LogId,
    },
}

impl Accounts {
    /// Creates a database for a log, with nothing applied.
    ///
    /// A failed or interrupted call may leave an unusable file, so create under a temporary name.
    ///
    /// # Errors
    /// [`AccountsError`] if redb fails.
    pub fn create(path: &Path, log: LogId) -> Result<(), AccountsError> {
        let create = || -> Result<(), redb::Error> {
            let db = Database::create(path)?; // must outlive the transaction
            let transaction = db.begin_write()?;
            for (name, number) in [(LOG, log.0), (MARK, 0), (OUT_OF_ORDER, 0)] {
                transaction.open_table(NUMBERS)?.insert(name, number)?;
            }
            transaction.open_table(SUMS)?;
            transaction.open_table(TIMES)?;
            transaction.open_table(COMPLETED)?;
            Ok(transaction.commit()?)
        };
        create().map_err(failed("create", path))
    }

    /// Opens the database of `log`, waiting up to 10 s for another process to close it.
    ///
    /// # Errors
    /// [`AccountsError`] if the file is in use, foreign or of another log, or if redb fails.
    pub fn open(path: &Path, log: LogId) -> Result<Accounts, AccountsError> {
        let deadline = Instant::now() + CLOSED_WITHIN;
        let db = loop {
            match Database::open(path) {
                Ok(db) => break db,
                Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(DatabaseError::DatabaseAlreadyOpen) => {
                    return Err(AccountsError::InUse(path.to_owned()));
                }
                Err(DatabaseError::Storage(redb::StorageError::Io(error)))
                    if error.kind() == std::io::ErrorKind::InvalidData =>
                {
                    return Err(AccountsError::Foreign(path.to_owned()));
                }
                Err(error) => return Err(failed("open", path)(error.into())),
            }
        };
        let accounts = Accounts { db, path: path.to_owned() };
        match accounts.number(LOG) {
            Ok(Some(found)) if found == log.0 => Ok(accounts),
            Ok(Some(found)) => {
                Err(AccountsError::OtherLog { path: path.to_owned(), found: LogId(found) })
            }
            Ok(None) => Err(AccountsError::Foreign(path.to_owned())),
            Err(error) => Err(failed("read", path)(error)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u128>, redb::Error> {
        match self.db.begin_read()?.open_table(NUMBERS) {
            Ok(numbers) => Ok(numbers.get(name)?.map(|number| number.value())),
            Err(TableError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None), // no such table, or one of another type
        }
    }

    /// Reads which records are applied.
    ///
    /// # Errors
    /// [`AccountsError`] if redb fails.
    pub fn applied(&self) -> Result<AppliedSet, AccountsError> {
        let read = || -> Result<AppliedSet, redb::Error> {
            let transaction = self.db.begin_read()?; // 1. mark and ranges must match
            let mark = transaction.open_table(NUMBERS)?.get(MARK)?.map(|mark| mark.value());
            let mut above = Vec::new();
            for range in transaction.open_table(COMPLETED)?.iter()? {
                let (first, last) = range?;
                above.push(SeqRange::new(first.value(), last.value()));
            }
            Ok(AppliedSet::new(narrow(mark.unwrap_or(0)), above))
        };
        read().map_err(failed("read", &self.path))
    }

    /// Writes the effects of `records` and the applied set `after` into one transaction.
    ///
    /// # Errors
    /// [`AccountsError`] if redb fails.
    pub fn prepare(
        &self,
        records: &[Record],
        after: &AppliedSet,
    ) -> Result<Prepared, AccountsError> {
        let write = || -> Result<WriteTransaction, redb::Error> {
            let transaction = self.db.begin_write()?;
            let (mut sums, mut times) =
                (transaction.open_table(SUMS)?, transaction.open_table(TIMES)?);
            for record in records {
                let sum = sums.get(record.account)?.map_or(0, |sum| sum.value());
                sums.insert(record.account, sum.wrapping_add(record.amount.into()))?; // 5.
                let applied = times.get(record.seqno)?.map_or(0, |times| times.value());
                times.insert(record.seqno, applied.saturating_add(1))?;
            }
            let mut completed = transaction.open_table(COMPLETED)?;
            completed.retain(|_, _| false)?; // 6.
            for range in after.above() {
                completed.insert(range.first(), range.last())?;
            }
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert(MARK, u128::from(after.mark()))?;
            let ahead = records.iter().filter(|record| record.seqno > after.mark()).count() as u128;
            let before = numbers.get(OUT_OF_ORDER)?.map_or(0, |number| number.value());
            numbers.insert(OUT_OF_ORDER, before.saturating_add(ahead))?;
            drop((sums, times, completed, numbers));
            Ok(transaction)
        };
        let transaction = write().map_err(failed("write to", &self.path))?;
        Ok(Prepared { transaction, path: self.path.clone() })
    }

    pub(crate) fn contents(&self) -> Result<Contents, AccountsError> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.db.begin_read()?;
            let sums = transaction.open_table(SUMS)?;
            let sums = sums.iter()?.map(|row| row.map(|(k, v)| (k.value(), v.value())));
            let times = transaction.open_table(TIMES)?;
            let times = times.iter()?.map(|row| row.map(|(k, v)| (k.value(), v.value())));
            let out_of_order = narrow(self.number(OUT_OF_ORDER)?.unwrap_or(0));
            Ok((sums.collect::<Result<_, _>>()?, times.collect::<Result<_, _>>()?, out_of_order))
        };
        let (sums, times, out_of_order) = read().map_err(failed("read", &self.path))?;
        Ok(Contents { applied: self.applied()?, sums, times, out_of_order })
    }
}

impl Prepared {
    /// Commits the transaction and makes it durable.
    ///
    /// # Errors
    /// [`AccountsError`] if redb fails. Whether the commit took effect is then in doubt: open the
    /// database again to find out.
    pub fn commit(self) -> Result<(), AccountsError> {
        // 7.
        self.transaction.commit().map_err(|error| failed("commit to", &self.path)(error.into()))
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(redb::Error) -> AccountsError {
    let path = path.to_owned();
    move |source| AccountsError::Redb { act, path, source: Box::new(source) }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
