//! The engine: accounts in redb, and the applied set in the same database.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use example_support::{Context, Error, files, try_for};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError, WriteTransaction,
};
use repl_core::{AppliedSet, LogId, SeqNo, SeqRange};

use crate::log::Record;

/// The sum of each account.
const SUMS: TableDefinition<'_, u32, u64> = TableDefinition::new("sums");
/// How often each record was applied. The final comparison needs it independently of the mark.
const TIMES: TableDefinition<'_, SeqNo, u64> = TableDefinition::new("times");
/// One row: the id of the log, the mark, and the first and last seqnos of the completed ranges.
const STATE: TableDefinition<'_, (), State> = TableDefinition::new("state");
type State = (u128, SeqNo, Vec<(SeqNo, SeqNo)>);

/// How long to wait for another process to close the database.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

const ADVICE: &str = "move it away, or give another --dir";

/// An open database of accounts.
#[derive(Debug)]
pub struct Accounts {
    db: Database,
    path: PathBuf,
    log: LogId,
}

/// The whole contents of a database, for the final comparison.
pub(crate) struct Contents {
    pub(crate) applied: AppliedSet,
    pub(crate) sums: Vec<(u32, u64)>,
    pub(crate) times: Vec<(SeqNo, u64)>,
}

impl Accounts {
    /// Creates a database for a log, with nothing applied: under a temporary name, as a kill leaves
    /// a file that redb refuses for good.
    pub fn create(path: &Path, log: LogId) -> Result<(), Error> {
        let temporary = files::beside(path, ".tmp");
        files::remove(&temporary)?;
        let create = || -> Result<(), redb::Error> {
            let db = Database::create(&temporary)?; // must outlive the transaction
            let transaction = db.begin_write()?;
            transaction.open_table(SUMS)?;
            transaction.open_table(TIMES)?;
            transaction.open_table(STATE)?.insert((), (log.0, 0, Vec::new()))?;
            transaction.commit()?;
            drop(db);
            fs::rename(&temporary, path)?;
            Ok(files::sync_folder_of(path)?)
        };
        create().at("create the database", path)
    }

    /// Opens the database of `log`, waiting up to 10 s for another process to close it.
    ///
    /// # Errors
    /// That the file is in use, foreign or of another log, or that redb failed.
    pub fn open(path: &Path, log: LogId) -> Result<Accounts, Error> {
        let name = path.display();
        let foreign = || format!("{name} was not made by this program: {ADVICE}").into();
        let db = try_for(CLOSED_WITHIN, || match Database::open(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) => Ok(None),
            Err(DatabaseError::Storage(StorageError::Io(error)))
                if error.kind() == ErrorKind::InvalidData =>
            {
                Err(foreign())
            }
            opened => opened.at("open the database", path).map(Some),
        })?;
        let db = db.ok_or_else(|| format!("another process has {name} open"))?;
        let accounts = Accounts { db, path: path.to_owned(), log };
        match accounts.state().at("read the database", path)? {
            Some((found, ..)) if found == log.0 => Ok(accounts),
            Some(_) => Err(format!("{name} holds records of another log: {ADVICE}").into()),
            None => Err(foreign()),
        }
    }

    fn state(&self) -> Result<Option<State>, redb::Error> {
        match self.db.begin_read()?.open_table(STATE) {
            Ok(state) => Ok(state.get(())?.map(|row| row.value())),
            Err(TableError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None), // no such table, or one of another type
        }
    }

    /// Reads which records are applied.
    pub fn applied(&self) -> Result<AppliedSet, Error> {
        let (_, mark, above) =
            self.state().at("read the database", &self.path)?.unwrap_or_default(); // 1.
        let above = above.into_iter().map(|(first, last)| SeqRange::new(first, last));
        Ok(AppliedSet::new(mark, above))
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
            let above = after.above().map(|range| (range.first(), range.last())).collect();
            transaction.open_table(STATE)?.insert((), (self.log.0, after.mark(), above))?; // 6.
            drop((sums, times));
            Ok(transaction)
        };
        write().at("write to the database", &self.path)
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
        let (sums, times) = read().at("read the database", &self.path)?;
        Ok(Contents { applied: self.applied()?, sums, times })
    }
}
