//! The leader: writes the logs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use example_support::rng;
use repl_core::{EpochStart, Epochs, SeqNo, ShardId};

use crate::engine::Rows;
use crate::follower::SHARDS;
use crate::start::EPOCHS;

/// The number of rows of a segment.
const ROWS: u64 = 3;
/// Keys are below this, so that most segments overwrite rows of earlier ones.
const KEYS: u64 = 500;

/// The leader of all shards.
pub(crate) struct Leader {
    dir: PathBuf,
    seed: u64,
    /// The last segment, the same for all shards.
    pub(crate) last: SeqNo,
    epochs: Epochs,
}

impl Leader {
    /// Writes the first segments of each shard into a new folder.
    pub(crate) fn create(dir: &Path, seed: u64, segments: u64) -> io::Result<Leader> {
        SHARDS.into_iter().try_for_each(|shard| fs::create_dir_all(log_of(dir, shard)))?;
        let mut leader = Leader { dir: dir.to_owned(), seed, last: 0, epochs: Epochs::default() };
        leader.begin_epoch(EpochStart { epoch: 1, first: 1 })?;
        (0..segments).try_for_each(|_| leader.write_next())?;
        Ok(leader)
    }

    fn begin_epoch(&mut self, start: EpochStart) -> io::Result<()> {
        self.epochs = self.epochs.assign(start)?;
        let text = serde_json::to_vec(&self.epochs)?;
        SHARDS.into_iter().try_for_each(|shard| {
            let path = log_of(&self.dir, shard).join(EPOCHS);
            fs::write(path.with_extension("temp"), &text)?;
            fs::rename(path.with_extension("temp"), path)
        })
    }

    /// Writes the next segment of each shard.
    ///
    /// A segment gets its name once it is complete, so a reader never finds half of one. It is not
    /// synced: a kill takes nothing out of the page cache. A leader whose power may fail syncs it.
    pub(crate) fn write_next(&mut self) -> io::Result<()> {
        self.last += 1;
        for shard in SHARDS {
            let path = log_of(&self.dir, shard).join(self.last.to_string());
            let temp = path.with_extension("temp");
            fs::write(&temp, serde_json::to_vec(&self.segment(shard, self.last))?)?;
            fs::rename(&temp, path)?;
        }
        Ok(())
    }

    /// Returns the rows that the segments of a shard above a mark leave.
    pub(crate) fn rows_above(&self, shard: ShardId, mark: SeqNo) -> Rows {
        (mark + 1..=self.last).flat_map(|seqno| self.segment(shard, seqno)).collect()
    }

    fn segment(&self, shard: ShardId, seqno: SeqNo) -> Rows {
        let mut rng = rng(&[self.seed, shard.0, seqno]);
        (0..ROWS).map(|i| (rng.u64(..KEYS), seqno * ROWS + i)).collect()
    }
}

/// The folder with the segments of a shard.
pub(crate) fn log_of(dir: &Path, shard: ShardId) -> PathBuf {
    dir.join("log").join(shard.to_string())
}

#[cfg(test)]
impl Leader {
    /// Another leader takes over: it never had the segments from `first` on.
    pub(crate) fn take_over(&mut self, first: SeqNo) -> io::Result<()> {
        let epoch = self.epochs.latest().map_or(1, |latest| latest.epoch + 1);
        self.begin_epoch(EpochStart { epoch, first })
    }
}
