//! One shard: its mark, its log and its data.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use example_support::send;
use repl_core::{SeqNo, Shard, ShardId};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::log::{self, Log};
use crate::rig::Event;

/// The value of a key, and the segment that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) seqno: SeqNo,
    pub(crate) value: u64,
}

pub(crate) type Map = BTreeMap<u64, Entry>;

/// One shard that is live.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) mark: Shard,
    pub(crate) log: Log,
    file: PathBuf,
    map: Mutex<Map>,
    /// The mark up to which the file holds the data.
    flushed: AtomicU64,
}

impl Replica {
    /// Reads the data as the last flush left it. Blocks.
    ///
    /// It may hold more than the mark says. Those segments are applied again, and until then a
    /// reader that does not wait may find older values.
    pub(crate) fn open(root: &Path, seed: u64, mark: Shard) -> io::Result<Replica> {
        let (id, at) = (mark.id(), mark.applied());
        let (file, log) = (file(root, id), Log::open(root, seed, id)?);
        let map: Map = disk::read(&file)?;
        let (first, end) = log::kept(&log::folder(root, id))?;
        if first > at + 1 || at > end || (at > 0 && map.is_empty()) {
            let error = format!(
                "shard {id} cannot go on from mark {at}: its log holds segments {first} to {end}, \
                 and its data {} keys",
                map.len()
            );
            return Err(io::Error::other(error));
        }
        Ok(Replica { mark, log, file, map: Mutex::new(map), flushed: AtomicU64::new(at) })
    }

    /// Applies the log. May be aborted at any await.
    pub(crate) async fn apply(self: Arc<Self>) -> io::Result<()> {
        let shard = self.mark.id();
        for seqno in self.mark.applied() + 1.. {
            let segment = self.log.read(seqno).await?; // 1
            let entry = Entry { seqno, value: segment.value };
            self.map().insert(segment.key, entry); // 2
            self.mark.advance(seqno); // 3
            send(Event::Applied { shard, seqno });
        }
        Ok(())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: u64) -> Option<Entry> {
        self.map().get(&key).copied()
    }

    /// Whether the file holds the data up to a mark.
    pub(crate) fn is_flushed(&self, mark: SeqNo) -> bool {
        self.flushed.load(Relaxed) >= mark
    }

    /// Writes the data to its file. Blocks.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mark = self.mark.applied(); // before the copy, which then holds all up to it
        let copy = self.map().clone();
        disk::replace(&self.file, &copy)?;
        self.flushed.store(mark, Relaxed);
        Ok(())
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn file(root: &Path, shard: ShardId) -> PathBuf {
    root.join(format!("shard-{shard}.json"))
}
