//! What is the next transaction in a `-wal` file that another process is writing?
//!
//! Nothing here waits for the writer or locks it out, so a read may meet a header or a frame half
//! written, or a log that restarts under it. What is believed, then:
//! - A transaction is its frames up to a commit frame, every one with the log's salts and the
//!   checksum that follows from the frame before. Torn or overwritten bytes break that chain.
//! - Frames behind the last commit frame are nobody's yet. A transaction that spills and is rolled
//!   back leaves them there, and the next one overwrites them *under the same salts*. They are
//!   read again on every call and never kept.
//! - Before anything is read behind a place, the frame at that place must still be there with the
//!   same checksum. Otherwise the log was rewritten, and waiting for more would wait for ever.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::log_file::{LogFile, LogFileError};
use crate::wal::{FRAME_HEADER_SIZE, FrameHeader, HEADER_SIZE, HeaderError, LogPoint, WalHeader};

/// Frames asked for at first, and at most, in one read.
const CHUNK: std::ops::RangeInclusive<usize> = 8..=128;

/// How long a header may fail to verify: being written takes microseconds.
const TORN_FOR: Duration = Duration::from_secs(2);

/// Reads one `-wal` file again and again.
#[derive(Debug)]
pub(crate) struct Tail {
    file: LogFile,
    /// The frames of one transaction.
    frames: Vec<u8>,
    torn_since: Option<Instant>,
}

/// The log could not be read.
#[derive(Debug, Error)]
pub(crate) enum TailError {
    #[error(transparent)]
    File(#[from] LogFileError),
    #[error("{} does not begin with the header of a log", path.display())]
    Header { path: PathBuf, source: HeaderError },
}

/// What lies behind a place.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Nothing yet.
    Idle,
    Transaction(Transaction<'a>),
    /// The file holds another log now.
    NewLog(WalHeader),
    /// The file holds the same log, but the frame at the place is no longer in it.
    Rewritten,
    /// There is no file, or no log in it.
    NoLog,
}

/// One committed transaction.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    pub(crate) page_size: u32,
    /// The place behind its commit frame.
    pub(crate) end: LogPoint,
    /// The size of the database in pages once it is applied.
    pub(crate) commit_size: u32,
    frames: &'a [u8],
}

impl Transaction<'_> {
    /// Its pages in the order of the log; the last one of a number counts.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let frames = self.frames.chunks_exact(FRAME_HEADER_SIZE + self.page_size as usize);
        frames.filter_map(|frame| {
            let header = FrameHeader::parse(frame)?;
            Some((header.page, &frame[FRAME_HEADER_SIZE..]))
        })
    }

    /// Whether it ends at or before a place.
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

    /// Keeps a copy of the log as of each sync at `image`.
    pub(crate) fn keeping_image(mut self, image: PathBuf) -> Tail {
        self.file.keep_image(image);
        self
    }

    /// The header of the log that the file holds now; `None` where it holds none.
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

    /// What lies behind `at`.
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
            // A restart writes the header before any frame: if one came in between, it shows now.
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

    /// The place behind the last commit frame at or after `from`, which must be a place in the log
    /// of `header`; what is written after the call began may be left out.
    ///
    /// So it ends even where the log grows faster than it is read.
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

    /// Makes the log durable as far as it goes; returns the place up to which it now is, which is
    /// `from` at least.
    ///
    /// The file may be synced through any descriptor, so this syncs what the leader wrote.
    pub(crate) fn make_durable(&mut self, from: LogPoint) -> Result<LogPoint, TailError> {
        let header = match self.header() {
            Ok(Some(header)) if header.salts == from.salts => header,
            // Whoever steps on from there finds out.
            Ok(_) | Err(TailError::Header { .. }) => return Ok(from),
            Err(e) => return Err(e),
        };
        // Read before it is synced: what is written meanwhile may be missed by the sync.
        let end = self.end_after(&header, from)?;
        self.file.sync()?;
        Ok(end)
    }

    /// Whether `at` is a place in the log of `header`, with the same checksum there.
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

    /// Reads the frames of the transaction behind `from` into `self.frames`; `None` where the log
    /// holds no whole transaction there.
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

    /// A header that does not verify is one that is being written, unless it stays so.
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
