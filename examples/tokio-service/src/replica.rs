//! One shard: its mark, its log and its data.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use example_support::{Error, files, lock, send};
use repl_core::{SeqNo, Shard, ShardId};
use serde::{Deserialize, Serialize};

use crate::log::{self, Log};
use crate::{Event, shards};

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
}

impl Replica {
    /// Reads the data as the last flush left it. Blocks.
    ///
    /// It may hold more than the mark says. Those segments are applied again, and until then a
    /// reader that does not wait may find older values.
    pub(crate) fn open(root: &Path, seed: u64, mark: Shard) -> Result<Replica, Error> {
        let (id, at) = (mark.id(), mark.applied());
        let (file, log) = (file(root, id), Log::open(root, seed, id)?);
        File::open(root)?.sync_all()?; // makes the folder of a new shard durable
        let map: Map = files::load(&file)?.unwrap_or_default();
        let (first, end) = log::kept(&log::folder(root, id))?;
        if first > at + 1 || at > end || (at > 0 && map.is_empty()) {
            let error = format!(
                "shard {id} cannot go on from mark {at}: its log holds segments {first} to {end}, \
                 and its data {} keys",
                map.len()
            );
            return Err(error.into());
        }
        Ok(Replica { mark, log, file, map: Mutex::new(map) })
    }

    /// Applies the log. May be aborted at any await.
    pub(crate) async fn apply(self: Arc<Self>) -> Result<(), Error> {
        let shard = self.mark.id();
        for seqno in self.mark.applied() + 1.. {
            let segment = self.log.read(seqno).await?; // 1
            let entry = Entry { seqno, value: segment.value };
            lock(&self.map).insert(segment.key, entry); // 2
            self.mark.advance(seqno); // 3
            send(Event::Applied(shard, seqno));
        }
        Ok(())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: u64) -> Option<Entry> {
        lock(&self.map).get(&key).copied()
    }

    /// Writes the data to its file. Blocks.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let copy = lock(&self.map).clone();
        files::save(&self.file, &copy)
    }
}

pub(crate) fn file(root: &Path, shard: ShardId) -> PathBuf {
    shards::folder(root, shard).join("data")
}
