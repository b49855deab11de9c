//! What do the leader and the follower tell their parent, and it them?
//!
//! Up: one JSON document a line on standard output. A line that is out survives the death of its
//! writer, so the parent knows how far a killed follower had come. Down: one order a line on
//! standard input; its end means that the parent is gone, and a child ends at once.

use std::io::{self, BufRead, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

use crate::wal::LogPoint;

/// What a child is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub(crate) enum Order {
    /// End what you do, then end.
    Finish,
    /// Leader: write the row of a client.
    Write { shard: u64, client: u64, request: u64 },
    /// Follower: once all up to the place is there, read the row of a client.
    Read { shard: u64, client: u64, request: u64, token: LogPoint },
}

/// What a child tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    /// Leader: a database is open, `done` units of work are in it, `until` are asked for.
    Writing { shard: u64, done: u64, until: u64 },
    /// Leader: one transaction is in the log, which now ends at `end`.
    Committed { shard: u64, done: u64, end: LogPoint },
    /// Leader: a client's row holds `written` now, by a transaction that ends at `end`.
    Written { client: u64, request: u64, written: u64, end: LogPoint },
    /// Leader: the log was ended behind a restart record.
    LogEnded { shard: u64 },
    /// Leader: all that was asked for is done.
    Done { shard: u64 },
    /// Follower: it goes on where a predecessor was saved.
    Resumed { shard: u64, mark: SeqNo, at: LogPoint },
    /// Follower: it begins with a base copy.
    Copied { shard: u64, mark: SeqNo, at: LogPoint },
    /// Follower: one transaction is in the replica.
    Applied { shard: u64, seqno: SeqNo, frames: u64, at: LogPoint },
    /// Follower: it went on to the next log.
    NextLog { shard: u64 },
    /// Follower: one checkpoint is saved.
    Saved { micros: u64 },
    /// Follower: a reader found a whole state.
    Read { shard: u64 },
    /// Follower: what the row of a client holds in the replica at `at`; `seqno` is that of its
    /// token, and `waited` whether the mark had still to reach it.
    Answered {
        client: u64,
        request: u64,
        seqno: SeqNo,
        at: SeqNo,
        found: Option<u64>,
        waited: bool,
    },
}

/// Tells the parent. Nothing is done where it cannot be told: the end of input says it sooner.
pub(crate) fn tell(event: Event) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Listens to the parent: the flag is set when it says to finish, all other orders go to `hear`,
/// and the process ends when the parent does.
pub(crate) fn listen(mut hear: impl FnMut(Order) + Send + 'static) -> Arc<AtomicBool> {
    let finish = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&finish);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Order::Finish) => heard.store(true, Ordering::Release),
                Ok(order) => hear(order),
                Err(_) => {}
            }
        }
        // As sudden as a kill, which all of this is made for.
        process::exit(1);
    });
    finish
}

/// The shards of a run with `databases` databases.
pub(crate) fn shards(databases: u64) -> impl Iterator<Item = ShardId> {
    (0..databases).map(ShardId)
}
