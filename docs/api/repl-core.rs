// The public surface of repl-core, without docs, bodies and auto traits.
// Written by `cargo xtask api --write`.

use serde::Deserialize;
use serde::Serialize;
use std::error;
use std::fmt::Debug;
use std::fmt::Display;
use std::hash::Hash;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use std::time::Instant;

pub enum Advance {
    Advanced { from: SeqNo },
    Stale { at: SeqNo },
    Gap { at: SeqNo },
    Removed,
    UnknownShard,
}
impl Clone for Advance;
impl Copy for Advance;
impl Debug for Advance;
impl Eq for Advance;
impl Hash for Advance;
impl PartialEq for Advance;
impl Advance {
    pub fn is_advanced(self) -> bool;
    pub fn mark_before(self) -> Option<SeqNo>;
}

pub struct AlreadyTracked {
    pub shard: ShardId,
}
impl Clone for AlreadyTracked;
impl Copy for AlreadyTracked;
impl Debug for AlreadyTracked;
impl Display for AlreadyTracked;
impl Eq for AlreadyTracked;
impl error::Error for AlreadyTracked;
impl From<AlreadyTracked> for io::Error;
impl Hash for AlreadyTracked;
impl PartialEq for AlreadyTracked;

pub struct AppliedSet { .. }
impl Clone for AppliedSet;
impl Debug for AppliedSet;
impl Default for AppliedSet;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for AppliedSet;
impl Eq for AppliedSet;
impl Hash for AppliedSet;
impl PartialEq for AppliedSet;
#[cfg(feature = "serde")]
impl Serialize for AppliedSet;
impl AppliedSet {
    pub fn above(&self) -> impl Iterator<Item = SeqRange> + Clone + '_;
    pub fn contains(&self, seqno: SeqNo) -> bool;
    pub fn highest(&self) -> SeqNo;
    pub fn insert(&mut self, range: impl Into<SeqRange>);
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self;
    pub fn is_superset(&self, other: &Self) -> bool;
    pub fn mark(&self) -> SeqNo;
    pub fn missing(&self, up_to: SeqNo) -> impl Iterator<Item = SeqRange> + Clone + '_;
    pub fn new<R: Into<SeqRange>>(
        mark: SeqNo,
        ranges: impl IntoIterator<Item = R>,
    ) -> Self;
    pub fn range_count(&self) -> usize;
    pub fn remove(&mut self, range: impl Into<SeqRange>);
    #[must_use]
    pub fn union(&self, other: &Self) -> Self;
    pub fn up_to(mark: SeqNo) -> Self;
}

pub struct ApplyWindow { .. }
impl Debug for ApplyWindow;
impl ApplyWindow {
    pub fn capacity(&self) -> u64;
    pub fn claim(&self, seqno: SeqNo) -> Claiming;
    pub fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError>;
    pub fn new(shard: Shard, capacity: u64) -> Result<Self, WindowError>;
    pub fn room_for(&self, seqno: SeqNo) -> Reached;
    pub fn shard(&self) -> &Shard;
    pub fn skip(&self, range: impl Into<SeqRange>) -> Result<Completion, CompleteError>;
    pub fn try_claim(&self, seqno: SeqNo) -> Result<Claim, ClaimError>;
}

pub struct AwaitedChanges { .. }
impl Clone for AwaitedChanges;
impl Debug for AwaitedChanges;
impl AwaitedChanges {
    pub fn next(&mut self) -> NextAwaited<'_>;
}

pub struct Changes { .. }
impl Clone for Changes;
impl Debug for Changes;
impl Changes {
    pub fn next(&mut self) -> NextChange<'_>;
    pub fn seen(&self) -> Option<SeqNo>;
}

#[must_use]
pub struct Claim { .. }
impl Debug for Claim;
impl Drop for Claim;
impl Claim {
    pub fn complete(self) -> Result<Completion, CompleteError>;
    pub fn seqno(&self) -> SeqNo;
}

#[non_exhaustive]
pub enum ClaimError {
    AlreadyCompleted,
    Claimed,
    Full(WindowFull),
    Removed,
    Closed,
    Timeout,
}
impl Clone for ClaimError;
impl Copy for ClaimError;
impl Debug for ClaimError;
impl Display for ClaimError;
impl Eq for ClaimError;
impl error::Error for ClaimError;
impl From<ClaimError> for io::Error;
impl From<WaitError> for ClaimError;
impl From<WindowFull> for ClaimError;
impl Hash for ClaimError;
impl PartialEq for ClaimError;

#[must_use]
pub struct Claiming { .. }
impl Debug for Claiming;
impl Future for Claiming {
    type Output = Result<Claim, ClaimError>;
}
impl Claiming {
    pub fn wait(self) -> Result<Claim, ClaimError>;
    pub fn wait_deadline(self, deadline: Instant) -> Result<Claim, ClaimError>;
    pub fn wait_timeout(self, timeout: Duration) -> Result<Claim, ClaimError>;
}

#[non_exhaustive]
pub enum CompleteError {
    Full(WindowFull),
    Removed,
}
impl Clone for CompleteError;
impl Copy for CompleteError;
impl Debug for CompleteError;
impl Display for CompleteError;
impl Eq for CompleteError;
impl error::Error for CompleteError;
impl From<CompleteError> for io::Error;
impl From<WindowFull> for CompleteError;
impl Hash for CompleteError;
impl PartialEq for CompleteError;

pub enum Completion {
    Completed { mark: SeqNo },
    AlreadyCompleted { mark: SeqNo },
}
impl Clone for Completion;
impl Copy for Completion;
impl Debug for Completion;
impl Eq for Completion;
impl Hash for Completion;
impl PartialEq for Completion;

pub struct Incarnation(pub u64);
impl Clone for Incarnation;
impl Copy for Incarnation;
impl Debug for Incarnation;
impl Default for Incarnation;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for Incarnation;
impl Display for Incarnation;
impl Eq for Incarnation;
impl From<u64> for Incarnation;
impl Hash for Incarnation;
impl Ord for Incarnation;
impl PartialEq for Incarnation;
impl PartialOrd for Incarnation;
#[cfg(feature = "serde")]
impl Serialize for Incarnation;
impl Incarnation {
    #[must_use]
    pub fn next(self) -> Incarnation;
}

pub struct LogId(pub u128);
impl Clone for LogId;
impl Copy for LogId;
impl Debug for LogId;
impl Default for LogId;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for LogId;
impl Display for LogId;
impl Eq for LogId;
impl From<u128> for LogId;
impl From<u64> for LogId;
impl Hash for LogId;
impl Ord for LogId;
impl PartialEq for LogId;
impl PartialOrd for LogId;
#[cfg(feature = "serde")]
impl Serialize for LogId;
impl LogId {
    pub const UNNAMED: LogId;
    pub fn may_be(self, other: LogId) -> bool;
}

#[non_exhaustive]
pub struct Merged {
    pub advanced: usize,
    pub unknown: Vec<ShardId>,
    pub other_log: Vec<ShardId>,
}
impl Clone for Merged;
impl Debug for Merged;
impl Default for Merged;
impl Eq for Merged;
impl PartialEq for Merged;

#[non_exhaustive]
pub struct NewShard {
    pub shard: ShardId,
    pub log: LogId,
    pub mark: SeqNo,
}
impl Clone for NewShard;
impl Copy for NewShard;
impl Debug for NewShard;
impl Eq for NewShard;
impl From<ShardId> for NewShard;
impl Hash for NewShard;
impl PartialEq for NewShard;
impl NewShard {
    pub fn new(shard: impl Into<ShardId>) -> Self;
    #[must_use]
    pub fn with_log(self, log: LogId) -> Self;
    #[must_use]
    pub fn with_mark(self, mark: SeqNo) -> Self;
}

#[must_use]
pub struct NextAwaited<'a> { .. }
impl<'a> Debug for NextAwaited<'a>;
impl Drop for NextAwaited<'_>;
impl Future for NextAwaited<'_> {
    type Output = Result<Option<SeqNo>, WaitError>;
}
impl NextAwaited<'_> {
    pub fn wait(self) -> Result<Option<SeqNo>, WaitError>;
    pub fn wait_deadline(self, deadline: Instant) -> Result<Option<SeqNo>, WaitError>;
    pub fn wait_timeout(self, timeout: Duration) -> Result<Option<SeqNo>, WaitError>;
}

#[must_use]
pub struct NextChange<'a> { .. }
impl<'a> Debug for NextChange<'a>;
impl Future for NextChange<'_> {
    type Output = Result<SeqNo, WaitError>;
}
impl NextChange<'_> {
    pub fn wait(self) -> Result<SeqNo, WaitError>;
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError>;
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError>;
}

#[must_use]
pub struct Reached { .. }
impl Debug for Reached;
impl Future for Reached {
    type Output = Result<SeqNo, WaitError>;
}
impl Reached {
    pub fn wait(self) -> Result<SeqNo, WaitError>;
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, WaitError>;
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, WaitError>;
}

#[must_use]
pub struct ReachedAll { .. }
impl Debug for ReachedAll;
impl Future for ReachedAll {
    type Output = Result<(), WaitAllError>;
}
impl ReachedAll {
    pub fn wait(self) -> Result<(), WaitAllError>;
    pub fn wait_deadline(self, deadline: Instant) -> Result<(), WaitAllError>;
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitAllError>;
}

pub struct ReplicationState { .. }
impl Clone for ReplicationState;
impl Debug for ReplicationState;
impl Default for ReplicationState;
impl ReplicationState {
    pub fn add_shard(&self, new: NewShard) -> Result<Shard, AlreadyTracked>;
    pub fn add_shards(&self, new: &[NewShard]) -> Result<(), AlreadyTracked>;
    pub fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance;
    pub fn applied_seqno(&self, shard: ShardId) -> Option<SeqNo>;
    pub fn close(&self);
    pub fn is_empty(&self) -> bool;
    pub fn len(&self) -> usize;
    pub fn marks(&self) -> Snapshot;
    pub fn merge(&self, snapshot: &Snapshot) -> Merged;
    pub fn new(shards: &[ShardId]) -> Self;
    pub fn reached(&self, shard: ShardId, seqno: SeqNo) -> Reached;
    pub fn reached_all(&self, snapshot: &Snapshot) -> ReachedAll;
    pub fn remove_shard(&self, shard: ShardId) -> Option<Shard>;
    pub fn reset_shard(&self, new: NewShard) -> Option<Shard>;
    pub fn restore(snapshot: &Snapshot) -> Self;
    pub fn rewind_shard(&self, shard: ShardId, to: SeqNo) -> Option<Shard>;
    pub fn shard(&self, shard: ShardId) -> Option<Shard>;
    pub fn shards(&self) -> Vec<ShardId>;
    pub fn single() -> Self;
    pub fn snapshot(&self) -> Snapshot;
}

pub type SeqNo = u64;

pub struct SeqRange { .. }
impl Clone for SeqRange;
impl Copy for SeqRange;
impl Debug for SeqRange;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for SeqRange;
impl Display for SeqRange;
impl Eq for SeqRange;
impl From<RangeInclusive<SeqNo>> for SeqRange;
impl From<SeqNo> for SeqRange;
impl Hash for SeqRange;
impl Ord for SeqRange;
impl PartialEq for SeqRange;
impl PartialOrd for SeqRange;
#[cfg(feature = "serde")]
impl Serialize for SeqRange;
impl SeqRange {
    pub const EMPTY: SeqRange;
    pub const fn contains(&self, seqno: SeqNo) -> bool;
    pub const fn first(&self) -> SeqNo;
    pub const fn is_empty(&self) -> bool;
    pub const fn last(&self) -> SeqNo;
    pub const fn len(&self) -> u64;
    pub const fn new(first: SeqNo, last: SeqNo) -> Self;
}

pub struct Shard { .. }
impl Clone for Shard;
impl Debug for Shard;
impl Shard {
    pub fn advance(&self, seqno: SeqNo) -> Advance;
    pub fn advance_from(&self, expected: SeqNo, to: SeqNo) -> Advance;
    pub fn applied(&self) -> SeqNo;
    pub fn applied_set(&self) -> AppliedSet;
    pub fn awaited(&self) -> Option<SeqNo>;
    pub fn awaited_changes(&self) -> AwaitedChanges;
    pub fn changes(&self) -> Changes;
    pub fn close(&self);
    pub fn complete(&self, range: impl Into<SeqRange>);
    pub fn contains(&self, seqno: SeqNo) -> bool;
    pub fn id(&self) -> ShardId;
    pub fn incarnation(&self) -> Incarnation;
    pub fn is_removed(&self) -> bool;
    pub fn log(&self) -> LogId;
    pub fn reached(&self, seqno: SeqNo) -> Reached;
}

pub struct ShardId(pub u64);
impl Clone for ShardId;
impl Copy for ShardId;
impl Debug for ShardId;
impl Default for ShardId;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for ShardId;
impl Display for ShardId;
impl Eq for ShardId;
impl From<u64> for ShardId;
impl Hash for ShardId;
impl Ord for ShardId;
impl PartialEq for ShardId;
impl PartialOrd for ShardId;
#[cfg(feature = "serde")]
impl Serialize for ShardId;
impl ShardId {
    pub const SINGLE: ShardId;
}

pub struct Snapshot { .. }
impl Clone for Snapshot;
impl Debug for Snapshot;
impl Default for Snapshot;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for Snapshot;
impl Eq for Snapshot;
impl FromIterator<(ShardId, SeqNo)> for Snapshot;
impl FromIterator<SnapshotEntry> for Snapshot;
impl<'a> IntoIterator for &'a Snapshot {
    type Item = (ShardId, SeqNo);
    type IntoIter = SnapshotIter<'a>;
}
impl PartialEq for Snapshot;
#[cfg(feature = "serde")]
impl Serialize for Snapshot;
impl Snapshot {
    pub fn advanced_since(&self, earlier: &Snapshot) -> u64;
    pub fn applied_set(&self, shard: ShardId) -> Option<AppliedSet>;
    pub fn dominates(&self, other: &Snapshot) -> bool;
    pub fn drop_above(&mut self, shard: ShardId);
    pub fn entries(&self) -> impl Iterator<Item = SnapshotEntry> + '_;
    pub fn entry(&self, shard: ShardId) -> Option<SnapshotEntry>;
    pub fn is_empty(&self) -> bool;
    pub fn iter(&self) -> SnapshotIter<'_>;
    pub fn lag(&self, ahead: &Snapshot) -> impl Iterator<Item = (ShardId, u64)>;
    pub fn len(&self) -> usize;
    pub fn lower(&mut self, shard: ShardId, to: SeqNo) -> bool;
    pub fn mark(&self, shard: ShardId) -> Option<SeqNo>;
    pub fn marks(&self) -> &[SeqNo];
    #[must_use]
    pub fn max(&self, other: &Snapshot) -> Snapshot;
    #[must_use]
    pub fn min(&self, other: &Snapshot) -> Snapshot;
    pub fn next_incarnation(&self) -> Incarnation;
    pub fn retain(&mut self, keep: impl FnMut(ShardId) -> bool);
    pub fn same_marks(&self, other: &Snapshot) -> bool;
    pub fn shards(&self) -> impl ExactSizeIterator<Item = ShardId> + '_;
    #[must_use]
    pub fn with_next_incarnation(self, next: Incarnation) -> Self;
}

#[non_exhaustive]
pub struct SnapshotEntry {
    pub shard: ShardId,
    pub log: LogId,
    pub incarnation: Incarnation,
    pub applied_set: AppliedSet,
}
impl Clone for SnapshotEntry;
impl Debug for SnapshotEntry;
#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for SnapshotEntry;
impl Eq for SnapshotEntry;
impl Hash for SnapshotEntry;
impl PartialEq for SnapshotEntry;
#[cfg(feature = "serde")]
impl Serialize for SnapshotEntry;
impl SnapshotEntry {
    pub fn mark(&self) -> SeqNo;
    pub fn new(shard: impl Into<ShardId>, applied_set: AppliedSet) -> Self;
    #[must_use]
    pub fn with_incarnation(self, incarnation: Incarnation) -> Self;
    #[must_use]
    pub fn with_log(self, log: LogId) -> Self;
}

pub struct SnapshotIter<'a> { .. }
impl<'a> Clone for SnapshotIter<'a>;
impl<'a> Debug for SnapshotIter<'a>;
impl ExactSizeIterator for SnapshotIter<'_>;
impl Iterator for SnapshotIter<'_> {
    type Item = (ShardId, SeqNo);
}

pub struct WaitAllError {
    pub shard: ShardId,
    pub reason: WaitError,
}
impl Clone for WaitAllError;
impl Copy for WaitAllError;
impl Debug for WaitAllError;
impl Display for WaitAllError;
impl Eq for WaitAllError;
impl error::Error for WaitAllError;
impl From<WaitAllError> for io::Error;
impl Hash for WaitAllError;
impl PartialEq for WaitAllError;

#[non_exhaustive]
#[repr(u64)]
pub enum WaitError {
    Timeout,
    Closed,
    Removed,
    UnknownShard,
}
impl Clone for WaitError;
impl Copy for WaitError;
impl Debug for WaitError;
impl Display for WaitError;
impl Eq for WaitError;
impl error::Error for WaitError;
impl From<WaitError> for io::Error;
impl Hash for WaitError;
impl PartialEq for WaitError;

#[non_exhaustive]
pub enum WindowError {
    AlreadyOpen,
    NoCapacity,
    Removed,
}
impl Clone for WindowError;
impl Copy for WindowError;
impl Debug for WindowError;
impl Display for WindowError;
impl Eq for WindowError;
impl error::Error for WindowError;
impl From<WindowError> for io::Error;
impl Hash for WindowError;
impl PartialEq for WindowError;

pub struct WindowFull {
    pub seqno: SeqNo,
    pub resume_at: SeqNo,
}
impl Clone for WindowFull;
impl Copy for WindowFull;
impl Debug for WindowFull;
impl Display for WindowFull;
impl Eq for WindowFull;
impl error::Error for WindowFull;
impl From<WindowFull> for io::Error;
impl Hash for WindowFull;
impl PartialEq for WindowFull;

#[cfg(loom)]
pub fn set_interleaved(on: bool);
