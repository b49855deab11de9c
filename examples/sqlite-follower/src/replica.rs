//! A replica: a database file to which pages are applied, and which readers open.
//!
//! Pages are written in place, under a lock that readers share. After a start the file may hold
//! *more* than the mark: any mixture of pages from frames between the mark and the end of the log.
//! Until all those frames are applied again, [`Replica::read`] refuses.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use example_support::{Context, Error, files};
use repl_core::SeqNo;
use rusqlite::{Connection, OpenFlags};

use crate::tail::Transaction;

/// One replica, shared by its applier, its readers and the checkpointer.
#[derive(Debug)]
pub(crate) struct Replica {
    path: PathBuf,
    file: File,
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

impl Replica {
    /// Opens a replica that holds all up to `mark`, and possibly parts of what is between `mark`
    /// and `log_end`. Keeps a copy of the file at `image`, as of each sync.
    pub(crate) fn open(
        path: &Path,
        image: Option<PathBuf>,
        mark: SeqNo,
        log_end: SeqNo,
    ) -> Result<Replica, Error> {
        let file =
            File::options().read(true).write(true).open(path).at("open the replica", path)?;
        let content = RwLock::new(Content { at: mark, consistent_from: log_end.max(mark) });
        Ok(Replica { path: path.to_owned(), file, content, image })
    }

    /// Writes the pages of one transaction, and sets the file size that it commits.
    pub(crate) fn apply(&self, transaction: &Transaction<'_>, seqno: SeqNo) -> Result<(), Error> {
        let Transaction { page_size, commit_size, .. } = *transaction;
        let page_size = u64::from(page_size);
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        // If this fails half way, the file is inconsistent until all up to here is applied again.
        content.consistent_from = content.consistent_from.max(seqno);
        let write = || {
            for (page, data) in transaction.pages().filter(|(page, _)| *page <= commit_size) {
                self.file.write_all_at(data, (u64::from(page) - 1) * page_size)?;
            }
            let size = u64::from(commit_size) * page_size;
            if self.file.metadata()?.len() == size { Ok(()) } else { self.file.set_len(size) }
        };
        write().at("write the replica", &self.path)?;
        content.at = seqno;
        Ok(())
    }

    /// Makes durable all that was applied before the call.
    ///
    /// A failure is final: a second sync may succeed without having written the pages. The process
    /// must end, and apply them again from the saved mark.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        // Locked only if a copy is kept, which must match what was synced.
        let content = self.image.as_ref().map(|_| self.content.write());
        self.file.sync_all().at("sync the replica", &self.path)?;
        if let Some(image) = &self.image {
            files::copy(&self.path, image).at("copy the replica", &self.path)?;
        }
        drop(content);
        Ok(())
    }

    /// The seqno from which on the replica may be read.
    pub(crate) fn consistent_from(&self) -> SeqNo {
        self.content.read().unwrap_or_else(PoisonError::into_inner).consistent_from
    }

    /// Runs `query` on a consistent state. Nothing is applied while it runs. Returns its result and
    /// the last seqno applied, or `None` if the state is not consistent yet.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<(T, SeqNo)>, Error> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        if content.at < content.consistent_from {
            return Ok(None);
        }
        let result = open_immutable(&self.path).and_then(|db| query(&db));
        Ok(Some((result.at("read the replica", &self.path)?, content.at)))
    }
}

/// Opens a database file that is not written while it is open. Its header says WAL mode, but there
/// is no log. As immutable, SQLite looks for none.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let bytes = path.as_os_str().as_encoded_bytes();
    let escaped: Vec<String> = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    let uri = format!("file:{}?immutable=1", escaped.concat());
    Connection::open_with_flags(uri, flags)
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
