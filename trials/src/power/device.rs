//! A disk in memory that records every write and every flush, in order.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::done::Fallible;

/// A request that changes the disk or makes it durable.
#[derive(Debug)]
pub(super) enum Record {
    /// These bytes were written at this offset.
    Write(u64, Vec<u8>),
    /// All that was written before is durable.
    Flush,
}

/// The bytes of a disk. Pages that were never written take no memory.
pub(super) struct Blocks {
    bytes: Vec<u8>,
    used: Vec<bool>,
}

const PAGE: usize = 4096;

impl Blocks {
    /// Reads an image file.
    pub(super) fn load(image: &Path) -> Fallible<Self> {
        let mut file = File::open(image)?;
        let length = usize::try_from(file.metadata()?.len())?;
        let mut blocks =
            Blocks { bytes: vec![0; length], used: vec![false; length.div_ceil(PAGE)] };
        let mut chunk = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let taken = file.read(&mut chunk)?;
            if taken == 0 {
                return Ok(blocks);
            }
            for page in chunk[..taken].chunks(PAGE) {
                if *page != [0; PAGE][..page.len()] {
                    blocks.write(at, page);
                }
                at += page.len() as u64;
            }
        }
    }

    /// The number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes of a range, as far as the disk goes.
    pub(super) fn read(&self, at: u64, length: usize) -> &[u8] {
        let from = self.offset(at);
        &self.bytes[from..from.saturating_add(length).min(self.bytes.len())]
    }

    /// Replaces bytes. Returns how many; those beyond the end are left out.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> usize {
        let from = self.offset(at);
        let taken = bytes.len().min(self.bytes.len() - from);
        if taken > 0 {
            self.bytes[from..from + taken].copy_from_slice(&bytes[..taken]);
            self.used[from / PAGE..(from + taken).div_ceil(PAGE)].fill(true);
        }
        taken
    }

    /// Writes them to a new file, with holes where nothing was written.
    pub(super) fn save(&self, image: &Path) -> Fallible<File> {
        let file = File::create(image)?;
        file.set_len(self.len())?;
        let mut page = 0;
        for run in self.used.chunk_by(|one, next| one == next) {
            let (from, to) = (page * PAGE, ((page + run.len()) * PAGE).min(self.bytes.len()));
            if run[0] {
                file.write_all_at(&self.bytes[from..to], from as u64)?;
            }
            page += run.len();
        }
        Ok(file)
    }

    fn offset(&self, at: u64) -> usize {
        usize::try_from(at).unwrap_or(usize::MAX).min(self.bytes.len())
    }
}

/// The disk.
pub(super) struct Device {
    blocks: Blocks,
    records: Vec<Record>,
    /// The number of bytes that were recorded.
    recorded: u64,
    frozen: bool,
}

impl Device {
    pub(super) fn new(blocks: Blocks) -> Self {
        Device { blocks, records: Vec::new(), recorded: 0, frozen: false }
    }

    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> usize {
        let taken = self.blocks.write(at, bytes);
        if !self.frozen {
            self.records.push(Record::Write(at, bytes[..taken].to_vec()));
            self.recorded += taken as u64;
        }
        taken
    }

    pub(super) fn flush(&mut self) {
        if !self.frozen {
            self.records.push(Record::Flush);
        }
    }

    /// The number of requests so far.
    pub(super) fn position(&self) -> usize {
        self.records.len()
    }

    /// The number of bytes that were recorded.
    pub(super) fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Ends the recording, and returns it. The disk itself goes on.
    pub(super) fn freeze(&mut self) -> Vec<Record> {
        self.frozen = true;
        std::mem::take(&mut self.records)
    }
}
