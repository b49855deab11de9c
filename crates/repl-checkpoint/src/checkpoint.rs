//! The marks of all shards as plain data, and its validation.

mod restore;
mod rows;
mod rules;
mod track;

use std::error::Error;
use std::fmt;

use repl_core::{
    AppliedSet, EpochStart, Epochs, Incarnation, LogId, ReplicationState, SeqNo, SeqRange, ShardId,
    Snapshot, SnapshotEntry,
};

pub(crate) use self::restore::restored;
pub use self::rows::Rows;
pub(crate) use self::rules::{NO_LIMIT, Rules};
pub(crate) use self::track::LookUp;
pub use self::track::Track;

/// The saved progress of all shards, as plain data.
///
/// A [`Codec`](crate::Codec) turns it into bytes and back. It is valid if the shards ascend without
/// duplicates, every incarnation is below `next_incarnation`, and the ranges and epochs of each
/// shard are as documented there. [`seal`](Checkpoint::seal) and [`unseal`](Checkpoint::unseal)
/// both check that.
///
/// With the feature `serde`, `Serialize` and `Deserialize` carry every field in the order given here,
/// for codecs in other crates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Checkpoint {
    /// The incarnation of the next shard that is added or reset.
    ///
    /// No incarnation that was ever saved is used again, not even after a restart.
    pub next_incarnation: Incarnation,
    /// The shards, ascending by id.
    pub shards: Vec<ShardCheckpoint>,
}

/// The saved progress of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ShardCheckpoint {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// The incarnation of the shard that the mark belongs to.
    pub incarnation: Incarnation,
    /// The last segment fully applied and durable; 0 for none.
    pub mark: SeqNo,
    /// Segments completed above the mark: ascending, disjoint, every one above `mark`.
    pub completed: Box<[SeqRange]>,
    /// The epochs of the log: they and their first segments both strictly ascend.
    pub epochs: Box<[EpochStart]>,
}

/// The first rule that a [`Checkpoint`] breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidCheckpoint {
    /// Shards descend or repeat.
    ShardOrder {
        /// The shard out of order.
        shard: ShardId,
    },
    /// An incarnation is not below the next one, which would use it again.
    Incarnation {
        /// The shard.
        shard: ShardId,
        /// Its incarnation.
        incarnation: Incarnation,
        /// The next one.
        next: Incarnation,
    },
    /// A completed range is empty, overlaps or is not above the mark.
    Range {
        /// The shard.
        shard: ShardId,
        /// The range.
        range: SeqRange,
    },
    /// Epochs or their first segments do not ascend.
    Epoch {
        /// The shard.
        shard: ShardId,
        /// The epoch.
        start: EpochStart,
    },
}

impl fmt::Display for InvalidCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidCheckpoint::ShardOrder { shard } => {
                write!(f, "shard {shard} does not come after the shard before it")
            }
            InvalidCheckpoint::Incarnation { shard, incarnation, next } => write!(
                f,
                "shard {shard} has incarnation {incarnation}, but the next new one would be {next}"
            ),
            InvalidCheckpoint::Range { shard, range } => {
                write!(f, "shard {shard}: completed range {range} is out of place")
            }
            InvalidCheckpoint::Epoch { shard, start } => {
                write!(f, "shard {shard}: {start} is out of place")
            }
        }
    }
}

impl Error for InvalidCheckpoint {}

impl Checkpoint {
    /// Returns the checkpoint of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        Checkpoint {
            next_incarnation: snapshot.next_incarnation(),
            shards: snapshot.entries().map(ShardCheckpoint::from).collect(),
        }
    }

    /// Returns one shard, or `None` if the checkpoint does not hold it. O(log shards).
    pub fn shard(&self, shard: ShardId) -> Option<&ShardCheckpoint> {
        let i = self.shards.binary_search_by_key(&shard, |s| s.shard).ok()?;
        Some(&self.shards[i])
    }

    /// Returns its shards, one after another: what a [`Codec`](crate::Codec) encodes.
    pub fn rows(&self) -> Rows<'_> {
        Rows::of_checkpoint(self)
    }

    /// Returns a state at the marks of this checkpoint, with its epochs and what is completed above
    /// the marks.
    ///
    /// `track` says which shards it tracks; a slice of shard ids tracks exactly those. A shard that
    /// the checkpoint lacks begins at mark 0, unless `track` gives another start. Shards that are
    /// not tracked are dropped.
    pub fn state_of(&self, track: impl Into<Track>) -> ReplicationState {
        restored(&self.marks(), track.into()).0
    }

    /// Checks that the checkpoint is valid.
    ///
    /// # Errors
    /// [`InvalidCheckpoint`] names the first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidCheckpoint> {
        self.rows().validate()
    }
}

/// Epochs that do not ascend are left out.
impl From<&ShardCheckpoint> for SnapshotEntry {
    #[inline]
    fn from(saved: &ShardCheckpoint) -> Self {
        // Most rows. It is short, so that it is compiled into the loops over rows.
        if saved.completed.is_empty() && saved.epochs.is_empty() {
            return SnapshotEntry::new(saved.shard, AppliedSet::up_to(saved.mark))
                .with_log(saved.log)
                .with_incarnation(saved.incarnation);
        }
        detailed(saved)
    }
}

#[inline(never)]
fn detailed(saved: &ShardCheckpoint) -> SnapshotEntry {
    let applied = AppliedSet::new(saved.mark, saved.completed.iter().copied());
    let entry = SnapshotEntry::new(saved.shard, applied)
        .with_log(saved.log)
        .with_incarnation(saved.incarnation);
    match Epochs::new(saved.epochs.iter().copied()) {
        Ok(epochs) => entry.with_epochs(epochs),
        Err(_) => entry,
    }
}

impl From<SnapshotEntry> for ShardCheckpoint {
    fn from(entry: SnapshotEntry) -> Self {
        ShardCheckpoint {
            shard: entry.shard,
            log: entry.log,
            incarnation: entry.incarnation,
            mark: entry.mark(),
            completed: entry.applied_set.above().collect(),
            epochs: entry.epochs.as_slice().into(),
        }
    }
}
