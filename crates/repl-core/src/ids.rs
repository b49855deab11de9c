//! Who is meant: shards, segments, logs.

use std::fmt;

/// The position of a WAL segment in the log of one shard.
///
/// Segments are numbered from 1; 0 means that no segment is applied. Sequence numbers need not be
/// dense: an engine whose numbers are log positions may jump.
pub type SeqNo = u64;

/// Names one shard: one log, replicated and applied in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct ShardId(pub u64);

impl ShardId {
    /// The only shard of an engine that has one log.
    pub const SINGLE: ShardId = ShardId(0);
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names the log that a shard follows, so that a mark is never compared with another log's
/// sequence numbers.
///
/// Engines that give their logs a UUID put it here. [`LogId::UNNAMED`] is a log without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct LogId(pub u128);

impl LogId {
    /// A log without a name.
    pub const UNNAMED: LogId = LogId(0);
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One life of a shard inside one [`ReplicationState`](crate::ReplicationState): adding, resetting
/// and adding again each begin another.
///
/// Numbers only rise, and a checkpoint holds the next one, so `(shard, incarnation)` never means
/// two things in one process, nor in two checkpoints that follow each other. (A life that ended in
/// a crash before any save held it may give its number to a life after the restart.) Callers find
/// shards by [`ShardId`] alone; whoever keeps marks beside a state (a checkpointer, a retention
/// floor) compares incarnations, so that a mark of an earlier life is never taken for one of this
/// life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a shard begins its life with: see [`ReplicationState::add_shard`].
///
/// ```
/// use repl_core::{LogId, NewShard, ShardId};
///
/// let copied_up_to_40 = NewShard::new(ShardId(7)).with_mark(40).with_log(LogId(0xfeed));
/// assert_eq!(copied_up_to_40.mark, 40);
/// ```
///
/// [`ReplicationState::add_shard`]: crate::ReplicationState::add_shard
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NewShard {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// The last segment that is already applied, for instance by a base copy; 0 for none.
    pub mark: SeqNo,
}

impl NewShard {
    /// A shard of an unnamed log with nothing applied.
    pub fn new(shard: ShardId) -> Self {
        NewShard { shard, log: LogId::UNNAMED, mark: 0 }
    }

    /// Starts at `mark`: every segment up to and including it counts as applied.
    #[must_use]
    pub fn with_mark(self, mark: SeqNo) -> Self {
        NewShard { mark, ..self }
    }

    /// Follows the log `log`.
    #[must_use]
    pub fn with_log(self, log: LogId) -> Self {
        NewShard { log, ..self }
    }
}
