//! The logs: a folder per shard, with a file per segment, which holds an amount to add.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use example_support::{Context, Error, files, rng};
use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Logs {
    pub(crate) root: PathBuf,
    pub(crate) seed: u64,
    /// The number of segments of each log.
    pub(crate) segments: u64,
}

impl Logs {
    /// Writes all segments.
    pub(crate) fn write(&self) -> Result<(), Error> {
        for shard in SHARDS {
            let folder = self.folder(shard);
            fs::create_dir(&folder).at("create", &folder)?;
            for seqno in 1..=self.segments {
                let path = self.path(shard, seqno);
                files::save_in_cache(&path, &self.amount(shard, seqno))?;
            }
        }
        Ok(())
    }

    /// The amount that a segment adds.
    pub(crate) fn amount(&self, shard: ShardId, seqno: SeqNo) -> u64 {
        rng(&[self.seed, shard.0, seqno, 1]).u64(1..=1000)
    }

    pub(crate) fn read(&self, shard: ShardId, seqno: SeqNo) -> Result<Segment, Error> {
        let path = self.path(shard, seqno);
        let amount = files::load(&path)?;
        let amount = amount.ok_or_else(|| format!("{} is missing", path.display()))?;
        Ok(Segment { shard, seqno, amount })
    }

    pub(crate) fn delete(&self, shard: ShardId, seqno: SeqNo) -> Result<(), Error> {
        let path = self.path(shard, seqno);
        fs::remove_file(&path).at("delete", &path)
    }

    /// The seqnos of the segments that are not deleted.
    pub(crate) fn kept(&self, shard: ShardId) -> Result<BTreeSet<SeqNo>, Error> {
        files::numbers_in(&self.folder(shard))
    }

    /// The database to which the logs are applied.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("data.sqlite")
    }

    fn folder(&self, shard: ShardId) -> PathBuf {
        self.root.join(format!("log-{shard}"))
    }

    fn path(&self, shard: ShardId, seqno: SeqNo) -> PathBuf {
        self.folder(shard).join(seqno.to_string())
    }
}
