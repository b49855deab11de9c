//! The log of one shard: a folder with a file per segment.
//!
//! In a real system the leader keeps the log, and the service receives its segments. Here the
//! clients append to it, and a restart offers again what is there.

use std::path::{Path, PathBuf};

use example_support::{Context, Error, files, rng};
use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::sync::{Mutex, watch};

use crate::shards;

/// A write of one key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) key: u64,
    pub(crate) value: u64,
}

impl Segment {
    /// The content of a segment. The check makes it again after the segment was deleted.
    pub(crate) fn of(seed: u64, shard: ShardId, seqno: SeqNo) -> Segment {
        let mut rng = rng(&[seed, shard.0, seqno]);
        Segment { key: rng.u64(..10_000), value: rng.u64(..) }
    }
}

/// The log of one shard.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    seed: u64,
    shard: ShardId,
    end: watch::Sender<SeqNo>,
    appending: Mutex<()>,
}

impl Log {
    /// Opens the log, and creates it if there is none. Blocks.
    pub(crate) fn open(root: &Path, seed: u64, shard: ShardId) -> Result<Log, Error> {
        let folder = folder(root, shard);
        std::fs::create_dir_all(&folder).at("create", &folder)?;
        let (_, end) = kept(&folder)?;
        Ok(Log { folder, seed, shard, end: watch::Sender::new(end), appending: Mutex::new(()) })
    }

    /// Appends a segment. Returns its seqno and its key.
    pub(crate) async fn append(&self) -> Result<(SeqNo, u64), Error> {
        let _one_at_a_time = self.appending.lock().await;
        let seqno = self.end() + 1;
        let segment = Segment::of(self.seed, self.shard, seqno);
        let (path, temporary) = (self.path(seqno), self.folder.join("next"));
        fs::write(&temporary, serde_json::to_vec(&segment)?).await?;
        fs::rename(&temporary, &path).await.at("append", &path)?;
        self.end.send_replace(seqno);
        Ok((seqno, segment.key))
    }

    /// Waits for a segment, and reads it.
    pub(crate) async fn read(&self, seqno: SeqNo) -> Result<Segment, Error> {
        // The sender is in `self`, so this ends only at the segment.
        let _ = self.end.subscribe().wait_for(|end| *end >= seqno).await;
        let path = self.path(seqno);
        let bytes = fs::read(&path).await.at("read", &path)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Deletes the segments up to a floor, but not the last: it says where the log goes on. Blocks.
    pub(crate) fn delete_up_to(&self, floor: SeqNo) -> Result<(), Error> {
        let (first, last) = kept(&self.folder)?;
        for seqno in first..=floor.min(last.saturating_sub(1)) {
            let path = self.path(seqno);
            std::fs::remove_file(&path).at("delete", &path)?;
        }
        Ok(())
    }

    /// The last segment, or 0.
    pub(crate) fn end(&self) -> SeqNo {
        *self.end.borrow()
    }

    fn path(&self, seqno: SeqNo) -> PathBuf {
        self.folder.join(seqno.to_string())
    }
}

pub(crate) fn folder(root: &Path, shard: ShardId) -> PathBuf {
    shards::folder(root, shard).join("log")
}

/// The first and the last segment in a folder; 1 and 0 if there is none.
pub(crate) fn kept(folder: &Path) -> Result<(SeqNo, SeqNo), Error> {
    let kept = files::numbers_in(folder)?;
    Ok((kept.first().copied().unwrap_or(1), kept.last().copied().unwrap_or(0)))
}
