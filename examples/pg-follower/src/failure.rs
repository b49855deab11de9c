//! Why the follower stops, or connects again.

use std::path::PathBuf;

use pgwire_replication::PgWireError;
use repl_checkpoint::UnsealError;
use repl_checkpoint_postgres::MarksError;
use repl_core::Verdict;
use thiserror::Error;

use crate::pgoutput::DecodeError;

/// Why the follower cannot go on.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the replication connection failed")]
    Replication(#[from] PgWireError),
    #[error("the server refused, or the connection to it failed")]
    Server(#[from] tokio_postgres::Error),
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
    #[error("the log changes table {relation}, which it has not described")]
    UnknownTable { relation: u32 },
    #[error("a row of table {table} has not the columns that the log has described")]
    OtherColumns { table: String },
    #[error("table {table} has no primary key, so its rows cannot be told apart: add one")]
    NoKey { table: String },
    #[error("the copy of table {table} lacks a row that the log changes: copy it anew")]
    MissingRow { table: String },
    #[error("cannot {act} {}", file.display())]
    Sqlite { act: &'static str, file: PathBuf, source: rusqlite::Error },
    #[error("the marks in {} are damaged: remove the file, and it is copied anew", file.display())]
    CorruptMarks { file: PathBuf, source: UnsealError },
    #[error("the stored marks do not track the shard: remove the copy, and it is made anew")]
    NotTracked,
    #[error("the marks in the target database cannot be used")]
    Marks(#[from] MarksError),
}

impl Failure {
    /// Returns whether a later try may succeed.
    pub(crate) fn is_retried(&self) -> bool {
        match self {
            Failure::Replication(_)
            | Failure::Server(_)
            | Failure::EndOfStream
            | Failure::LostAnswer
            | Failure::Marks(MarksError::Database(_) | MarksError::Renewed) => true,
            Failure::Marks(MarksError::Remote(error)) => !error.is_final(),
            _ => false,
        }
    }
}
