//! The events that a writer reports on its pipe.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Something that a writer did or observed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A call of the store that has returned.
    Call(CallRecord),
    /// The open or the recovery failed.
    Refused {
        /// The error.
        why: String,
    },
    /// Recovery returned marks.
    Recovered {
        /// Their generation; 0 for none.
        generation: u64,
        /// The stamp of the marks.
        stamp: u64,
        /// The hash of the checkpoint's bytes.
        bytes: u128,
        /// The number of damaged checkpoints that were skipped.
        passed_over: usize,
        /// The temporary files that still exist.
        temps: Vec<String>,
    },
    /// A save was passed to the store.
    Attempt {
        /// Its generation.
        generation: u64,
        /// The stamp of its marks.
        stamp: u64,
        /// The hash of its bytes.
        bytes: u128,
    },
    /// The save returned `Ok`.
    Saved {
        /// The stamp of all checkpointed marks.
        checkpointed: u64,
        /// The stamp of all floors, if there are any.
        floor: Option<u64>,
        /// Whether a delta was written.
        is_delta: bool,
    },
    /// The save failed.
    Failed {
        /// Whether it was reported as not saved.
        not_saved: bool,
        /// The error.
        why: String,
    },
    /// The writer itself found a broken promise.
    Broken {
        /// What it observed.
        what: String,
    },
}

/// A call and its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CallRecord {
    /// The call.
    pub(crate) operation: Operation,
    /// The error, if it failed.
    pub(crate) failed: Option<String>,
    /// Whether the error is an answer rather than a fault: the path is missing or already exists.
    pub(crate) answers: bool,
    /// The start of the call, in nanoseconds since 1970.
    pub(crate) began: u128,
    /// The end of the call, in nanoseconds since 1970.
    pub(crate) ended: u128,
}

/// A call of `Disk`. Paths begin at the root of the filesystem. A file is
/// identified by the number of its creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// A call that changes nothing, or that is on another filesystem.
    Look(String),
    /// `create_dir`
    CreateDir(PathBuf),
    /// `try_lock`, which creates the file.
    Lock(PathBuf),
    /// `create_new`
    Create(PathBuf, u32),
    /// `write`: the file, and how many of the bytes that follow the event were taken.
    Write(u32, Option<usize>),
    /// `write_at`: the file, the offset, and how many of the bytes that follow were taken.
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

impl Operation {
    /// The method of `Disk`.
    pub(crate) fn verb(&self) -> &str {
        match self {
            Operation::Look(verb) => verb,
            Operation::CreateDir(_) => "create_dir",
            Operation::Lock(_) => "try_lock",
            Operation::Create(..) => "create_new",
            Operation::Write(..) => "write",
            Operation::WriteAt(..) => "write_at",
            Operation::SyncFile(_) => "sync_file",
            Operation::SyncData(_) => "sync_data",
            Operation::Rename(..) => "rename",
            Operation::SyncDir(_) => "sync_dir",
            Operation::Remove(_) => "remove",
        }
    }
}

impl CallRecord {
    /// Returns whether it failed in the way of a call on a filesystem that was shut down.
    pub(crate) fn is_fault(&self) -> bool {
        self.failed.is_some() && !self.answers
    }
}

pub(super) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// The pipe to which a writer reports. Clones share it.
#[derive(Clone)]
pub(super) struct Pipe(Arc<Mutex<Box<dyn Write + Send>>>);

impl Pipe {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Pipe(Arc::new(Mutex::new(Box::new(out))))
    }

    /// Sends one event, with the bytes that belong to it.
    pub(super) fn send(&self, event: &Event, bytes: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_vec(&(bytes.len(), event))?;
        line.push(b'\n');
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&line)?;
        out.write_all(bytes)?;
        out.flush()
    }
}

/// The events of a pipe, each with the bytes that belong to it.
pub(crate) struct Events<R>(R);

impl<R: BufRead> Events<R> {
    /// Reads the events from the other end of a pipe.
    pub(crate) fn new(pipe: R) -> Self {
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
