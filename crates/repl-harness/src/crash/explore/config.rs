//! The bounds of an enumeration.

use crate::crash::disk::SECTOR;
use crate::crash::kind::StoreKind;

/// The bounds of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The kind of store.
    pub store: StoreKind,
    /// The number of checkpoints that the first process saves.
    pub saves: usize,
    /// The number of checkpoints that each later process saves.
    pub later_saves: usize,
    /// The number of shards in a checkpoint: 28 fill four sectors.
    pub shards: usize,
    /// The number of ranges above the first shard's mark, for one save after the other. A range adds
    /// 43 bytes to a checkpoint. At most 400.
    pub completed: [u64; 3],
    /// The number of shards whose marks move before a save, for one save of a process after the
    /// other; 0 moves all. If few move, the checkpointer saves a delta where the store takes one.
    pub moved: [usize; 8],
    /// The saves of a process, from 0 on, from which on the last shard is gone, or back: it is there
    /// at first. `usize::MAX` for never.
    pub turns: [usize; 3],
    /// The exact length of a sealed checkpoint, for one save after the other. The payload is padded
    /// to it; 0 pads nothing.
    pub lengths: [usize; 3],
    /// The same for the record of a delta.
    pub deltas: [usize; 3],
    /// The number of processes that a crash ends, one after the other. A reopen counts as a crash.
    pub crashes: usize,
    /// The number of calls that fail, at most one in each process.
    pub faults: usize,
    /// The distance between damaged bits and between damaged lengths of a file: 1 tries them all.
    pub stride: usize,
    /// The number of threads.
    pub threads: usize,
    /// The number of bytes that a device writes as a unit.
    pub sector: usize,
    /// Whether files that recovery cannot tell apart are tried once. Without pruning, the sectors of
    /// a `SlotStore` must have 4096 bytes: of 512 bytes its file has 32, which is too many.
    pub prune: bool,
}

impl Default for Config {
    /// The bounds of CI: three saves of four sectors, a crash, and two more during recovery.
    fn default() -> Self {
        Config {
            store: StoreKind::Files,
            saves: 3,
            later_saves: 2,
            shards: 28,
            completed: [2, 0, 2],
            moved: [0; 8],
            turns: [usize::MAX; 3],
            lengths: [0; 3],
            deltas: [0; 3],
            crashes: 3,
            faults: 1,
            stride: 1,
            threads: 2,
            sector: SECTOR,
            prune: true,
        }
    }
}
