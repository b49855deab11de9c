//! The leader: writes the logs, and keeps in memory what it wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kill_loop::below;
use repl_core::{SeqNo, ShardId};

use crate::engine::Rows;
use crate::follower::SHARDS;

/// The number of rows of a segment.
const ROWS: u64 = 3;
/// Keys are below this, so that most segments overwrite rows of earlier ones.
const KEYS: u64 = 500;

/// The leader of all shards.
pub(crate) struct Leader {
    dir: PathBuf,
    seed: u64,
    /// The segments of each shard: segment `n` is at index `n - 1`.
    logs: BTreeMap<ShardId, Vec<Rows>>,
}

impl Leader {
    /// Begins the logs in a folder.
    pub(crate) fn create(dir: &Path, seed: u64) -> io::Result<Leader> {
        for shard in SHARDS {
            fs::create_dir_all(log_of(dir, shard))?;
        }
        let logs = SHARDS.into_iter().map(|shard| (shard, Vec::new())).collect();
        Ok(Leader { dir: dir.to_owned(), seed, logs })
    }

    /// Writes the next segment of each shard.
    ///
    /// A segment gets its name once it is complete, so a reader never finds half of one. It is not
    /// synced: a kill takes nothing out of the page cache. A leader whose power may fail syncs it.
    pub(crate) fn write_next(&mut self) -> io::Result<()> {
        for (shard, log) in &mut self.logs {
            let seqno = log.len() as u64 + 1;
            let row = |i| (below(KEYS, &[self.seed, shard.0, seqno, i]), seqno * ROWS + i);
            let rows: Rows = (0..ROWS).map(row).collect();
            let path = log_of(&self.dir, *shard).join(seqno.to_string());
            let temp = path.with_extension("temp");
            fs::write(&temp, serde_json::to_vec(&rows)?)?;
            fs::rename(&temp, path)?;
            log.push(rows);
        }
        Ok(())
    }

    /// Returns the seqno of the last segment, the same for all shards.
    pub(crate) fn last(&self) -> SeqNo {
        self.logs.values().map(|log| log.len() as u64).max().unwrap_or(0)
    }

    /// Returns the segments of a shard above a mark, with their seqnos.
    pub(crate) fn above(
        &self,
        shard: ShardId,
        mark: SeqNo,
    ) -> impl Iterator<Item = (SeqNo, &Rows)> {
        let log = self.logs.get(&shard).into_iter().flatten();
        (1..).zip(log).filter(move |(seqno, _)| *seqno > mark)
    }

    /// Returns the rows that the whole log of a shard leaves.
    pub(crate) fn rows(&self, shard: ShardId) -> Rows {
        self.above(shard, 0).flat_map(|(_, rows)| rows.clone()).collect()
    }
}

/// The folder with the segments of a shard.
pub(crate) fn log_of(dir: &Path, shard: ShardId) -> PathBuf {
    dir.join("log").join(shard.to_string())
}
