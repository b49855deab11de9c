//! Ends the leader's log, with a durable restart record before the log may restart.
//!
//! The leader ends a log between two of its own transactions:
//! 1. Wait until the published floor is exactly the end of the log, so that no follower needs it.
//! 2. Write and sync the restart record of that end.
//! 3. Run `PRAGMA wal_checkpoint(RESTART)`. It reports busy in a column, not as an error. If busy,
//!    remove the record and begin again.
//! 4. The next transaction overwrites the log from its start, under new salts.
//!
//! Between 3 and 4 the file still shows the old log. A leader killed there, or whose log ended
//! while another process had the database open, cannot know whether its next transaction restarts
//! or continues the log. So the rule is wider: *whenever the next transaction may restart the log,
//! a record states where that log ends.*
//!
//! A leader that starts writes a record for the end that it finds, before anything else. Its first
//! transaction decides: if the salts changed, the record is final. If not, the log continues past
//! the record, which is removed. Killed before that removal, the next leader replaces the record.
//!
//! Records of the last few logs are kept. The record written at a start must not displace that of
//! the log before, from which a follower may still have to continue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use repl_core::ShardId;
use rusqlite::Connection;
use thiserror::Error;

use crate::durable::FileError;
use crate::floor::PublishedFloors;
use crate::layout::Layout;
use crate::restart::RestartRecords;
use crate::source::PATIENCE;
use crate::tail::{Step, Tail, TailError};
use crate::wal::LogPoint;

const LOOK_EVERY: Duration = Duration::from_millis(3);

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

/// An error in the leader's log.
#[derive(Debug, Error)]
pub(crate) enum LeaderLogError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error("shard {shard}: the checkpoint of the log failed")]
    Checkpoint { shard: ShardId, source: rusqlite::Error },
    #[error(
        "shard {shard}: another process has {act} the log. Let no other process write or \
         checkpoint the database; followers will need --rebase"
    )]
    OtherWriter { shard: ShardId, act: &'static str },
}

impl LeaderLog {
    /// Opens the log of a database. Call it before the first transaction.
    pub(crate) fn open(
        layout: &Layout,
        shard: ShardId,
        ignore_floor: bool,
    ) -> Result<LeaderLog, LeaderLogError> {
        let mut tail = Tail::new(&layout.log(shard));
        let mut records = RestartRecords::load(&layout.restarts(shard))?;
        let end = match tail.header() {
            Ok(Some(header)) => Some(tail.end_after(&header, header.start())?),
            // SQLite takes no frame from such a log either, and starts another.
            Ok(None) | Err(TailError::Header { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        if let Some(end) = end {
            records.put(end)?;
        }
        Ok(LeaderLog {
            layout: layout.clone(),
            shard,
            tail,
            records,
            end,
            may_restart: true,
            ignore_floor,
        })
    }

    /// Reads what the last transaction appended. Returns the end of the log.
    ///
    /// Call it after each transaction.
    pub(crate) fn after_commit(&mut self) -> Result<LogPoint, LeaderLogError> {
        let shard = self.shard;
        let other_writer = |act| LeaderLogError::OtherWriter { shard, act };
        let mut end = match self.end {
            Some(end) => end,
            None => self.tail.header()?.ok_or_else(|| other_writer("removed"))?.start(),
        };
        loop {
            match self.tail.step(&end)? {
                Step::Transaction(transaction) => {
                    let next = transaction.end;
                    if self.may_restart {
                        self.records.remove(end)?;
                        self.may_restart = false;
                    }
                    end = next;
                }
                Step::NewLog(header) if self.may_restart => {
                    end = header.start();
                    self.may_restart = false;
                }
                Step::Idle => break,
                Step::NewLog(_) => return Err(other_writer("restarted")),
                Step::Rewritten => return Err(other_writer("rewritten")),
                Step::NoLog => return Err(other_writer("removed")),
            }
        }
        self.end = Some(end);
        Ok(end)
    }

    /// Ends the log, so that the next transaction restarts it. Returns false if the order to finish
    /// came first.
    pub(crate) fn end(
        &mut self,
        db: &Connection,
        finish: &AtomicBool,
    ) -> Result<bool, LeaderLogError> {
        let Some(end) = self.end else { return Ok(false) };
        loop {
            while !self.ignore_floor
                && !PublishedFloors::reach(&self.layout.floors(), self.shard, end)?
            {
                // 1
                if finish.load(Ordering::Acquire) {
                    return Ok(false);
                }
                thread::sleep(LOOK_EVERY);
            }
            self.records.put(end)?; // 2
            self.may_restart = true;
            let restarts = checkpoint(db);
            let source = |source| LeaderLogError::Checkpoint { shard: self.shard, source };
            if restarts.map_err(source)? {
                return Ok(true); // 3
            }
            // The checkpoint may have copied all frames, with only a reader preventing the restart.
            // Then the next transaction may still restart the log, so the caller commits none
            // before this loop has written a record again.
            self.records.remove(end)?;
            if finish.load(Ordering::Acquire) {
                return Ok(false);
            }
            thread::sleep(LOOK_EVERY);
        }
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
