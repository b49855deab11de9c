//! What is saved: the marks of all shards, as plain data.

use repl_core::{
    Incarnation, LogId, ReplicationState, SeqNo, SeqRange, ShardId, Snapshot, SnapshotEntry,
};
use serde::{Deserialize, Serialize};

use crate::recovery::Restored;

/// The saved progress of all shards: what a [`Codec`](crate::Codec) turns into bytes and back.
///
/// Valid where the shards ascend without duplicates, every incarnation is below
/// `next_incarnation`, and each shard's ranges and epochs are as their types say:
/// [`seal`](crate::seal()) and [`open`](crate::open()) both check it.
///
/// `Serialize` and `Deserialize` carry every field in the order given here, for codecs of other
/// crates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The incarnation that the next added or reset shard gets: none that a save has held is used
    /// again, across restarts too.
    pub next_incarnation: Incarnation,
    /// The shards, ascending by id.
    pub shards: Vec<ShardCheckpoint>,
}

/// The saved progress of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardCheckpoint {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// Which life of the shard this is.
    pub incarnation: Incarnation,
    /// The last segment fully applied and durable; 0 for none.
    pub mark: SeqNo,
    /// Segments completed above the mark: ascending, disjoint, every one above `mark`.
    pub completed: Box<[SeqRange]>,
    /// The leader terms of the log: epochs and their first segments both strictly ascending.
    pub epochs: Box<[EpochStart]>,
}

/// The segment with which a leader term begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochStart {
    /// The leader term.
    pub epoch: u64,
    /// Its first segment.
    pub first: SeqNo,
}

/// Why a [`Checkpoint`] is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCheckpoint {
    /// Shards descend or repeat.
    #[error("shard {shard} does not come after the shard before it")]
    ShardOrder {
        /// The shard out of order.
        shard: ShardId,
    },
    /// An incarnation that would be given a second time.
    #[error("shard {shard} has incarnation {incarnation}, but the next new one would be {next}")]
    Incarnation {
        /// The shard.
        shard: ShardId,
        /// Its incarnation.
        incarnation: Incarnation,
        /// The next one.
        next: Incarnation,
    },
    /// A completed range is empty, overlaps or is not above the mark.
    #[error("shard {shard}: completed range {range} is out of place")]
    Range {
        /// The shard.
        shard: ShardId,
        /// The range.
        range: SeqRange,
    },
    /// Epochs or their first segments do not ascend.
    #[error("shard {shard}: epoch {} from segment {} is out of place", .start.epoch, .start.first)]
    Epoch {
        /// The shard.
        shard: ShardId,
        /// The epoch.
        start: EpochStart,
    },
}

impl Checkpoint {
    /// The checkpoint that `snapshot` stands for, with no epochs.
    pub fn of(snapshot: &Snapshot) -> Self {
        let shards = snapshot.entries().map(ShardCheckpoint::from).collect();
        let next_incarnation = snapshot.next_incarnation();
        let mut checkpoint = Checkpoint { next_incarnation, shards };
        for (shard, ranges) in snapshot.all_completed() {
            if let Some(shard) = checkpoint.shard_mut(shard) {
                shard.completed = ranges.into();
            }
        }
        checkpoint
    }

    /// One shard; `None` for a shard that the checkpoint does not name.
    pub fn shard(&self, shard: ShardId) -> Option<&ShardCheckpoint> {
        let i = self.shards.binary_search_by_key(&shard, |s| s.shard).ok()?;
        Some(&self.shards[i])
    }

    pub(crate) fn shard_mut(&mut self, shard: ShardId) -> Option<&mut ShardCheckpoint> {
        let i = self.shards.binary_search_by_key(&shard, |s| s.shard).ok()?;
        Some(&mut self.shards[i])
    }

    /// A state of exactly `shards`, at the marks of this checkpoint and with what it records as
    /// completed above them: a shard that it lacks starts at 0, and one that is not in `shards` is
    /// dropped.
    pub fn state_of(&self, shards: &[ShardId]) -> ReplicationState {
        Restored::of(self, shards).state
    }

    /// Checks what the type promises.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn validate(&self) -> Result<(), InvalidCheckpoint> {
        // One pass: large checkpoints do not fit the cache.
        let mut before = None;
        for shard in &self.shards {
            if before.is_some_and(|before| before >= shard.shard) {
                return Err(InvalidCheckpoint::ShardOrder { shard: shard.shard });
            }
            before = Some(shard.shard);
            shard.validate(self.next_incarnation)?;
        }
        Ok(())
    }
}

impl ShardCheckpoint {
    #[inline]
    fn validate(&self, next: Incarnation) -> Result<(), InvalidCheckpoint> {
        let (shard, incarnation) = (self.shard, self.incarnation);
        // Numbers that have run out stay at the last one.
        if incarnation >= next && next != Incarnation(u64::MAX) {
            return Err(InvalidCheckpoint::Incarnation { shard, incarnation, next });
        }
        if self.completed.is_empty() && self.epochs.is_empty() {
            return Ok(());
        }
        self.validate_details()
    }

    fn validate_details(&self) -> Result<(), InvalidCheckpoint> {
        let shard = self.shard;
        let mut below = self.mark;
        for &range in &self.completed {
            if range.first <= below || range.last < range.first {
                return Err(InvalidCheckpoint::Range { shard, range });
            }
            below = range.last;
        }
        let ascends = |w: &[EpochStart]| w[0].epoch < w[1].epoch && w[0].first < w[1].first;
        match self.epochs.windows(2).find(|w| !ascends(w)) {
            Some(pair) => Err(InvalidCheckpoint::Epoch { shard, start: pair[1] }),
            None => Ok(()),
        }
    }
}

impl From<&ShardCheckpoint> for SnapshotEntry {
    fn from(shard: &ShardCheckpoint) -> Self {
        let ShardCheckpoint { shard, log, incarnation, mark, .. } = *shard;
        SnapshotEntry { shard, log, incarnation, mark }
    }
}

impl From<SnapshotEntry> for ShardCheckpoint {
    fn from(entry: SnapshotEntry) -> Self {
        let SnapshotEntry { shard, log, incarnation, mark } = entry;
        ShardCheckpoint {
            shard,
            log,
            incarnation,
            mark,
            completed: Box::default(),
            epochs: Box::default(),
        }
    }
}
