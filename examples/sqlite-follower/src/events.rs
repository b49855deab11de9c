//! Events that a child sends to its parent, and orders that it receives.
//!
//! An event is one JSON document per line on standard output. A line that was written survives a
//! kill, so the parent knows how far a killed follower came. An order is one line on standard
//! input. The end of standard input means that the parent is gone, and the child ends at once.

use std::io::{self, BufRead, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

use crate::wal::LogPoint;

/// An order to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub(crate) enum Order {
    /// Complete the work, then end.
    Finish,
    /// Leader: write the row of a client.
    Write { shard: u64, client: u64, request: u64 },
    /// Follower: read the row of a client once all up to the token is applied.
    Read { shard: u64, client: u64, request: u64, token: LogPoint },
}

/// An event of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    /// Leader: a database is open and holds `done` units of work of `until`.
    Writing { shard: u64, done: u64, until: u64 },
    /// Leader: a transaction is committed; the log ends at `end`.
    Committed { shard: u64, done: u64, end: LogPoint },
    /// Leader: a transaction that ends at `end` has set a client's row to `written`.
    Written { client: u64, request: u64, written: u64, end: LogPoint },
    /// Leader: the log has ended, with a restart record.
    LogEnded { shard: u64 },
    /// Leader: all work is done.
    Done { shard: u64 },
    /// Follower: a shard continues from its saved mark.
    Resumed { shard: u64, mark: SeqNo, at: LogPoint },
    /// Follower: a shard begins with a base copy.
    Copied { shard: u64, mark: SeqNo, at: LogPoint },
    /// Follower: a transaction is applied.
    Applied { shard: u64, seqno: SeqNo, frames: u64, at: LogPoint },
    /// Follower: a shard continues in the next log.
    NextLog { shard: u64 },
    /// Follower: a checkpoint is saved.
    Saved { micros: u64 },
    /// Follower: a reader found a replica consistent.
    Read { shard: u64 },
    /// Follower: the row of a client in the replica at `at`. `seqno` is that of the token; `waited`
    /// tells whether the mark had yet to reach it.
    Answered {
        client: u64,
        request: u64,
        seqno: SeqNo,
        at: SeqNo,
        found: Option<u64>,
        waited: bool,
    },
}

/// Sends an event to the parent. Errors are ignored: without a parent, the end of input ends the
/// process.
pub(crate) fn send(event: Event) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Reads orders from the parent, and ends the process when the parent ends.
///
/// The order to finish sets the returned flag. All other orders go to `on_order`.
pub(crate) fn listen(mut on_order: impl FnMut(Order) + Send + 'static) -> Arc<AtomicBool> {
    let finish = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&finish);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Order::Finish) => flag.store(true, Ordering::Release),
                Ok(order) => on_order(order),
                Err(_) => {}
            }
        }
        // As abrupt as a kill, which the process must survive anyway.
        process::exit(1);
    });
    finish
}

/// The shards of a run with `databases` databases.
pub(crate) fn shards(databases: u64) -> impl Iterator<Item = ShardId> {
    (0..databases).map(ShardId)
}
