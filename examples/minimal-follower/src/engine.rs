//! The engine: follows a log, and loses nothing at whatever instant it is killed.
//!
//! 1. *Recover* the marks of the last checkpoint, and compare them with the logs (`start.rs`).
//! 2. *Apply* the next segment of a shard: its rows go into the memtable, then the mark advances.
//! 3. *Flush* the memtables into the table files.
//! 4. *Save* the marks.
//! 5. *Delete* the segments that no restart needs.
//!
//! A kill loses the memtables and the marks in memory. The next process replays the segments above
//! the saved marks, and finds all rows up to them in the files, as step 3 comes before 4. It may
//! put newer rows a second time. To put is idempotent, as apply must be; to add would not be.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use repl_checkpoint::{Checkpointer, FileStore, JsonCodec, OnCorrupt, Saved, StoreId, recover};
use repl_core::{SeqNo, Shard, ShardId, Snapshot};

use crate::start;

/// The rows of a segment, of a memtable or of a table file.
pub(crate) type Rows = BTreeMap<u64, u64>;

/// An open engine. Threads that apply segments share its tables.
pub(crate) struct Engine {
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) checkpointer: Checkpointer,
}

/// The data of one shard.
pub(crate) struct Table {
    shard: Shard,
    /// The rows that are not in the file yet. They replace those of the file.
    memtable: Mutex<Rows>,
    paths: Paths,
}

/// Where the files of a shard are.
pub(crate) struct Paths {
    /// The table file.
    pub(crate) table: PathBuf,
    /// A folder with a file per segment, named by its seqno.
    pub(crate) log: PathBuf,
}

impl Engine {
    /// Opens a folder as the last process has left it, or a new one.
    pub(crate) fn open(dir: &Path, shards: &[ShardId]) -> io::Result<Engine> {
        let store = FileStore::open(dir.join("marks"), StoreId::UNNAMED)?;
        // If the newest checkpoint is damaged, recovery uses the one before. Step 5 deletes no
        // segment above the marks of that one.
        let mut recovered = recover(store, JsonCodec, shards, OnCorrupt::FallBack)?; // 1
        let missing = &recovered.report.missing;
        let open = |id: &ShardId| {
            let log = dir.join("log").join(id.to_string());
            let paths = Paths { table: dir.join(format!("table-{id}")), log };
            let shard = start::begin(&recovered.state, *id, missing.contains(id), &paths)?;
            Ok(Arc::new(Table { shard, memtable: Mutex::default(), paths }))
        };
        let tables = shards.iter().map(open).collect::<io::Result<_>>()?;
        if !missing.is_empty() {
            // Nothing is applied yet, so nothing to flush. From now on no row is without a mark.
            recovered.checkpointer.checkpoint(|_| Ok(()))?;
        }
        Ok(Engine { tables, checkpointer: recovered.checkpointer })
    }

    /// Flushes and saves while other threads apply, then deletes segments.
    ///
    /// If it fails, end the process and start again: a flush that is tried again on the same file
    /// may succeed without writing what the first one has lost.
    pub(crate) fn checkpoint(&mut self) -> io::Result<Saved> {
        // The checkpointer reads the marks, calls the flush, and saves what it has read. A mark
        // advances after its rows are put, so the memtables hold all that these marks cover.
        let flush = || self.tables.iter().try_for_each(|table| table.flush());
        let saved = self.checkpointer.checkpoint(|_attempt| Ok(flush()?))?; // 3, 4
        self.delete_up_to(&self.checkpointer.floors().retention_floors())?; // 5
        Ok(saved)
    }

    /// Deletes the segments up to these marks. A shard without a mark keeps all of its segments.
    pub(crate) fn delete_up_to(&self, floors: &Snapshot) -> io::Result<()> {
        for table in &self.tables {
            let floor = floors.mark(table.shard.id()).unwrap_or(0);
            let segments = start::segments(&table.paths.log)?;
            for seqno in segments.into_iter().filter(|seqno| *seqno <= floor) {
                fs::remove_file(table.paths.log.join(seqno.to_string()))?;
            }
        }
        Ok(())
    }
}

impl Table {
    /// Applies the log from the mark up to `until`. Waits for segments that are not written yet.
    pub(crate) fn follow(&self, until: SeqNo) -> io::Result<()> {
        while self.shard.applied() < until {
            let seqno = self.shard.applied() + 1;
            if let Some(rows) = read(&self.paths.log.join(seqno.to_string()))? {
                self.memtable.lock().unwrap_or_else(PoisonError::into_inner).extend(rows); // 2
                self.shard.advance(seqno);
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Moves the rows of the memtable into the file, durably.
    fn flush(&self) -> io::Result<()> {
        // `follow` waits for the lock. A larger engine gives it a second memtable meanwhile.
        let mut memtable = self.memtable.lock().unwrap_or_else(PoisonError::into_inner);
        if !memtable.is_empty() {
            let mut rows = read(&self.paths.table)?.unwrap_or_default();
            rows.extend(&*memtable);
            replace(&self.paths.table, &serde_json::to_vec(&rows)?)?;
            memtable.clear(); // not before the rows are durable elsewhere
        }
        Ok(())
    }
}

/// Reads a segment or a table file; `None` if there is no file.
fn read(path: &Path) -> io::Result<Option<Rows>> {
    match fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
        Ok(rows) => Ok(Some(rows)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::other(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Replaces a file: a crash leaves the old file or the new one, and after the return the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("temp");
    let mut file = File::create(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?; // before the rename, or the name may lead to half a file
    fs::rename(&temp, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all() // or the old name may come back
}
