//! The logs: a folder per shard, with a file per segment, which holds an amount to add.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kill_loop::below;
use repl_core::{SeqNo, ShardId};
use thiserror::Error;

/// The shards. Each has a log and a thread of its own.
pub(crate) const SHARDS: [ShardId; 4] = [ShardId(0), ShardId(1), ShardId(2), ShardId(3)];

/// An addition to the total of a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) shard: ShardId,
    pub(crate) seqno: SeqNo,
    pub(crate) amount: u64,
}

/// The logs of all shards.
#[derive(Debug)]
pub(crate) struct Logs {
    root: PathBuf,
    pub(crate) seed: u64,
    /// The number of segments of each log.
    pub(crate) segments: u64,
}

/// An error while writing, reading or deleting segments.
#[derive(Debug, Error)]
pub(crate) enum LogError {
    #[error("cannot {act} {}", path.display())]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error("{} does not hold an amount", .0.display())]
    Corrupt(PathBuf),
}

impl Logs {
    pub(crate) fn new(root: &Path, seed: u64, segments: u64) -> Logs {
        Logs { root: root.to_owned(), seed, segments }
    }

    /// Writes all segments.
    pub(crate) fn write(&self) -> Result<(), LogError> {
        for shard in SHARDS {
            let folder = self.folder(shard);
            fs::create_dir(&folder).map_err(failed("create", &folder))?;
            for seqno in 1..=self.segments {
                let path = self.path(shard, seqno);
                let amount = self.amount(shard, seqno).to_string();
                fs::write(&path, amount).map_err(failed("write", &path))?;
            }
        }
        Ok(())
    }

    /// The amount that a segment adds.
    pub(crate) fn amount(&self, shard: ShardId, seqno: SeqNo) -> u64 {
        1 + below(1000, &[self.seed, shard.0, seqno, 1])
    }

    pub(crate) fn read(&self, shard: ShardId, seqno: SeqNo) -> Result<Segment, LogError> {
        let path = self.path(shard, seqno);
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let amount = text.parse().map_err(|_| LogError::Corrupt(path))?;
        Ok(Segment { shard, seqno, amount })
    }

    pub(crate) fn delete(&self, shard: ShardId, seqno: SeqNo) -> Result<(), LogError> {
        let path = self.path(shard, seqno);
        fs::remove_file(&path).map_err(failed("delete", &path))
    }

    /// The seqnos of the segments that are not deleted, in no order.
    pub(crate) fn kept(&self, shard: ShardId) -> Result<Vec<SeqNo>, LogError> {
        let folder = self.folder(shard);
        let mut kept = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
            let name = entry.map_err(failed("list", &folder))?.file_name();
            kept.extend(name.to_str().and_then(|name| name.parse::<SeqNo>().ok()));
        }
        Ok(kept)
    }

    fn folder(&self, shard: ShardId) -> PathBuf {
        self.root.join(format!("log-{shard}"))
    }

    fn path(&self, shard: ShardId, seqno: SeqNo) -> PathBuf {
        self.folder(shard).join(seqno.to_string())
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { act, path, source }
}
