//! Identifiers of shards, segments, logs and epochs.

use std::fmt;

/// The position of a WAL segment in the log of one shard.
///
/// Segments are numbered from 1; 0 means that no segment is applied. Sequence numbers need not be
/// dense: an engine whose numbers are log positions may jump.
pub type SeqNo = u64;

/// The identifier of one shard: one log, replicated and applied in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct ShardId(pub u64);

impl ShardId {
    /// The only shard of an engine that has one log.
    pub const SINGLE: ShardId = ShardId(0);
}

impl From<u64> for ShardId {
    fn from(id: u64) -> Self {
        ShardId(id)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identifier of the log that a shard follows.
///
/// It prevents a mark from being compared with the sequence numbers of another log. If logs have a
/// UUID, use it here. [`LogId::UNNAMED`] is a log without a name.
///
/// Serde writes it as 32 hexadecimal digits where a format is for people, and as a `u128` elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogId(pub u128);

impl LogId {
    /// A log without a name.
    pub const UNNAMED: LogId = LogId(0);

    /// Returns whether the two may be the same log: they are equal, or one is unnamed.
    pub fn may_be(self, other: LogId) -> bool {
        self == other || self == LogId::UNNAMED || other == LogId::UNNAMED
    }
}

impl From<u64> for LogId {
    fn from(id: u64) -> Self {
        LogId(id.into())
    }
}

impl From<u128> for LogId {
    fn from(id: u128) -> Self {
        LogId(id)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for LogId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(self.0)
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for LogId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if !deserializer.is_human_readable() {
            return u128::deserialize(deserializer).map(LogId);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let id = u128::from_str_radix(&text, 16).map(LogId).map_err(D::Error::custom)?;
        if id.to_string() == text { Ok(id) } else { Err(D::Error::custom("not 32 hex digits")) }
    }
}

/// The number of one incarnation of a shard: adding, resetting and adding again each begin another.
///
/// Numbers only rise, and a checkpoint holds the next one. So `(shard, incarnation)` never means
/// two things in one process, nor in two checkpoints that follow each other. (An incarnation that
/// ends in a crash before any save holds it may give its number to one after the restart.)
///
/// Callers find shards by [`ShardId`] alone. Code that keeps marks beside a state (a checkpointer,
/// a retention floor) compares incarnations, so that a mark of an earlier one is never taken for
/// the present one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// Returns the number after this one; the last one has none and returns itself.
    #[must_use]
    pub fn next(self) -> Incarnation {
        Incarnation(self.0.saturating_add(1))
    }
}

impl From<u64> for Incarnation {
    fn from(number: u64) -> Self {
        Incarnation(number)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An epoch, which is the term of one leader, and its first segment.
///
/// Every segment from the first one on is of this epoch, up to where the next epoch begins. Epoch 0
/// is an epoch like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct EpochStart {
    /// The epoch: the number of a leader's term. Later leaders have higher numbers.
    pub epoch: u64,
    /// Its first segment. It is never changed, not even when the log deletes that segment.
    pub first: SeqNo,
}

impl fmt::Display for EpochStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} from segment {}", self.epoch, self.first)
    }
}

/// What a client gets for a write, to wait for that write on any follower.
///
/// The leader that takes the write makes it: its log, its epoch, and the segment that holds the
/// write. It stays valid when another leader takes over. A seqno alone does not: the next leader may
/// use the same seqno for another write. See
/// [`ReplicationState::reached_bookmark`](crate::ReplicationState::reached_bookmark).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Bookmark {
    /// The log.
    pub log: LogId,
    /// The epoch of the leader that took the write.
    pub epoch: u64,
    /// The segment that holds the write.
    pub seqno: SeqNo,
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bookmark { log, epoch, seqno } = self;
        write!(f, "segment {seqno} of epoch {epoch} in log {log}")
    }
}

/// The immutable identity of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) shard: ShardId,
    pub(crate) incarnation: Incarnation,
    pub(crate) log: LogId,
}
