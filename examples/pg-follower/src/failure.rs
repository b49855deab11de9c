//! Why the follower stops, or connects again.

use std::error::Error;
use std::fs::TryLockError;
use std::iter::successors;
use std::path::PathBuf;
use std::string::FromUtf8Error;

use pgwire_replication::PgWireError;
use repl_checkpoint::UnsealError;
use repl_checkpoint_postgres::MarksError;
use repl_core::Verdict;
use thiserror::Error;
use tokio_postgres::error::DbError;

use crate::pgoutput::DecodeError;

/// Why the follower cannot go on.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the replication connection failed")]
    Replication(#[from] PgWireError),
    #[error("the server refused, or the connection to it failed")]
    Server(#[from] tokio_postgres::Error),
    #[error("the snapshot of the slot is gone: the server was restarted meanwhile")]
    NoSnapshot(#[source] tokio_postgres::Error),
    #[error("the server does not answer")]
    NoAnswer,
    #[error("the stream ended: the server was stopped")]
    EndOfStream,
    #[error("the answer of a commit was lost")]
    LostAnswer,
    #[error("the server answered {command} with {answer:?}: is it PostgreSQL 15 or later?")]
    Answer { command: &'static str, answer: String },
    /// The history of the server and that of the follower are not the same.
    #[error("the follower stops: {0}")]
    Stopped(Verdict),
    #[error("a message of the log cannot be read: is it of pgoutput, version 1?")]
    Message(#[from] DecodeError),
    #[error("the log has {0}: is it of pgoutput, version 1?")]
    OutOfOrder(&'static str),
    #[error("the log changes table {relation}, which it has not described")]
    UnknownTable { relation: u32 },
    #[error(
        "table {table} is new, or its columns are not those of the copy: \
         delete copy.sqlite, or drop the database copy, and it is made anew"
    )]
    Altered { table: String },
    #[error("a row of table {table} has not the columns that the log has described")]
    OtherColumns { table: String },
    #[error("the log adds a row to table {table} without all of its values")]
    PartOfRow { table: String },
    #[error("table {table} has no primary key, so its rows cannot be told apart: add one")]
    NoKey { table: String },
    #[error(
        "the log of table {table} does not name rows by the primary key: \
         run `alter table {table} replica identity default`"
    )]
    ReplicaIdentity { table: String },
    #[error("table {table} has a name that the follower needs for itself: rename it")]
    ReservedName { table: String },
    #[error("a row of the base copy is not UTF-8")]
    NotUtf8(#[from] FromUtf8Error),
    #[error("the copy of table {table} lacks a row that the log changes: copy it anew")]
    MissingRow { table: String },
    #[error("the target database answered {answers} of {changes} changes")]
    Unanswered { changes: usize, answers: usize },
    #[error("cannot {act} {}", file.display())]
    Sqlite { act: &'static str, file: PathBuf, source: rusqlite::Error },
    #[error("cannot lock {}: if another follower runs, stop it", file.display())]
    Locked { file: PathBuf, source: TryLockError },
    #[error("another follower has moved the marks in {}: run one alone", file.display())]
    Overtaken { file: PathBuf },
    #[error("the marks in {} are damaged: delete the file, and it is made anew", file.display())]
    CorruptMarks { file: PathBuf, source: UnsealError },
    #[error(
        "the stored marks do not track the shard: \
         delete copy.sqlite, or drop the database copy, and it is made anew"
    )]
    NotTracked,
    #[error("the marks in the target database cannot be used")]
    Marks(#[from] MarksError),
}

impl Failure {
    /// Returns whether a later try may succeed.
    pub(crate) fn is_retried(&self) -> bool {
        match self {
            Failure::NoSnapshot(_)
            | Failure::NoAnswer
            | Failure::EndOfStream
            | Failure::LostAnswer
            | Failure::Marks(MarksError::Renewed) => true,
            Failure::Replication(_)
            | Failure::Server(_)
            | Failure::Marks(MarksError::Database(_)) => self.is_passing(),
            Failure::Marks(MarksError::Remote(error)) => !error.is_final() && self.is_passing(),
            _ => false,
        }
    }

    /// Returns whether the server has not answered with an error, or with one that says nothing
    /// about the statement: a lost connection, a conflict, too few resources, a stop, or a slot
    /// that is in use.
    fn is_passing(&self) -> bool {
        let passing = |state: &str| {
            state == "55006"
                || ["08", "40", "53", "57"].iter().any(|class| state.starts_with(class))
        };
        self.sqlstate().is_none_or(passing)
    }

    fn sqlstate(&self) -> Option<&str> {
        if let Failure::Replication(PgWireError::Server(text)) = self {
            return text.rsplit_once("(SQLSTATE ")?.1.strip_suffix(')');
        }
        let mut causes = successors(Some(self as &(dyn Error + 'static)), |&error| error.source());
        let error = causes.find_map(|error| error.downcast_ref::<DbError>())?;
        Some(error.code().code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |state: &str| {
            let text = format!("no ({state}) (SQLSTATE {state})");
            Failure::from(PgWireError::Server(text)).is_retried()
        };
        assert!(["08006", "40001", "53300", "57P03", "55006"].into_iter().all(refused));
        assert!(!["42601", "28P01", "55000", "XX000", "22057"].into_iter().any(refused));
        assert!(Failure::from(PgWireError::Server("unknown".to_owned())).is_retried());
        assert!(Failure::EndOfStream.is_retried());
        assert!(!Failure::NoKey { table: String::new() }.is_retried());
    }
}
