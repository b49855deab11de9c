//! When may a log restart, and what has to be on the disk before it does?
//!
//! Ending a log, between two of the leader's own transactions:
//! 1. wait until the published floor is exactly the log's end: nobody will ask for it again;
//! 2. write and sync the restart record of that end;
//! 3. `PRAGMA wal_checkpoint(RESTART)`. Busy is a column of its result, not an error: then take the
//!    record back and begin again;
//! 4. the next transaction overwrites the log from its start, under new salts.
//!
//! Between 3 and 4 the file still shows the old log, and what the leader remembers may be lost by
//! then: a process that is killed between the two, or whose log was ended while another process
//! still had the database open, cannot know whether its next transaction restarts the log or goes
//! on with it. So the rule is wider than the list: *whenever the next transaction may restart the
//! log, a record says where that log ends.* At its start a leader puts one for the end that it
//! finds, before it writes at all. The first transaction settles it: where the salts changed the
//! record is the end of that log for good, and where they did not the log went on past the record,
//! which is no end then and is taken back. Killed between that transaction and the taking back, the
//! leader replaces the record at its next start.
//!
//! Records of the last few logs are kept: the one put at a start must not displace that of the log
//! before, which a follower that was down may still have to leave.

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
    /// The end of the log; `None` before the first commit of a database.
    end: Option<LogPoint>,
    /// Whether the next transaction may restart the log. A record says where it ends, then.
    may_restart: bool,
    /// Restart the log without waiting for the floor.
    ignore_floor: bool,
}

/// The log cannot be kept.
#[derive(Debug, Error)]
pub(crate) enum LeaderLogError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error("shard {shard}: the checkpoint of the log failed")]
    Checkpoint { shard: ShardId, source: rusqlite::Error },
    #[error(
        "shard {shard}: the log was {what} by somebody else. The leader has to be the only writer, \
         and nobody else may checkpoint; followers will ask for --rebase"
    )]
    Meddled { shard: ShardId, what: &'static str },
}

impl LeaderLog {
    /// To be called before the first transaction.
    pub(crate) fn open(
        layout: &Layout,
        shard: ShardId,
        ignore_floor: bool,
    ) -> Result<LeaderLog, LeaderLogError> {
        let mut tail = Tail::new(&layout.log(shard));
        let mut records = RestartRecords::load(&layout.restarts(shard))?;
        let end = match tail.header() {
            Ok(Some(header)) => Some(tail.end_after(&header, header.start())?),
            // SQLite takes no frame from such a log either, and begins another.
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

    /// To be called after each transaction; returns the log's end.
    pub(crate) fn after_commit(&mut self) -> Result<LogPoint, LeaderLogError> {
        let shard = self.shard;
        let meddled = |what| LeaderLogError::Meddled { shard, what };
        let mut end = match self.end {
            Some(end) => end,
            None => self.tail.header()?.ok_or_else(|| meddled("removed"))?.start(),
        };
        loop {
            match self.tail.step(&end)? {
                Step::Transaction(transaction) => {
                    let next = transaction.end;
                    if self.may_restart {
                        self.records.take_back(end)?;
                        self.may_restart = false;
                    }
                    end = next;
                }
                Step::NewLog(header) if self.may_restart => {
                    end = header.start();
                    self.may_restart = false;
                }
                Step::Idle => break,
                Step::NewLog(_) => return Err(meddled("restarted")),
                Step::Rewritten => return Err(meddled("rewritten")),
                Step::NoLog => return Err(meddled("removed")),
            }
        }
        self.end = Some(end);
        Ok(end)
    }

    /// Ends the log, so that the next transaction restarts it. Returns whether it did, which it
    /// does not when it is told to finish first.
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
            // All frames may have been copied, with only a reader in the way of the restart: the
            // next transaction may restart the log all the same, so none is made before a record
            // stands again.
            self.records.take_back(end)?;
            if finish.load(Ordering::Acquire) {
                return Ok(false);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether the whole log was copied and nobody reads it, so that the next transaction restarts it.
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
