//! How do pages get into a replica, and when may it be read?
//!
//! A replica is a plain database file. A transaction's pages are written in place, under a lock
//! that readers share, so a reader sees whole transactions only; it opens the file through SQLite
//! as immutable, which it is while the lock is held.
//!
//! The mark that is saved speaks of what was synced, but after a start the file may hold *more*: a
//! killed process leaves its unsynced pages in the page cache, in any mixture after a power cut,
//! and a transaction half applied. All of these come from frames between the mark and the end of
//! the log as it stands at the start, since the leader drops nothing above the retention floor. So
//! once all of them are applied again, each page and the size are what the last frame made them. Up
//! to there the file is no database, and [`Replica::read`] refuses.

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
    /// Whether something was written since the last sync began.
    dirty: AtomicBool,
    content: RwLock<Content>,
    /// Where to keep a copy as of the last sync, to play power cuts with.
    image: Option<PathBuf>,
}

#[derive(Debug)]
struct Content {
    /// The last transaction that is in the file.
    at: SeqNo,
    /// The seqno from which on the file is a database.
    whole_from: SeqNo,
}

/// A replica could not be opened, written or synced.
#[derive(Debug, Error)]
pub(crate) enum ReplicaError {
    #[error("shard {shard}: cannot {act} the replica {}", path.display())]
    Io { shard: ShardId, act: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "shard {shard}: the log has pages of {log} bytes, and the replica {} of {replica}: \
         run again with --rebase to copy the database anew",
        path.display()
    )]
    PageSize { shard: ShardId, path: PathBuf, log: u32, replica: u32 },
}

/// A replica could not be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error(
        "shard {shard} cannot be read yet: it is at {}, and holds a whole state again from {}",
        Mark(*at), Mark(*whole_from)
    )]
    NotYet { shard: ShardId, at: SeqNo, whole_from: SeqNo },
    #[error("shard {shard}: the replica cannot be read")]
    Sqlite { shard: ShardId, source: rusqlite::Error },
}

impl Replica {
    /// Opens a replica that holds all up to `mark`, and may hold anything of what lies between it
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
            // A predecessor may have died with pages unsynced.
            dirty: AtomicBool::new(true),
            content: RwLock::new(Content { at: mark, whole_from: log_end.max(mark) }),
            image: None,
        })
    }

    /// Keeps a copy of the file as of each sync at `image`.
    pub(crate) fn keeping_image(self, image: PathBuf) -> Replica {
        Replica { image: Some(image), ..self }
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Writes the pages of one transaction, and sets the size that it commits.
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
        // If this fails half way the file is no database until all up to here is applied again.
        content.whole_from = content.whole_from.max(seqno);
        for (page, data) in transaction.pages().filter(|(page, _)| *page <= commit_size) {
            let offset = (u64::from(page) - 1) * page_size;
            self.file.write_all_at(data, offset).map_err(self.failed("write"))?;
        }
        let size = u64::from(commit_size) * page_size;
        if self.file.metadata().map_err(self.failed("stat"))?.len() != size {
            self.file.set_len(size).map_err(self.failed("set the size of"))?;
        }
        content.at = seqno;
        // After the writes, so that a sync that began among them does not clear it, and before the
        // mark moves, so that no sync for that mark finds it clear.
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes durable all that was applied before the call.
    ///
    /// A failure is for good: the kernel marks the pages clean all the same, and a second sync
    /// would say that all is well. The process has to end and apply them again from the saved mark.
    pub(crate) fn sync(&self) -> Result<(), ReplicaError> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // Held only where a copy is kept, which must hold just what was synced.
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

    /// Runs `query` on a state in which whole transactions are applied, and says up to which.
    ///
    /// Nothing is applied while it runs.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, SeqNo), ReadError> {
        let shard = self.shard;
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let Content { at, whole_from } = *content;
        if at < whole_from {
            return Err(ReadError::NotYet { shard, at, whole_from });
        }
        let answer = open_immutable(&self.path).and_then(|db| query(&db));
        answer.map(|answer| (answer, at)).map_err(|source| ReadError::Sqlite { shard, source })
    }

    fn failed(&self, act: &'static str) -> impl FnOnce(io::Error) -> ReplicaError {
        let (shard, path) = (self.shard, self.path.clone());
        move |source| ReplicaError::Io { shard, act, path, source }
    }
}

/// Opens a database file that nobody writes while it is open. It says of itself that it is in WAL
/// mode, as its pages are the leader's; there is no log beside it, and immutable looks for none.
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
