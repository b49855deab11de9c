//! Makes a base copy: a copy of a database at a known place of its log, while the leader writes.
//!
//! 1. Read to the end of the log, so that little is left to do under the lock.
//! 2. Block all writers on a first connection.
//! 3. Note the end of the log, and check that SQLite takes the same frame as the last one. A
//!    leader killed during a commit leaves a commit frame that is not in the index shared by the
//!    connections. Whether it counts is decided once all connections are closed; try again then.
//! 4. Start a read transaction on a second connection. It sees the database at that end.
//! 5. Release the first connection, so that the leader continues.
//! 6. Make the log durable up to that end, as before every apply.
//! 7. Copy to a temporary name.
//! 8. Sync the copy, rename it into place, and sync the folder.
//!
//! The caller then adds the shard at that place. After a crash before that the copy is made again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use example_support::{Context, Error, files, try_for};
use repl_core::ShardId;
use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::database::{begin, open_existing};
use crate::layout::Layout;
use crate::tail::Tail;
use crate::wal::LogPoint;

/// How long the leader may take to create a database and its log.
const LEADER_STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Copies the database to the path of the replica. Returns the place in the log that the copy
/// corresponds to. Waits until the leader has a log, and until the copy may be made.
pub(crate) fn copy_base(
    layout: &Layout,
    shard: ShardId,
    tail: &mut Tail,
) -> Result<LogPoint, Error> {
    let database = layout.database(shard);
    let copied = try_for(LEADER_STARTS_WITHIN, || try_copy(layout, shard, &database, tail));
    let copied = copied.context(|| format!("shard {shard}: cannot make a base copy"))?;
    let path = database.display();
    copied.ok_or_else(|| format!("shard {shard}: {path} has no log: does the leader run?").into())
}

fn try_copy(
    layout: &Layout,
    shard: ShardId,
    database: &Path,
    tail: &mut Tail,
) -> Result<Option<LogPoint>, Error> {
    let known = tail.end(None)?; // 1
    if known.is_none() {
        return Ok(None);
    }
    let copying = lock_copies(layout, shard, File::lock_shared)?;
    let mut locker = open_existing(database)?;
    let lock = begin(&mut locker)?; // 2
    let mut reader = open_existing(database)?;
    let end = tail.end(known)?; // 3
    // The last frame according to the shared index.
    let last = reader.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, u32>(1))?;
    let Some(end) = end.filter(|end| end.frame == last) else { return Ok(None) };
    let snapshot = reader.transaction()?;
    // The transaction defers its snapshot to the first read.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?; // 4
    lock.rollback()?; // 5
    drop(locker);
    tail.make_durable(end)?; // 6
    let replica = layout.replica(shard);
    let temp = files::beside(&replica, ".copy");
    files::remove(&temp)?;
    copy(&snapshot, &temp)?; // 7
    drop(snapshot);
    drop((reader, copying));
    File::open(&temp)?.sync_all()?; // 8
    fs::rename(&temp, &replica)?;
    files::sync_folder_of(&replica)?;
    Ok(Some(end))
}

/// Takes the lock of a database: shared for copies, exclusive for a leader that opens it.
pub(crate) fn lock_copies(
    layout: &Layout,
    shard: ShardId,
    lock: impl FnOnce(&File) -> io::Result<()>,
) -> Result<File, Error> {
    let path = layout.copies_lock(shard);
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let locked = open.and_then(|file| lock(&file).map(|()| file));
    locked.at("lock", &path)
}

fn copy(reader: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(to)?;
    // The copy is synced as a whole and useless before that. A journal would outlive a kill.
    copy.pragma_update(None, "synchronous", "off")?;
    copy.pragma_update(None, "journal_mode", "off")?;
    Backup::new(reader, &mut copy)?.run_to_completion(i32::MAX, Duration::from_millis(1), None)
}
