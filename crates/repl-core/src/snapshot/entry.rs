//! One shard of a snapshot.

use crate::applied_set::AppliedSet;
use crate::epochs::Epochs;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};

/// One shard of a [`Snapshot`](crate::Snapshot), whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct SnapshotEntry {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// The incarnation of the shard.
    pub incarnation: Incarnation,
    /// The seqnos that are fully applied.
    pub applied_set: AppliedSet,
    /// The epochs of the log.
    pub epochs: Epochs,
}

impl SnapshotEntry {
    /// A shard of an unnamed log without epochs, of the first incarnation.
    #[inline]
    pub fn new(shard: impl Into<ShardId>, applied_set: AppliedSet) -> Self {
        let (shard, log, incarnation) = (shard.into(), LogId::UNNAMED, Incarnation(0));
        SnapshotEntry { shard, log, incarnation, applied_set, epochs: Epochs::default() }
    }

    /// The same of the log `log`.
    #[inline]
    #[must_use]
    pub fn with_log(self, log: LogId) -> Self {
        SnapshotEntry { log, ..self }
    }

    /// The same of the given incarnation.
    #[inline]
    #[must_use]
    pub fn with_incarnation(self, incarnation: Incarnation) -> Self {
        SnapshotEntry { incarnation, ..self }
    }

    /// The same with these epochs.
    #[inline]
    #[must_use]
    pub fn with_epochs(self, epochs: Epochs) -> Self {
        SnapshotEntry { epochs, ..self }
    }

    /// Returns the mark: the last segment fully applied; 0 for none.
    pub fn mark(&self) -> SeqNo {
        self.applied_set.mark()
    }
}
