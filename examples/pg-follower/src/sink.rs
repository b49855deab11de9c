//! Where the rows and the marks are kept: a SQLite file, or another PostgreSQL database.

use std::sync::Arc;

use repl_core::{NewShard, ReplicationState, SeqNo, Shard, ShardId};

use crate::changes::Transaction;
use crate::copy::{Copied, Table};
use crate::failure::Failure;

/// The shard of the one log that is followed.
pub(crate) const SHARD: ShardId = ShardId::SINGLE;

/// What a sink holds.
#[derive(Debug)]
pub(crate) enum Stored {
    Nothing,
    /// Tables without marks.
    DataWithoutMarks,
    /// The marks, which no crash takes back.
    Marks(Arc<ReplicationState>),
}

/// What is committed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) transactions: &'a [Transaction],
    /// Up to where the log is applied then. Only a mutant leaves it out.
    pub(crate) mark: Option<SeqNo>,
}

/// A database with the rows, whose transactions hold the marks too.
pub(crate) trait Sink {
    /// Returns what is stored. Fails if another follower has taken the sink over.
    async fn stored(&mut self) -> Result<Stored, Failure>;

    /// Returns the columns of the copied tables.
    async fn copied(&mut self) -> Result<Copied, Failure>;

    /// Replaces everything by a copy of the tables, and the marks by `new`, in one transaction.
    /// Returns the number of rows.
    async fn copy(
        &mut self,
        source: &tokio_postgres::Transaction<'_>,
        tables: &[Table],
        new: NewShard,
    ) -> Result<u64, Failure>;

    /// Replaces the marks by `new`: they are the same, but the log has other epochs.
    async fn adopt(&mut self, live: &Shard, new: NewShard) -> Result<(), Failure>;

    /// Commits rows and mark in one transaction, unless the stored mark has reached that one.
    /// Both are durable when it returns. Fails if another follower has moved the stored mark.
    async fn commit(&mut self, live: &Shard, work: Work<'_>) -> Result<(), Failure>;
}
