//! Makes a base copy: a copy of a database at a known place of its log, while the leader writes.
//!
//! 1. Read to the end of the log, so that little is left to do under the lock.
//! 2. `BEGIN IMMEDIATE` on a first connection blocks all writers.
//! 3. Note the end of the log, and check that SQLite takes the same frame as the last one. A leader
//!    killed during a commit leaves a commit frame that is in the file, but not in the index shared
//!    by the connections. Whether it counts is decided once all connections are closed; try again
//!    then.
//! 4. Start the read transaction of the backup on a second connection. It sees the database at that
//!    end, however long the backup takes.
//! 5. Release the first connection, so that the leader continues.
//! 6. Make the log durable up to that end, as before every apply (`apply.rs`).
//! 7. Copy to a temporary name.
//! 8. Sync the copy, rename it into place, and sync the folder.
//!
//! The caller then adds the shard at that place. A crash before that leaves a file that no mark
//! refers to, and the copy is made again.
//!
//! The shared index exists as long as a connection of a copy is open. A leader that starts
//! meanwhile would overwrite the commit frame of its predecessor, which a follower may have read.
//! So copies share a lock, and a leader opens its database under the same lock exclusively. Then no
//! other connection exists, and SQLite rebuilds the index from the log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::ShardId;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

use crate::durable::{beside, sync_folder_of};
use crate::layout::Layout;
use crate::source::{SourceError, open_existing};
use crate::tail::{Tail, TailError};
use crate::wal::LogPoint;

/// How long the leader may take to create a database and its log.
const LEADER_STARTS_WITHIN: Duration = Duration::from_secs(30);

const PAGES_PER_STEP: i32 = 1024;

/// An error while making a base copy. No mark refers to it, so the next start tries again.
#[derive(Debug, Error)]
pub(crate) enum BaseCopyError {
    #[error(
        "shard {shard}: the leader's database {} has no log after {} s: check that the leader runs",
        path.display(), LEADER_STARTS_WITHIN.as_secs()
    )]
    NoLog { shard: ShardId, path: PathBuf },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error("shard {shard}: the backup of the leader's database failed")]
    Backup { shard: ShardId, source: rusqlite::Error },
    #[error("shard {shard}: cannot {act} {}", path.display())]
    Io { shard: ShardId, act: &'static str, path: PathBuf, source: io::Error },
}

/// How long to wait between two attempts.
pub(crate) const TRY_EVERY: Duration = Duration::from_millis(5);

/// A base copy that is not made yet.
#[derive(Debug)]
pub(crate) struct BaseCopy {
    shard: ShardId,
    deadline: Instant,
}

impl BaseCopy {
    pub(crate) fn new(shard: ShardId) -> BaseCopy {
        BaseCopy { shard, deadline: Instant::now() + LEADER_STARTS_WITHIN }
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Copies the database to the path of the replica. Returns the place in the log that the copy
    /// corresponds to, or `None` if that is not known yet: try again.
    pub(crate) fn attempt(
        &self,
        layout: &Layout,
        tail: &mut Tail,
    ) -> Result<Option<LogPoint>, BaseCopyError> {
        let shard = self.shard;
        let failed = |source| BaseCopyError::Backup { shard, source };
        let not_yet = || {
            let path = layout.database(shard);
            let is_late = Instant::now() > self.deadline;
            if is_late { Err(BaseCopyError::NoLog { shard, path }) } else { Ok(None) }
        };
        let known = log_end(tail, None)?; // 1
        if known.is_none() {
            return not_yet();
        }
        let copying = lock_copies(layout, shard, File::lock_shared)?;
        let mut locker = open_existing(&layout.database(shard))?;
        let lock = locker.transaction_with_behavior(TransactionBehavior::Immediate);
        let lock = lock.map_err(failed)?; // 2
        let reader = open_existing(&layout.database(shard))?;
        let end = log_end(tail, known)?; // 3
        let last = last_frame(&reader).map_err(failed)?;
        let Some(end) = end.filter(|end| i64::from(end.frame) == last) else {
            return not_yet();
        };
        begin_reading(&reader).map_err(failed)?; // 4
        lock.rollback().map_err(failed)?; // 5
        drop(locker);
        tail.make_durable(end)?; // 6
        let temp = beside(&layout.replica(shard), ".copy");
        copy(&reader, shard, &temp)?; // 7
        drop(reader);
        drop(copying);
        install(shard, &temp, &layout.replica(shard))?; // 8
        Ok(Some(end))
    }
}

/// Repeats the attempt until the copy is made.
#[cfg(test)]
pub(crate) fn copy_base(
    layout: &Layout,
    shard: ShardId,
    tail: &mut Tail,
) -> Result<LogPoint, BaseCopyError> {
    let copy = BaseCopy::new(shard);
    loop {
        if let Some(end) = copy.attempt(layout, tail)? {
            return Ok(end);
        }
        thread::sleep(TRY_EVERY);
    }
}

/// The end of the log, searched from `known` if that is given; `None` while there is no log.
///
/// The first log of a file gets its salts with the first frame, and new ones if that is rolled
/// back. So it has no stable name before its first commit.
fn log_end(tail: &mut Tail, known: Option<LogPoint>) -> Result<Option<LogPoint>, TailError> {
    let header = match tail.header() {
        Ok(Some(header)) => header,
        Ok(None) | Err(TailError::Header { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut from = header.start();
    if let Some(known) = known
        && tail.holds(&header, &known)?
    {
        from = known;
    }
    let end = tail.end_after(&header, from)?;
    Ok((end.frame > 0 || header.checkpoint_seq > 0).then_some(end))
}

/// Takes the lock of a database: shared for copies, exclusive for a leader that opens it.
pub(crate) fn lock_copies(
    layout: &Layout,
    shard: ShardId,
    lock: impl FnOnce(&File) -> io::Result<()>,
) -> Result<File, BaseCopyError> {
    let path = layout.copies_lock(shard);
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let locked = open.and_then(|file| lock(&file).map(|()| file));
    locked.map_err(|source| BaseCopyError::Io { shard, act: "lock", path, source })
}

/// The last frame of the log according to the index shared by SQLite's connections.
fn last_frame(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
}

/// Opens a read transaction, which `BEGIN` alone would defer to the first read.
fn begin_reading(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN")?;
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn copy(reader: &Connection, shard: ShardId, to: &Path) -> Result<(), BaseCopyError> {
    let failed = |source| BaseCopyError::Backup { shard, source };
    match fs::remove_file(to) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            let path = to.to_owned();
            return Err(BaseCopyError::Io { shard, act: "remove", path, source });
        }
        _ => {}
    }
    let mut copy = Connection::open(to).map_err(failed)?;
    // The copy is synced as a whole and useless before that. A journal would outlive a kill.
    copy.pragma_update(None, "synchronous", "off").map_err(failed)?;
    copy.pragma_update(None, "journal_mode", "off").map_err(failed)?;
    let backup = Backup::new(reader, &mut copy).map_err(failed)?;
    loop {
        match backup.step(PAGES_PER_STEP).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
    }
}

fn install(shard: ShardId, temp: &Path, place: &Path) -> Result<(), BaseCopyError> {
    let failed = |act, path: &Path| {
        let path = path.to_owned();
        move |source| BaseCopyError::Io { shard, act, path, source }
    };
    File::open(temp).and_then(|f| f.sync_all()).map_err(failed("sync", temp))?;
    fs::rename(temp, place).map_err(failed("rename", temp))?;
    sync_folder_of(place).map_err(failed("sync the folder of", place))
}
