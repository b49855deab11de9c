//! What do the leader and the follower tell their parent, and it them?
//!
//! Up: one JSON document a line on standard output. A line that is out survives the death of its
//! writer, so the parent knows how far a killed follower had come. Down: one word a line on
//! standard input; its end means that the parent is gone, and a child ends at once.

use std::io::{self, BufRead, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

use crate::wal::LogPoint;

/// The one word that is said to children: end what you do, then end.
pub(crate) const FINISH: &str = "finish";

/// What a child tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    /// Leader: a database is open, `done` units of work are in it, `until` are asked for.
    Writing { shard: u64, done: u64, until: u64 },
    /// Leader: one transaction is in the log, which now ends at `end`.
    Committed { shard: u64, done: u64, end: LogPoint },
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
}

/// Tells the parent. Nothing is done where it cannot be told: the end of input says it sooner.
pub(crate) fn tell(event: Event) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Listens to the parent: the flag is set when it says to finish, and the process ends when the
/// parent does.
pub(crate) fn listen() -> Arc<AtomicBool> {
    let finish = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&finish);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) if line == FINISH => heard.store(true, Ordering::Release),
                Ok(_) => {}
                Err(_) => break,
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
