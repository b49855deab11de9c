//! Two snapshots, shard by shard.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Snapshot, SnapshotEntry};
use crate::cell::Key;
use crate::completed::AppliedSet;
use crate::ids::{SeqNo, ShardId};

impl Snapshot {
    /// The union: every shard that either holds, with its larger mark and all that either has
    /// completed, matched by id; marks of different lives of a shard are compared as the numbers
    /// they are.
    #[must_use]
    pub fn max(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::union, |pair| match pair {
            (Some(a), Some(b)) => Some(if b.mark > a.mark { b } else { a }),
            (one, other) => one.or(other),
        })
    }

    /// The intersection: every shard that both hold, with its smaller mark and what both have
    /// completed above it.
    #[must_use]
    pub fn min(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::intersection, |(a, b)| {
            let (a, b) = (a?, b?);
            Some(if b.mark < a.mark { b } else { a })
        })
    }

    /// How many segments each shard of `ahead` is in front of this snapshot, in seqnos; 0 where it
    /// is not. A shard that this snapshot does not hold lags by the whole of its mark.
    pub fn lag(&self, ahead: &Snapshot) -> impl Iterator<Item = (ShardId, u64)> {
        pairs(self, ahead).filter_map(|(behind, ahead)| {
            let ahead = ahead?;
            let at = behind.map_or(0, |b| b.mark);
            Some((ahead.shard, ahead.mark.saturating_sub(at)))
        })
    }

    /// How many seqnos all shards together have advanced since `earlier`. A shard whose life was
    /// not yet in it counts from 0; one that has gone counts nothing.
    pub fn advanced_since(&self, earlier: &Snapshot) -> u64 {
        let sum = |from: u64, (now, before): (u64, u64)| from.saturating_add(now - before.min(now));
        if Arc::ptr_eq(&self.keys, &earlier.keys) {
            return self.marks.iter().copied().zip(earlier.marks.iter().copied()).fold(0, sum);
        }
        let both = pairs(self, earlier).filter_map(|(now, before)| {
            let now = now?;
            let before = before.filter(|before| before.incarnation == now.incarnation);
            Some((now.mark, before.map_or(0, |before| before.mark)))
        });
        both.fold(0, sum)
    }

    /// Whether this snapshot holds every shard of `other`, at its mark or above, and all that it
    /// has completed.
    pub fn dominates(&self, other: &Snapshot) -> bool {
        let above = |b: SnapshotEntry, a: Option<SnapshotEntry>| {
            a.is_some_and(|a| {
                if self.has_completed_with(other) {
                    self.set(a.shard, a.mark).dominates(&other.set(b.shard, b.mark))
                } else {
                    a.mark >= b.mark
                }
            })
        };
        pairs(self, other).all(|(a, b)| b.is_none_or(|b| above(b, a)))
    }

    fn combine(
        &self,
        other: &Snapshot,
        both: impl Fn(&AppliedSet, &AppliedSet) -> AppliedSet,
        choose: impl Fn((Option<SnapshotEntry>, Option<SnapshotEntry>)) -> Option<SnapshotEntry>,
    ) -> Snapshot {
        let mut completed = Vec::new();
        let with_completed = self.has_completed_with(other);
        let entries = pairs(self, other).filter_map(|pair| {
            let mut entry = choose(pair)?;
            if with_completed {
                let set = match pair {
                    (Some(a), Some(b)) => {
                        both(&self.set(a.shard, a.mark), &other.set(b.shard, b.mark))
                    }
                    (Some(a), None) => self.set(a.shard, a.mark),
                    (None, _) => other.set(entry.shard, entry.mark),
                };
                entry.mark = set.mark();
                if !set.above().is_empty() {
                    completed.push((entry.shard, set.into_above()));
                }
            }
            Some(entry)
        });
        let (keys, marks): (Vec<Key>, Vec<SeqNo>) = entries.map(SnapshotEntry::split).unzip();
        let next = self.next_incarnation.max(other.next_incarnation);
        Snapshot::of(keys.into(), marks, completed, next)
    }

    fn has_completed_with(&self, other: &Snapshot) -> bool {
        !(self.completed.is_empty() && other.completed.is_empty())
    }

    /// What is applied of a shard that is here.
    fn set(&self, shard: ShardId, mark: SeqNo) -> AppliedSet {
        AppliedSet::in_form(mark, self.completed(shard))
    }
}

/// Every shard that either holds, ascending, with what each says of it.
fn pairs(
    a: &Snapshot,
    b: &Snapshot,
) -> impl Iterator<Item = (Option<SnapshotEntry>, Option<SnapshotEntry>)> {
    let (mut a, mut b) = (a.entries().peekable(), b.entries().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => x.shard.cmp(&y.shard),
        };
        let left = if order.is_le() { a.next() } else { None };
        let right = if order.is_ge() { b.next() } else { None };
        Some((left, right))
    })
}
