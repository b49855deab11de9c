//! A replica: a database file to which pages are applied, and which readers open.
//!
//! The pages of a transaction are written in place, under a lock that readers share. So a reader
//! sees whole transactions only. It opens the file as immutable, which the file is while the lock
//! is held.
//!
//! The saved mark covers what was synced, but after a start the file may hold *more*. A killed
//! process leaves unsynced pages in the page cache, and a transaction half applied; after a power
//! cut any mixture of them may be on the disk. All of them come from frames between the mark and
//! the end of the log at the start, since the leader drops nothing above the retention floor. Once
//! all those frames are applied again, each page and the size are as the last frame set them. Until
//! then the file is not a consistent database, and [`Replica::read`] refuses.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use repl_core::{SeqNo, ShardId};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::position::Mark;
use crate::tail::Transaction;

/// One replica, shared by its applier, its readers and the checkpointer.
#[derive(Debug)]
pub(crate) struct Replica {
    shard: ShardId,
    path: PathBuf,
    file: File,
    page_size: u32,
    /// Whether anything was written since the last sync began.
    dirty: AtomicBool,
    content: RwLock<Content>,
    /// Where to keep a copy as of the last sync, to simulate power cuts.
    image: Option<PathBuf>,
}

#[derive(Debug)]
struct Content {
    /// The seqno of the last transaction applied.
    at: SeqNo,
    /// The seqno from which on the file is a consistent database.
    consistent_from: SeqNo,
}

/// An error while opening, writing or syncing a replica.
#[derive(Debug, Error)]
pub(crate) enum ReplicaError {
    #[error("shard {shard}: cannot {act} the replica {}", path.display())]
    Io { shard: ShardId, act: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "shard {shard}: the log has pages of {log} bytes, but the replica {} has pages of \
         {replica}: run again with --rebase to copy the database again",
        path.display()
    )]
    PageSize { shard: ShardId, path: PathBuf, log: u32, replica: u32 },
}

/// An error while reading a replica.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error(
        "shard {shard}: the replica is at {}, but is consistent from {} on: try again later",
        Mark(*at), Mark(*consistent_from)
    )]
    NotYet { shard: ShardId, at: SeqNo, consistent_from: SeqNo },
    #[error("shard {shard}: cannot read the replica")]
    Sqlite { shard: ShardId, source: rusqlite::Error },
}

impl Replica {
    /// Opens a replica that holds all up to `mark`, and possibly parts of what is between `mark`
    /// and `log_end`.
    pub(crate) fn open(
        shard: ShardId,
        path: &Path,
        mark: SeqNo,
        log_end: SeqNo,
    ) -> Result<Replica, ReplicaError> {
        let failed = |act| {
            let path = path.to_owned();
            move |source| ReplicaError::Io { shard, act, path, source }
        };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
        let mut bytes = [0; 2];
        file.read_exact_at(&mut bytes, 16).map_err(failed("read the page size of"))?;
        let page_size = match u16::from_be_bytes(bytes) {
            1 => 65536,
            size => u32::from(size),
        };
        Ok(Replica {
            shard,
            path: path.to_owned(),
            file,
            page_size,
            // A predecessor may have left unsynced pages.
            dirty: AtomicBool::new(true),
            content: RwLock::new(Content { at: mark, consistent_from: log_end.max(mark) }),
            image: None,
        })
    }

    /// Keeps a copy of the file at `image`, as of each sync.
    pub(crate) fn keeping_image(self, image: PathBuf) -> Replica {
        Replica { image: Some(image), ..self }
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Writes the pages of one transaction, and sets the file size that it commits.
    pub(crate) fn apply(
        &self,
        transaction: &Transaction<'_>,
        seqno: SeqNo,
    ) -> Result<(), ReplicaError> {
        let Transaction { page_size, commit_size, .. } = *transaction;
        if page_size != self.page_size {
            let (shard, path, replica) = (self.shard, self.path.clone(), self.page_size);
            return Err(ReplicaError::PageSize { shard, path, log: page_size, replica });
        }
        let page_size = u64::from(page_size);
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        // If this fails half way, the file is inconsistent until all up to here is applied again.
        content.consistent_from = content.consistent_from.max(seqno);
        for (page, data) in transaction.pages().filter(|(page, _)| *page <= commit_size) {
            let offset = (u64::from(page) - 1) * page_size;
            self.file.write_all_at(data, offset).map_err(self.failed("write"))?;
        }
        let size = u64::from(commit_size) * page_size;
        if self.file.metadata().map_err(self.failed("stat"))?.len() != size {
            self.file.set_len(size).map_err(self.failed("set the size of"))?;
        }
        content.at = seqno;
        // After the writes, so that a sync that begins during them does not clear it. Before the
        // mark moves, so that a sync for that mark finds it set.
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes durable all that was applied before the call.
    ///
    /// A failure is final: the kernel marks the pages clean nevertheless, so a second sync would
    /// succeed without having written them. The process must end, and apply them again from the
    /// saved mark.
    pub(crate) fn sync(&self) -> Result<(), ReplicaError> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // Locked only if a copy is kept, which must match what was synced.
        let content = self.image.as_ref().map(|_| self.content.write());
        self.file.sync_all().map_err(self.failed("sync"))?;
        if let Some(image) = &self.image {
            let temp = crate::durable::beside(image, ".tmp");
            let copied = fs::copy(&self.path, &temp).and_then(|_| fs::rename(&temp, image));
            copied.map_err(self.failed("copy"))?;
        }
        drop(content);
        Ok(())
    }

    /// Runs `query` on a consistent state. Returns the result and the last seqno applied.
    ///
    /// Nothing is applied while the query runs.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, SeqNo), ReadError> {
        let shard = self.shard;
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let Content { at, consistent_from } = *content;
        if at < consistent_from {
            return Err(ReadError::NotYet { shard, at, consistent_from });
        }
        let result = open_immutable(&self.path).and_then(|db| query(&db));
        result.map(|result| (result, at)).map_err(|source| ReadError::Sqlite { shard, source })
    }

    fn failed(&self, act: &'static str) -> impl FnOnce(io::Error) -> ReplicaError {
        let (shard, path) = (self.shard, self.path.clone());
        move |source| ReplicaError::Io { shard, act, path, source }
    }
}

/// Opens a database file that is not written while it is open.
///
/// Its header says WAL mode, since its pages are the leader's, but there is no log. As immutable,
/// SQLite looks for none.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            // Writing to a string does not fail.
            other => drop(write!(uri, "%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, flags)
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
