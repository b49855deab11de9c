//! Ends the leader's log, with a durable restart record before the log may restart.
//!
//! The leader ends a log between two of its own transactions:
//! 1. Wait until the published floor is exactly the end of the log, so that no follower needs it.
//! 2. Write and sync the restart record of that end.
//! 3. Run `PRAGMA wal_checkpoint(RESTART)`. If it is busy, remove the record and begin again.
//! 4. The next transaction overwrites the log from its start, under new salts.
//!
//! *Whenever the next transaction may restart the log, a record states where that log ends.* So a
//! leader that starts writes a record first, and removes it if its first transaction shows that the
//! log continues.
//!
//! Records of the last few logs are kept, since a follower may still have to continue from one.

use std::time::Duration;

use example_support::{Context, Error};
use repl_core::ShardId;
use rusqlite::Connection;

use crate::database::PATIENCE;
use crate::handover::{RestartRecords, floor_is_at};
use crate::layout::Layout;
use crate::tail::{Step, Tail};
use crate::wal::LogPoint;

/// How long a checkpoint waits for readers. The leader does nothing else meanwhile.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(100);

/// The log of one of the leader's databases, as its only writer sees it.
#[derive(Debug)]
pub(crate) struct LeaderLog {
    layout: Layout,
    shard: ShardId,
    tail: Tail,
    records: RestartRecords,
    /// The end of the log; `None` before the first commit of the database.
    end: Option<LogPoint>,
    /// Whether the next transaction may restart the log. If so, a record states its end.
    may_restart: bool,
    /// A mutant: restarts the log without waiting for the floor.
    ignore_floor: bool,
}

impl LeaderLog {
    /// Opens the log of a database. Call it before the first transaction.
    pub(crate) fn open(
        layout: &Layout,
        shard: ShardId,
        ignore_floor: bool,
    ) -> Result<LeaderLog, Error> {
        let mut tail = Tail::new(&layout.log(shard));
        let mut records = RestartRecords::load(&layout.restarts(shard))?;
        let end = tail.end(None)?;
        if let Some(end) = end {
            records.put(end)?;
        }
        let layout = layout.clone();
        Ok(LeaderLog { layout, shard, tail, records, end, may_restart: true, ignore_floor })
    }

    /// Reads what the last transaction appended. Returns the end of the log.
    ///
    /// Call it after each transaction.
    pub(crate) fn after_commit(&mut self) -> Result<LogPoint, Error> {
        let other_writer = |shard, act| {
            Error::from(format!(
                "shard {shard}: another process has {act} the log. Let no other process write or \
                 checkpoint the database; followers will need --rebase"
            ))
        };
        let shard = self.shard;
        let mut end = match self.end {
            Some(end) => end,
            None => self.tail.header()?.ok_or_else(|| other_writer(shard, "removed"))?.start(),
        };
        loop {
            match self.tail.step(&end)? {
                Step::Transaction(transaction) => {
                    let next = transaction.end;
                    if self.may_restart {
                        self.records.remove(end)?;
                    }
                    end = next;
                }
                Step::NewLog(header) if self.may_restart => end = header.start(),
                Step::Idle => break,
                Step::NewLog(_) => return Err(other_writer(shard, "restarted")),
                Step::Reset(_) => return Err(other_writer(shard, "rewritten or removed")),
            }
            self.may_restart = false;
        }
        self.end = Some(end);
        Ok(end)
    }

    /// Tries to end the log, so that the next transaction restarts it. Returns whether it did.
    ///
    /// If not, try again before the next transaction: a checkpoint that a reader kept busy may have
    /// copied all frames, and then the log may restart without a record.
    pub(crate) fn try_end(&mut self, db: &Connection) -> Result<bool, Error> {
        let Some(end) = self.end else { return Ok(false) };
        if !self.ignore_floor && !floor_is_at(end, self.shard, &self.layout.floors())? {
            return Ok(false); // 1
        }
        self.records.put(end)?; // 2
        self.may_restart = true;
        let restarts = checkpoint(db); // 3
        let restarts = restarts.context(|| format!("shard {}: checkpoint failed", self.shard))?;
        if !restarts {
            self.records.remove(end)?;
        }
        Ok(restarts)
    }
}

/// Checkpoints the log. Returns whether all of it was copied and no reader uses it, so that the
/// next transaction restarts it.
fn checkpoint(db: &Connection) -> rusqlite::Result<bool> {
    db.busy_timeout(CHECKPOINT_PATIENCE)?;
    let columns = |row: &rusqlite::Row<'_>| {
        let (busy, frames, copied): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && frames == copied)
    };
    let done = db.query_row("PRAGMA wal_checkpoint(RESTART)", [], columns)?;
    db.busy_timeout(PATIENCE)?;
    Ok(done)
}

#[cfg(test)]
#[path = "leader_log_tests.rs"]
mod tests;
