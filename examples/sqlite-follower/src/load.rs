//! Turns a user's SQL file into the leader's transactions, one per line.
//!
//! A statement over several lines is one transaction with everything on its last line. Several
//! statements on one line are one transaction. Each transaction also counts itself in the database,
//! so a second run continues after the last one. A digest of the transactions done detects a file
//! that was changed.
//!
//! Lines that would take the log out of the leader's control are refused. `BEGIN` and `COMMIT`
//! alone on a line, as dumps have them, are left out, since each line commits anyway.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

use crate::progress::{self, Kind, ProgressError};
use crate::sql::{Unit, units};

/// The transactions of one file, and how many of them are done.
#[derive(Debug)]
pub(crate) struct Load {
    path: PathBuf,
    units: Vec<Unit>,
    done: usize,
    digest: Digest,
}

/// An error in the user's SQL file.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "the first {done} transactions of {} differ from those that the database in --dir holds: \
         restore the file, or give another --dir", path.display()
    )]
    Changed { path: PathBuf, done: u64 },
    #[error("{} line {line} is refused: {reason}", path.display())]
    Refused { path: PathBuf, line: usize, reason: &'static str },
    #[error("{} line {line} failed; the lines before it are committed", path.display())]
    Sql { path: PathBuf, line: usize, source: rusqlite::Error },
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// How a transaction is run, according to the first words of its statements.
#[derive(Debug, PartialEq, Eq)]
enum Treatment {
    InTransaction,
    /// Outside of a transaction, as SQLite requires for this statement.
    Alone,
    /// Not at all, since each line commits anyway.
    LeaveOut,
    Refuse(&'static str),
}

impl Load {
    /// Reads the file, and continues after the transactions that the database holds.
    pub(crate) fn open(db: &mut Connection, path: &Path) -> Result<Load, LoadError> {
        let text = fs::read(path);
        let text = text.map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let units = units(&String::from_utf8_lossy(&text));
        let progress = progress::begin(db, Kind::Load, |_| Ok(()))?;
        let changed = || LoadError::Changed { path: path.to_owned(), done: progress.done };
        let done = usize::try_from(progress.done).map_err(|_| changed())?;
        let mut digest = Digest::new();
        for unit in units.get(..done).ok_or_else(changed)? {
            digest.add(&unit.sql);
        }
        if done > 0 && digest.text() != progress.digest {
            return Err(changed());
        }
        Ok(Load { path: path.to_owned(), units, done, digest })
    }

    pub(crate) fn done(&self) -> u64 {
        self.done as u64
    }

    pub(crate) fn len(&self) -> u64 {
        self.units.len() as u64
    }

    /// Commits the next transaction. Does nothing after the last.
    pub(crate) fn commit_next(&mut self, db: &mut Connection) -> Result<(), LoadError> {
        let Some(unit) = self.units.get(self.done) else { return Ok(()) };
        let (path, line) = (&self.path, unit.line);
        let failed = |source| LoadError::Sql { path: path.clone(), line, source };
        let treatment = treatment(unit);
        if let Treatment::Refuse(reason) = treatment {
            return Err(LoadError::Refused { path: path.clone(), line, reason });
        }
        if treatment == Treatment::Alone {
            // It runs twice if the leader is killed before counting it, which is harmless.
            db.execute_batch(&unit.sql).map_err(failed)?;
        }
        self.digest.add(&unit.sql);
        let behavior = TransactionBehavior::Immediate;
        let transaction = db.transaction_with_behavior(behavior).map_err(failed)?;
        if treatment == Treatment::InTransaction {
            transaction.execute_batch(&unit.sql).map_err(failed)?;
        }
        progress::count_one(&transaction, &self.digest.text()).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.done += 1;
        Ok(())
    }
}

fn treatment(unit: &Unit) -> Treatment {
    let several = unit.statements.len() > 1;
    for words in &unit.statements {
        let word = |i: usize| words.get(i).map_or("", String::as_str);
        let treatment = match (word(0), word(1)) {
            ("BEGIN" | "COMMIT" | "END", _) if several => {
                Treatment::Refuse("BEGIN or COMMIT inside a line, which is one transaction already")
            }
            ("BEGIN" | "COMMIT" | "END", _) => Treatment::LeaveOut,
            ("ROLLBACK", second) if second != "TO" && word(2) != "TO" => {
                Treatment::Refuse("ROLLBACK, but a line is one transaction that commits")
            }
            ("VACUUM", _) if several => Treatment::Refuse("VACUUM must be alone on a line"),
            ("VACUUM", _) if words.iter().any(|w| w == "INTO") => {
                Treatment::Refuse("VACUUM INTO writes a file that is not followed")
            }
            ("VACUUM", _) => Treatment::Alone,
            ("ATTACH" | "DETACH", _) => {
                Treatment::Refuse("ATTACH or DETACH, but only one database is followed")
            }
            ("PRAGMA", _) if words.iter().skip(1).take(3).any(|w| is_of_the_log(w)) => {
                Treatment::Refuse("this pragma would take the log out of the leader's control")
            }
            _ => Treatment::InTransaction,
        };
        if treatment != Treatment::InTransaction {
            return treatment;
        }
    }
    Treatment::InTransaction
}

fn is_of_the_log(pragma: &str) -> bool {
    let pragmas = ["WAL_AUTOCHECKPOINT", "WAL_CHECKPOINT", "JOURNAL_MODE", "LOCKING_MODE"];
    pragmas.contains(&pragma) || pragma == "JOURNAL_SIZE_LIMIT"
}

/// FNV-1a of all texts added.
#[derive(Debug, Clone)]
struct Digest(u64);

impl Digest {
    fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn treatment_of(sql: &str) -> Treatment {
        let units = units(sql);
        assert_eq!(units.len(), 1, "{units:?}");
        treatment(&units[0])
    }

    #[test]
    fn lines_that_would_take_the_log_out_of_the_leaders_control_are_refused() {
        for sql in [
            "PRAGMA journal_mode=DELETE;",
            "pragma main.wal_checkpoint(TRUNCATE);",
            "INSERT INTO t VALUES (1); PRAGMA wal_autocheckpoint = 1;",
            "ATTACH 'x' AS y;",
            "ROLLBACK;",
            "INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2);",
            "VACUUM INTO 'x';",
            "/* c */ -- c\n pragma \"journal_mode\" = off;",
        ] {
            assert!(matches!(treatment_of(sql), Treatment::Refuse(_)), "{sql}");
        }
        assert_eq!(treatment_of("BEGIN TRANSACTION;"), Treatment::LeaveOut);
        assert_eq!(treatment_of("vacuum;"), Treatment::Alone);
        assert_eq!(treatment_of("PRAGMA foreign_keys=OFF;"), Treatment::InTransaction);
        assert_eq!(treatment_of("ROLLBACK TO here;"), Treatment::InTransaction);
    }
}
