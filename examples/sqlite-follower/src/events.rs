//! Events that a child sends to its parent, and orders that it receives.

use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

use crate::wal::LogPoint;

/// An order to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Follower: follow each log to its end, then end.
    Finish,
    /// Leader: write the row of a client.
    Write { shard: u64, client: u64 },
    /// Follower: read the row of a client once all up to the token is applied.
    Read { shard: u64, client: u64, token: LogPoint },
}

/// An event of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// Leader: `done` of `until` transactions are committed; the log ends at `end`.
    Committed { shard: u64, done: u64, until: u64, end: LogPoint },
    /// Leader: a transaction that ends at `end` has set a client's row to `written`.
    Written { client: u64, written: u64, end: LogPoint },
    /// Leader: the log has ended, with a restart record.
    LogEnded,
    /// Follower: a shard continues from its saved mark, or begins with a base copy.
    Started { shard: u64, mark: SeqNo, at: LogPoint, copied: bool },
    /// Follower: a transaction is applied.
    Applied { shard: u64, seqno: SeqNo, frames: u64, at: LogPoint },
    /// Follower: a checkpoint is saved.
    Saved { micros: u64 },
    /// Follower: a reader found a replica consistent.
    Read,
    /// Follower: the row of a client in the replica at `at`. `seqno` is that of the token; `waited`
    /// says whether the mark had yet to reach it.
    Answered { client: u64, seqno: SeqNo, at: SeqNo, found: Option<u64>, waited: bool },
}
