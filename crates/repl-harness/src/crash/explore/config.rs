//! The bounds of an enumeration.

use crate::crash::disk::SECTOR;
use crate::crash::protocol::Store;

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Which store.
    pub store: Store,
    /// How many checkpoints the first process saves.
    pub saves: usize,
    /// How many each later one saves.
    pub later_saves: usize,
    /// How many shards a checkpoint has: 28 fill four sectors.
    pub shards: usize,
    /// How many ranges each save holds above the mark of the first shard, in turn: checkpoints
    /// grow and shrink by 43 bytes a range. At most 400.
    pub completed: [u64; 3],
    /// How many processes are ended by a crash, one after the other.
    pub crashes: usize,
    /// How many calls fail, at most one in each process.
    pub faults: usize,
    /// Of single bits and of lengths of a file, each so manyth is damaged: 1 for all.
    pub stride: usize,
    /// How many threads look.
    pub threads: usize,
    /// How many bytes a device writes whole.
    pub sector: usize,
    /// Whether files that recovery cannot tell apart count as one. Without it a `SlotStore`, whose
    /// file has 32 sectors of 512 bytes, needs sectors of 4096.
    pub prune: bool,
}

impl Default for Config {
    /// What CI looks at: three saves of four sectors, a crash, and two more during recovery.
    fn default() -> Self {
        Config {
            store: Store::Files,
            saves: 3,
            later_saves: 2,
            shards: 28,
            completed: [2, 0, 2],
            crashes: 3,
            faults: 1,
            stride: 1,
            threads: 2,
            sector: SECTOR,
            prune: true,
        }
    }
}
