//! The engine: accounts in redb, and the applied set in the same database.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use example_support::{Context, Error};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use repl_core::{AppliedSet, LogId, SeqNo, SeqRange};

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

/// How long to wait for another process to close the database.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// An open database of accounts.
#[derive(Debug)]
pub struct Accounts {
    db: Database,
    path: PathBuf,
}

/// The whole contents of a database, for the final comparison.
pub(crate) struct Contents {
    pub(crate) applied: AppliedSet,
    pub(crate) sums: Vec<(u32, u64)>,
    pub(crate) times: Vec<(SeqNo, u64)>,
}

impl Accounts {
    /// Creates a database for a log, with nothing applied.
    ///
    /// A failed or interrupted call may leave an unusable file, so create under a temporary name.
    pub fn create(path: &Path, log: LogId) -> Result<(), Error> {
        let create = || -> Result<(), redb::Error> {
            let db = Database::create(path)?; // must outlive the transaction
            let transaction = db.begin_write()?;
            for (name, number) in [(LOG, log.0), (MARK, 0)] {
                transaction.open_table(NUMBERS)?.insert(name, number)?;
            }
            transaction.open_table(SUMS)?;
            transaction.open_table(TIMES)?;
            transaction.open_table(COMPLETED)?;
            Ok(transaction.commit()?)
        };
        create().context(|| format!("cannot create the database {}", path.display()))
    }

    /// Opens the database of `log`, waiting up to 10 s for another process to close it.
    ///
    /// # Errors
    /// That the file is in use, foreign or of another log, or that redb failed.
    pub fn open(path: &Path, log: LogId) -> Result<Accounts, Error> {
        let deadline = Instant::now() + CLOSED_WITHIN;
        let name = path.display();
        let foreign = || {
            let advice = "move it away, or give another --dir";
            Err(format!("{name} was not made by this program: {advice}").into())
        };
        let db = loop {
            match Database::open(path) {
                Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(DatabaseError::Storage(redb::StorageError::Io(error)))
                    if error.kind() == ErrorKind::InvalidData =>
                {
                    return foreign();
                }
                opened => break opened.context(|| format!("cannot open the database {name}"))?,
            }
        };
        let accounts = Accounts { db, path: path.to_owned() };
        match accounts.number(LOG).context(|| format!("cannot read the database {name}"))? {
            Some(found) if found == log.0 => Ok(accounts),
            Some(_) => Err(format!(
                "{name} holds records of another log: move it away, or give another --dir"
            )
            .into()),
            None => foreign(),
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
    pub fn applied(&self) -> Result<AppliedSet, Error> {
        let read = || -> Result<AppliedSet, redb::Error> {
            let transaction = self.db.begin_read()?; // 1. mark and ranges must match
            let mark = transaction.open_table(NUMBERS)?.get(MARK)?.map(|mark| mark.value());
            let mut above = Vec::new();
            for range in transaction.open_table(COMPLETED)?.iter()? {
                let (first, last) = range?;
                above.push(SeqRange::new(first.value(), last.value()));
            }
            Ok(AppliedSet::new(u64::try_from(mark.unwrap_or(0)).unwrap_or(u64::MAX), above))
        };
        self.named(read(), "read")
    }

    /// Writes the effects of `records` and the applied set `after` into one transaction, to commit
    /// or to drop. If a commit fails it is in doubt whether it took effect: open the database again
    /// to find out.
    pub fn prepare(
        &self,
        records: &[Record],
        after: &AppliedSet,
    ) -> Result<WriteTransaction, Error> {
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
            drop((sums, times, completed, numbers));
            Ok(transaction)
        };
        self.named(write(), "write to")
    }

    pub(crate) fn contents(&self) -> Result<Contents, Error> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.db.begin_read()?;
            let sums = transaction.open_table(SUMS)?;
            let sums = sums.iter()?.map(|row| row.map(|(k, v)| (k.value(), v.value())));
            let times = transaction.open_table(TIMES)?;
            let times = times.iter()?.map(|row| row.map(|(k, v)| (k.value(), v.value())));
            Ok((sums.collect::<Result<_, _>>()?, times.collect::<Result<_, _>>()?))
        };
        let (sums, times) = self.named(read(), "read")?;
        Ok(Contents { applied: self.applied()?, sums, times })
    }

    fn named<T>(&self, result: Result<T, redb::Error>, act: &str) -> Result<T, Error> {
        result.context(|| format!("cannot {act} the database {}", self.path.display()))
    }
}
