//! Why marks could not be moved or read.

use repl_checkpoint::{RemoteError, UnsealError};
use repl_core::{SeqNo, ShardId};

/// Marks in PostgreSQL could not be moved or read. Roll the transaction back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarksError {
    /// The store could not be reached, or is lost to this process: see [`RemoteError::is_final`].
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The lease was renewed meanwhile, as another transaction was settled. Begin again.
    #[error("the lease was renewed meanwhile: roll back, and begin the transaction again")]
    Renewed,
    /// The server has lost acknowledged commits. Stop applying, and reconcile.
    ///
    /// Data and marks are lost together. Read the marks with
    /// [`stored`](crate::PostgresMarks::stored), and go on from there if the log still has the
    /// segments above them; otherwise copy the shard anew.
    #[error(
        "{place} has lost acknowledged commits: the mark of shard {shard} is {found}, and was \
         {committed}; stop applying, read the stored marks, and apply the log from there"
    )]
    Regressed {
        /// The store.
        place: String,
        /// The shard.
        shard: ShardId,
        /// The mark of an acknowledged commit.
        committed: SeqNo,
        /// The stored mark.
        found: SeqNo,
    },
    /// The shard was never added.
    #[error("shard {shard} has no stored marks: add it first, or restore a copy")]
    UnknownShard {
        /// The shard.
        shard: ShardId,
    },
    /// The stored marks of a shard are damaged.
    #[error("the stored marks of shard {shard} are damaged: restore a copy")]
    Corrupt {
        /// The shard.
        shard: ShardId,
        /// What is wrong with them.
        source: UnsealError,
    },
    /// PostgreSQL returned an error, or the connection of the transaction ended.
    #[error("the transaction failed: roll back, and begin it again")]
    Database(#[from] tokio_postgres::Error),
}
