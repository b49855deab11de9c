//! Reads the next transaction of a `-wal` file while another process writes it.
//!
//! A read does not lock out the writer. So it may find a header or a frame half written, or a log
//! that restarts meanwhile. Therefore:
//! - A transaction is a sequence of frames up to a commit frame, all with the log's salts and with
//!   the checksum that follows from the frame before. Torn or overwritten bytes break that chain.
//! - Frames after the last commit frame are uncommitted. A transaction that spills and is rolled
//!   back leaves them there, and the next one overwrites them *under the same salts*. They are read
//!   again on every call and never kept.
//! - Before anything is read after a place, the frame at that place must still have the same
//!   checksum. Otherwise the log was rewritten, and no frame may ever continue it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::log_file::{LogFile, LogFileError};
use crate::wal::{FRAME_HEADER_SIZE, FrameHeader, HEADER_SIZE, HeaderError, LogPoint, WalHeader};

/// The number of frames in the first read of a transaction, and at most in one read.
const CHUNK: std::ops::RangeInclusive<usize> = 8..=128;

/// How long a header may be invalid. A write of one takes microseconds.
const TORN_FOR: Duration = Duration::from_secs(2);

/// A reader of one `-wal` file.
#[derive(Debug)]
pub(crate) struct Tail {
    file: LogFile,
    /// The frames of one transaction.
    frames: Vec<u8>,
    torn_since: Option<Instant>,
}

/// An error while reading a log.
#[derive(Debug, Error)]
pub(crate) enum TailError {
    #[error(transparent)]
    File(#[from] LogFileError),
    #[error("{} does not begin with a valid header", path.display())]
    Header { path: PathBuf, source: HeaderError },
}

/// What follows a place in the log.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// No further transaction yet.
    Idle,
    Transaction(Transaction<'a>),
    /// The file now holds another log.
    NewLog(WalHeader),
    /// The file holds the same log, but with a different frame at the place.
    Rewritten,
    /// The file is missing or empty.
    NoLog,
}

/// A committed transaction.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    pub(crate) page_size: u32,
    /// The place after the commit frame.
    pub(crate) end: LogPoint,
    /// The size of the database in pages after this transaction.
    pub(crate) commit_size: u32,
    frames: &'a [u8],
}

impl Transaction<'_> {
    /// The pages in the order of the log. Of several with the same number, the last one counts.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let frames = self.frames.chunks_exact(FRAME_HEADER_SIZE + self.page_size as usize);
        frames.filter_map(|frame| {
            let header = FrameHeader::parse(frame)?;
            Some((header.page, &frame[FRAME_HEADER_SIZE..]))
        })
    }

    /// Whether the transaction ends at or before a place.
    pub(crate) fn is_within(&self, place: &LogPoint) -> bool {
        self.end.salts == place.salts && self.end.frame <= place.frame
    }

    pub(crate) fn frame_count(&self) -> usize {
        self.frames.len() / (FRAME_HEADER_SIZE + self.page_size as usize)
    }
}

struct Commit {
    end: LogPoint,
    size: u32,
}

impl Tail {
    pub(crate) fn new(path: &Path) -> Tail {
        Tail { file: LogFile::new(path), frames: Vec::new(), torn_since: None }
    }

    /// Keeps a copy of the log at `image`, as of each sync.
    pub(crate) fn keeping_image(mut self, image: PathBuf) -> Tail {
        self.file.keep_image(image);
        self
    }

    /// Reads the header of the current log; `None` if the file is missing or empty.
    pub(crate) fn header(&mut self) -> Result<Option<WalHeader>, TailError> {
        let mut bytes = [0; HEADER_SIZE];
        let read = self.file.read_at(&mut bytes, 0)?;
        if read == 0 {
            return Ok(None);
        }
        WalHeader::parse(&bytes[..read]).map(Some).map_err(|source| {
            let path = self.file.path().to_owned();
            TailError::Header { path, source }
        })
    }

    /// Reads what follows `at`.
    pub(crate) fn step(&mut self, at: &LogPoint) -> Result<Step<'_>, TailError> {
        let header = match self.header() {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Step::NoLog),
            Err(e @ TailError::Header { .. }) => return self.torn(e),
            Err(e) => return Err(e),
        };
        self.torn_since = None;
        if header.salts != at.salts {
            return Ok(Step::NewLog(header));
        }
        if !self.holds(&header, at)? {
            // A restart writes the header before any frame, so if one happened meanwhile the header
            // shows it.
            return Ok(match self.header() {
                Ok(Some(now)) if now.salts != at.salts => Step::NewLog(now),
                Ok(Some(_)) => Step::Rewritten,
                Ok(None) => Step::NoLog,
                Err(e) => return self.torn(e),
            });
        }
        let Some(commit) = self.read_transaction(&header, at)? else {
            self.file.reopen_if_replaced()?;
            return Ok(Step::Idle);
        };
        Ok(Step::Transaction(Transaction {
            page_size: header.page_size,
            end: commit.end,
            commit_size: commit.size,
            frames: &self.frames,
        }))
    }

    /// Finds the place after the last commit frame, from `from` on in the log of `header`.
    ///
    /// May leave out what is written after the call begins, so it ends even if the log grows faster
    /// than it is read.
    pub(crate) fn end_after(
        &mut self,
        header: &WalHeader,
        from: LogPoint,
    ) -> Result<LogPoint, TailError> {
        let length = self.file.length()?;
        let mut end = from;
        while header.offset_after(end.frame) < length {
            let Some(commit) = self.read_transaction(header, &end)? else { break };
            end = commit.end;
        }
        Ok(end)
    }

    /// Makes the log durable. Returns the place up to which it is durable, at least `from`.
    ///
    /// A sync through any descriptor covers the whole file, so this syncs what the leader wrote.
    pub(crate) fn make_durable(&mut self, from: LogPoint) -> Result<LogPoint, TailError> {
        let header = match self.header() {
            Ok(Some(header)) if header.salts == from.salts => header,
            // The next step from there finds out why.
            Ok(_) | Err(TailError::Header { .. }) => return Ok(from),
            Err(e) => return Err(e),
        };
        // Read before the sync, which may miss what is written meanwhile.
        let end = self.end_after(&header, from)?;
        self.file.sync()?;
        Ok(end)
    }

    /// Whether the log of `header` holds the place `at`, with the same checksum.
    pub(crate) fn holds(&mut self, header: &WalHeader, at: &LogPoint) -> Result<bool, TailError> {
        if header.salts != at.salts {
            return Ok(false);
        }
        let Some(before) = at.frame.checked_sub(1) else {
            return Ok(*at == header.start());
        };
        let mut bytes = [0; FRAME_HEADER_SIZE];
        let read = self.file.read_at(&mut bytes, header.offset_after(before))?;
        let frame = FrameHeader::parse(&bytes[..read]);
        Ok(frame.is_some_and(|f| f.salts == at.salts && f.checksum == at.checksum))
    }

    /// Reads the frames of the transaction after `from` into `self.frames`; `None` if there is no
    /// whole transaction.
    fn read_transaction(
        &mut self,
        header: &WalHeader,
        from: &LogPoint,
    ) -> Result<Option<Commit>, TailError> {
        let frame_size = header.frame_size();
        let mut end = *from;
        let mut verified = 0;
        let mut chunk = *CHUNK.start();
        let mut frames = std::mem::take(&mut self.frames);
        loop {
            frames.resize(verified + chunk * frame_size, 0);
            let read =
                self.file.read_at(&mut frames[verified..], header.offset_after(end.frame))?;
            for bytes in frames[verified..][..read].chunks_exact(frame_size) {
                let next = header.next_frame(end.checksum, bytes);
                let (Some(frame), Some(number)) = (next, end.frame.checked_add(1)) else {
                    self.frames = frames;
                    return Ok(None);
                };
                end.frame = number;
                end.checksum = frame.header.checksum;
                verified += frame_size;
                let size = frame.header.commit_size;
                if size != 0 {
                    frames.truncate(verified);
                    self.frames = frames;
                    return Ok(Some(Commit { end, size }));
                }
            }
            if read < chunk * frame_size {
                self.frames = frames;
                return Ok(None);
            }
            chunk = (chunk * 2).min(*CHUNK.end());
        }
    }

    /// Treats an invalid header as one that is being written, unless it stays invalid.
    fn torn(&mut self, error: TailError) -> Result<Step<'_>, TailError> {
        if self.torn_since.get_or_insert_with(Instant::now).elapsed() > TORN_FOR {
            return Err(error);
        }
        Ok(Step::Idle)
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
