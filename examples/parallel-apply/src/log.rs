//! The log: a file of records of equal length, read by seqno.
//!
//! The file is a header of 28 bytes (`PAPPLOG1`, seed, number of records, checksum), then 20 bytes
//! per record (seqno, account, amount, checksum). Numbers are little-endian, checksums CRC-32C.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kill_loop::below;
use repl_core::{LogId, SeqNo};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"PAPPLOG1";
const HEADER: usize = 28;
const RECORD: usize = 20;

/// The number of accounts.
pub(crate) const ACCOUNTS: u32 = 64;

/// An addition to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The number of the record in the log, from 1.
    pub seqno: SeqNo,
    /// The account to add to.
    pub account: u32,
    /// The amount to add.
    pub amount: u32,
}

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    pub(crate) seed: u64,
    pub(crate) records: u64,
}

/// An error while writing or reading a log.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    #[error("cannot {act} the log {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not a valid log: {why}; restore it, or give another --dir", path.display())]
    NotALog { path: PathBuf, why: &'static str },
    #[error(
        "record {seqno} of {} is corrupt: restore the file, or give another --dir", path.display()
    )]
    Corrupt { path: PathBuf, seqno: SeqNo },
}

impl Log {
    /// Writes a log at `path`, or nothing if that fails.
    pub(crate) fn write(path: &Path, seed: u64, records: u64) -> Result<(), LogError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([seed, records].into_iter().flat_map(u64::to_le_bytes));
        seal(&mut bytes, 0);
        for seqno in 1..=records {
            let begin = bytes.len();
            let account = u32::try_from(below(u64::from(ACCOUNTS), &[seed, seqno, 1])).unwrap_or(0);
            let amount = 1 + u32::try_from(below(1000, &[seed, seqno, 2])).unwrap_or(0);
            bytes.extend(seqno.to_le_bytes());
            bytes.extend([account, amount].into_iter().flat_map(u32::to_le_bytes));
            seal(&mut bytes, begin);
        }
        let temporary = path.with_extension("tmp");
        let failed = |source| LogError::Io { act: "write", path: path.to_owned(), source };
        let mut file = File::create(&temporary).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)
    }

    /// Opens the log at `path`.
    pub(crate) fn open(path: &Path) -> Result<Log, LogError> {
        let failed = |act| move |source| LogError::Io { act, path: path.to_owned(), source };
        let refused = |why| LogError::NotALog { path: path.to_owned(), why };
        let file = File::open(path).map_err(failed("open"))?;
        let len = file.metadata().map_err(failed("stat"))?.len();
        let mut header = [0; HEADER];
        if len < HEADER as u64 {
            return Err(refused("it is shorter than a header"));
        }
        file.read_exact_at(&mut header, 0).map_err(failed("read"))?;
        if !header.starts_with(MAGIC) || !is_sealed(&header) {
            return Err(refused("its header is corrupt or of another format"));
        }
        let (seed, records) = (number(&header[8..16]), number(&header[16..24]));
        if records.checked_mul(RECORD as u64).and_then(|n| n.checked_add(HEADER as u64))
            != Some(len)
        {
            return Err(refused("its length does not match its number of records"));
        }
        Ok(Log { file, path: path.to_owned(), seed, records })
    }

    /// The id of the log: the seed and the number of records determine every byte of it.
    pub(crate) fn id(&self) -> LogId {
        LogId(u128::from(self.seed) << 64 | u128::from(self.records))
    }

    /// Reads a record. Any number of threads may read at once.
    pub(crate) fn read(&self, seqno: SeqNo) -> Result<Record, LogError> {
        let mut bytes = [0; RECORD];
        let offset = HEADER as u64 + seqno.saturating_sub(1) * RECORD as u64;
        let path = || self.path.clone();
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| LogError::Io {
            act: "read",
            path: path(),
            source,
        })?;
        let (account, amount) = (number(&bytes[8..12]), number(&bytes[12..16]));
        match (u32::try_from(account), u32::try_from(amount)) {
            (Ok(account), Ok(amount))
                if is_sealed(&bytes) && number(&bytes[..8]) == seqno && account < ACCOUNTS =>
            {
                Ok(Record { seqno, account, amount })
            }
            _ => Err(LogError::Corrupt { path: path(), seqno }),
        }
    }
}

/// Appends the checksum of the bytes from `begin` on.
fn seal(bytes: &mut Vec<u8>, begin: usize) {
    let checksum = crc32c::crc32c(&bytes[begin..]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

fn is_sealed(bytes: &[u8]) -> bool {
    let (content, checksum) = bytes.split_at(bytes.len().saturating_sub(4));
    number(checksum) == u64::from(crc32c::crc32c(content))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
