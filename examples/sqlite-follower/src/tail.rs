//! Reads the next transaction of a `-wal` file while another process writes it.
//!
//! - A transaction is a sequence of frames up to a commit frame, all with the log's salts and with
//!   the checksum that follows from the frame before. Torn or overwritten bytes break that chain.
//! - Frames after the last commit frame are read again on every call and never kept: the next
//!   transaction may overwrite them *under the same salts*.
//! - Before anything is read after a place, the frame at that place must still have the same
//!   checksum. Otherwise the log was rewritten, and no frame may ever continue it.
//!
//! The file is opened anew for each call, since it may be removed and created again.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use example_support::{Context, Error, files};

use crate::wal::{FRAME_HEADER_SIZE, FrameHeader, HEADER_SIZE, LogPoint, WalHeader};

/// The number of frames in the first read of a transaction, and at most in one read.
const CHUNK: std::ops::RangeInclusive<usize> = 8..=128;

/// How long a header may be invalid. A write of one takes microseconds.
const TORN_FOR: Duration = Duration::from_secs(2);

pub(crate) const NO_LOG: &str = "the log is gone";
pub(crate) const REWRITTEN: &str = "the frame at that place is different now";

/// A reader of one `-wal` file.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    /// Where to keep a copy as of the last sync, to simulate power cuts.
    pub(crate) image: Option<PathBuf>,
    /// The frames of one transaction.
    frames: Vec<u8>,
    torn_since: Option<Instant>,
}

/// What follows a place in the log.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// No further transaction yet.
    Idle,
    Transaction(Transaction<'a>),
    /// The file now holds another log.
    NewLog(WalHeader),
    /// The log at the place is gone or different, for this reason.
    Reset(&'static str),
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

impl Tail {
    pub(crate) fn new(path: &Path) -> Tail {
        Tail { path: path.to_owned(), image: None, frames: Vec::new(), torn_since: None }
    }

    /// Reads the header of the current log; `None` if there is no valid one.
    pub(crate) fn header(&self) -> Result<Option<WalHeader>, Error> {
        Ok(self.open()?.and_then(|(_, header)| header))
    }

    /// Reads what follows `at`.
    pub(crate) fn step(&mut self, at: &LogPoint) -> Result<Step<'_>, Error> {
        let Some((file, header)) = self.open()? else { return Ok(Step::Reset(NO_LOG)) };
        let Some(header) = header else { return self.torn() };
        self.torn_since = None;
        if header.salts != at.salts {
            return Ok(Step::NewLog(header));
        }
        if !self.holds(&file, &header, at)? {
            // If a restart happened meanwhile the header shows it.
            return match self.header()? {
                Some(now) if now.salts != at.salts => Ok(Step::NewLog(now)),
                Some(_) => Ok(Step::Reset(REWRITTEN)),
                None => self.torn(),
            };
        }
        let Some((end, commit_size)) = self.read_transaction(&file, &header, at)? else {
            return Ok(Step::Idle);
        };
        let page_size = header.page_size;
        Ok(Step::Transaction(Transaction { page_size, end, commit_size, frames: &self.frames }))
    }

    /// Finds the place after the last commit frame, from `known` on if the log holds that place.
    /// `None` while there is no log: the first one may get other salts before its first commit.
    ///
    /// May leave out what is written after the call begins, so it ends even if the log grows.
    pub(crate) fn end(&mut self, known: Option<LogPoint>) -> Result<Option<LogPoint>, Error> {
        let Some((file, Some(header))) = self.open()? else { return Ok(None) };
        let mut end = header.start();
        if let Some(known) = known
            && self.holds(&file, &header, &known)?
        {
            end = known;
        }
        let length = file.metadata().at("stat the log", &self.path)?.len();
        while header.offset_after(end.frame) < length {
            let Some((next, _)) = self.read_transaction(&file, &header, &end)? else { break };
            end = next;
        }
        Ok((end.frame > 0 || header.checkpoint_seq > 0).then_some(end))
    }

    /// Makes the log durable, also what the leader wrote. Returns the place up to which it is
    /// durable, at least `from`.
    pub(crate) fn make_durable(&mut self, from: LogPoint) -> Result<LogPoint, Error> {
        let file = self.open()?;
        // Read before the sync, which may miss what is written meanwhile.
        let end = self.end(Some(from))?.filter(|end| end.salts == from.salts);
        let (Some((file, _)), Some(end)) = (file, end) else {
            return Ok(from); // the next step from there finds out why
        };
        file.sync_data().at("sync the log", &self.path)?;
        if let Some(image) = &self.image {
            files::copy(&self.path, image).at("copy the log", &self.path)?;
        }
        Ok(end)
    }

    /// Whether the log of `header` holds the place `at`, with the same checksum.
    fn holds(&self, file: &File, header: &WalHeader, at: &LogPoint) -> Result<bool, Error> {
        let Some(before) = at.frame.checked_sub(1) else { return Ok(*at == header.start()) };
        let bytes = self.read_at(file, header.offset_after(before), FRAME_HEADER_SIZE)?;
        Ok(FrameHeader::parse(&bytes).is_some_and(|f| {
            header.salts == at.salts && f.salts == at.salts && f.checksum == at.checksum
        }))
    }

    /// Reads the frames of the transaction after `from` into `self.frames`. Returns its end and the
    /// size that it commits; `None` if there is no whole transaction.
    fn read_transaction(
        &mut self,
        file: &File,
        header: &WalHeader,
        from: &LogPoint,
    ) -> Result<Option<(LogPoint, u32)>, Error> {
        let size = header.frame_size();
        let (mut end, mut verified, mut chunk) = (*from, 0, *CHUNK.start());
        loop {
            let read = self.read_at(file, header.offset_after(end.frame), chunk * size)?;
            self.frames.truncate(verified);
            self.frames.extend_from_slice(&read);
            for _ in 0..read.len() / size {
                let next = header.next_frame(end.checksum, &self.frames[verified..]);
                let (Some(frame), Some(number)) = (next, end.frame.checked_add(1)) else {
                    return Ok(None);
                };
                end = LogPoint { frame: number, checksum: frame.checksum, ..end };
                verified += size;
                if frame.commit_size != 0 {
                    self.frames.truncate(verified);
                    return Ok(Some((end, frame.commit_size)));
                }
            }
            if read.len() < chunk * size {
                return Ok(None);
            }
            chunk = (chunk * 2).min(*CHUNK.end());
        }
    }

    /// Treats an invalid header as one that is being written, unless it stays invalid.
    fn torn(&mut self) -> Result<Step<'_>, Error> {
        if self.torn_since.get_or_insert_with(Instant::now).elapsed() < TORN_FOR {
            return Ok(Step::Idle);
        }
        Err(format!("{} does not begin with a valid header", self.path.display()).into())
    }

    /// Opens the file, and parses its header if that is valid. `None` if there is no log.
    fn open(&self) -> Result<Option<(File, Option<WalHeader>)>, Error> {
        let file = match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.at("open the log", &self.path)?,
        };
        let bytes = self.read_at(&file, 0, HEADER_SIZE)?;
        Ok((!bytes.is_empty()).then(|| (file, WalHeader::parse(&bytes))))
    }

    /// Reads `length` bytes from `offset` on: fewer at the end of the file.
    fn read_at(&self, mut file: &File, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let found = file.seek(SeekFrom::Start(offset));
        let read = found.and_then(|_| file.take(length as u64).read_to_end(&mut bytes));
        read.at("read the log", &self.path)?;
        Ok(bytes)
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
