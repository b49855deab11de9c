//! What a writer tells on its pipe.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One thing that a writer did or saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// A call of the store, made and ended.
    Call(Made),
    /// The store was not opened, or recovery gave no marks.
    Refused {
        /// What it said.
        why: String,
    },
    /// Recovery gave marks.
    Recovered {
        /// Of which generation; 0 for none.
        generation: u64,
        /// Which stamp the marks bear.
        stamp: u64,
        /// The hash of the checkpoint's bytes.
        bytes: u128,
        /// How many damaged checkpoints were passed over.
        passed_over: usize,
        /// The temporary files that are still there.
        temps: Vec<String>,
    },
    /// A checkpoint was handed to the store.
    Attempt {
        /// Its generation.
        generation: u64,
        /// Which stamp its marks bear.
        stamp: u64,
        /// The hash of its bytes.
        bytes: u128,
    },
    /// The save ended well.
    Saved {
        /// The stamp that all checkpointed marks bear now.
        checkpointed: u64,
        /// The stamp that all floors bear, where there are any.
        floor: Option<u64>,
    },
    /// The save failed.
    Failed {
        /// Whether nothing that it wrote may be found.
        not_saved: bool,
        /// What it said.
        why: String,
    },
    /// A promise is broken, as the writer itself can see.
    Broken {
        /// In which way.
        what: String,
    },
}

/// A call, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// What was called.
    pub act: Act,
    /// What it said, where it failed.
    pub failed: Option<String>,
    /// Whether such a failure is an answer and no fault: something is missing or already there.
    pub answers: bool,
    /// When it began, in nanoseconds since 1970.
    pub began: u128,
    /// And when it ended.
    pub ended: u128,
}

/// A call of [`Disk`](repl_checkpoint::Disk). Paths begin at the root of the filesystem; files are
/// known by the number of their creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// One that changes nothing, or of another filesystem.
    Look(String),
    /// `create_dir`
    CreateDir(PathBuf),
    /// `try_lock`, which creates the file.
    Lock(PathBuf),
    /// `create_new`
    Create(PathBuf, u32),
    /// `write`: how many bytes were taken of those that follow the event.
    Write(u32, Option<usize>),
    /// `write_at`: where, and how many bytes were taken of those that follow the event.
    WriteAt(u32, u64, Option<usize>),
    /// `sync_file`
    SyncFile(u32),
    /// `sync_data`
    SyncData(u32),
    /// `rename`
    Rename(PathBuf, PathBuf),
    /// `sync_dir`
    SyncDir(PathBuf),
    /// `remove`
    Remove(PathBuf),
}

impl Act {
    /// The method of [`Disk`](repl_checkpoint::Disk).
    pub fn verb(&self) -> &str {
        match self {
            Act::Look(verb) => verb,
            Act::CreateDir(_) => "create_dir",
            Act::Lock(_) => "try_lock",
            Act::Create(..) => "create_new",
            Act::Write(..) => "write",
            Act::WriteAt(..) => "write_at",
            Act::SyncFile(_) => "sync_file",
            Act::SyncData(_) => "sync_data",
            Act::Rename(..) => "rename",
            Act::SyncDir(_) => "sync_dir",
            Act::Remove(_) => "remove",
        }
    }
}

impl Made {
    /// Whether it failed as a call fails on a filesystem that was shut down.
    pub fn is_fault(&self) -> bool {
        self.failed.is_some() && !self.answers
    }
}

pub(super) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Where a writer tells. Clones share it.
#[derive(Clone)]
pub(super) struct Pipe(Arc<Mutex<Box<dyn Write + Send>>>);

impl Pipe {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Pipe(Arc::new(Mutex::new(Box::new(out))))
    }

    /// Tells one event, with the bytes that belong to it.
    pub(super) fn tell(&self, event: &Event, bytes: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_vec(&(bytes.len(), event))?;
        line.push(b'\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&line)?;
        out.write_all(bytes)?;
        out.flush()
    }
}

/// The events of a pipe, each with the bytes that belong to it.
pub struct Events<R>(R);

impl<R: BufRead> Events<R> {
    /// Reads them from the other end of the pipe.
    pub fn new(pipe: R) -> Self {
        Events(pipe)
    }

    fn read(&mut self) -> io::Result<Option<(Event, Vec<u8>)>> {
        let mut line = Vec::new();
        if self.0.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let (length, event): (usize, Event) = serde_json::from_slice(&line)?;
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(Some((event, bytes)))
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = io::Result<(Event, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
