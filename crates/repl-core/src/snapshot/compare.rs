//! Two snapshots, shard by shard.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Snapshot;
use crate::applied_set::AppliedSet;
use crate::ids::{Incarnation, Key, LogId, SeqNo, ShardId};
use crate::table::Above;

impl Snapshot {
    /// Returns the union: every shard that either holds, with its larger mark and all ranges that
    /// either has completed.
    ///
    /// Shards are matched by id; marks of different incarnations are compared as numbers. Log and
    /// incarnation are those of the larger mark; of equal marks, those of the later incarnation. If
    /// the named logs of a shard differ, nothing is combined: the entry with the larger mark is
    /// taken whole.
    #[must_use]
    pub fn max(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::union, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some(std::cmp::max_by_key(a, b, order)),
            (one, other) => one.or(other),
        })
    }

    /// Returns the intersection: every shard that both hold, with its smaller mark and the ranges
    /// above it that both have completed. A shard whose named logs differ is left out.
    ///
    /// Log and incarnation are those of the smaller mark; of equal marks, those of the earlier
    /// incarnation.
    #[must_use]
    pub fn min(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::intersection, |a, b| {
            let (a, b) = (a?, b?);
            a.0.log.may_be(b.0.log).then(|| std::cmp::min_by_key(a, b, order))
        })
    }

    /// Returns how many seqnos each shard of `ahead` is in front of this snapshot; 0 where it is
    /// not. A shard that this snapshot does not hold lags by the whole of its mark. Marks are compared
    /// as numbers, whatever their logs and incarnations.
    pub fn lag(&self, ahead: &Snapshot) -> impl Iterator<Item = (ShardId, u64)> {
        pairs(self, ahead).filter_map(|(behind, in_front)| {
            let i = in_front?;
            let at = behind.map_or(0, |b| self.marks[b]);
            Some((ahead.keys[i].shard, ahead.marks[i].saturating_sub(at)))
        })
    }

    /// Returns how many seqnos all shards together have advanced since `earlier`. A shard whose
    /// incarnation was not in it counts from 0; one that was removed counts nothing.
    pub fn advanced_since(&self, earlier: &Snapshot) -> u64 {
        let sum = |from: u64, (now, before): (u64, u64)| from.saturating_add(now - before.min(now));
        if Arc::ptr_eq(&self.keys, &earlier.keys) {
            return self.marks.iter().copied().zip(earlier.marks.iter().copied()).fold(0, sum);
        }
        let both = pairs(self, earlier).filter_map(|(now, before)| {
            let now = now?;
            let is_same = |b: &usize| earlier.keys[*b].incarnation == self.keys[now].incarnation;
            Some((self.marks[now], before.filter(is_same).map_or(0, |b| earlier.marks[b])))
        });
        both.fold(0, sum)
    }

    /// Returns whether this snapshot holds every shard of `other`, at its mark or above, with all
    /// ranges that it has completed. It does not if the named logs of a shard differ.
    pub fn dominates(&self, other: &Snapshot) -> bool {
        let with_ranges = self.has_ranges_with(other);
        pairs(self, other).all(|pair| match pair {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) if !self.keys[a].log.may_be(other.keys[b].log) => false,
            (Some(a), Some(b)) if with_ranges => self.set_at(a).is_superset(&other.set_at(b)),
            (Some(a), Some(b)) => self.marks[a] >= other.marks[b],
        })
    }

    fn combine(
        &self,
        other: &Snapshot,
        both: impl Fn(&AppliedSet, &AppliedSet) -> AppliedSet,
        choose: impl Fn(Option<(Key, SeqNo)>, Option<(Key, SeqNo)>) -> Option<(Key, SeqNo)>,
    ) -> Snapshot {
        let with_ranges = self.has_ranges_with(other);
        let (mut keys, mut marks, mut above) = (Vec::new(), Vec::new(), Above::new());
        for pair in pairs(self, other) {
            let ours = pair.0.map(|a| (self.keys[a], self.marks[a]));
            let theirs = pair.1.map(|b| (other.keys[b], other.marks[b]));
            let Some((key, mut mark)) = choose(ours, theirs) else { continue };
            if with_ranges {
                let set = match pair {
                    (Some(a), Some(b)) if self.keys[a].log.may_be(other.keys[b].log) => {
                        both(&self.set_at(a), &other.set_at(b))
                    }
                    (Some(a), Some(_)) if self.keys[a] == key && self.marks[a] == mark => {
                        self.set_at(a)
                    }
                    (Some(_), Some(b)) => other.set_at(b),
                    (Some(a), None) => self.set_at(a),
                    (None, b) => b.map(|b| other.set_at(b)).unwrap_or_default(),
                };
                mark = set.mark();
                if set.range_count() > 0 {
                    above.insert(key.shard, set.into_ranges_above());
                }
            }
            keys.push(key);
            marks.push(mark);
        }
        let next = self.next_incarnation.max(other.next_incarnation);
        Snapshot::of(keys.into(), marks, above, next)
    }

    fn has_ranges_with(&self, other: &Snapshot) -> bool {
        !(self.above.is_empty() && other.above.is_empty())
    }
}

/// The order in which `max` and `min` choose, so that it does not matter which comes first.
fn order((key, mark): &(Key, SeqNo)) -> (SeqNo, Incarnation, LogId) {
    (*mark, key.incarnation, key.log)
}

/// Where a shard is in each of two snapshots.
type Pair = (Option<usize>, Option<usize>);

/// Every shard that either holds, ascending.
fn pairs(a: &Snapshot, b: &Snapshot) -> impl Iterator<Item = Pair> {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        let order = match (a.keys.get(i), b.keys.get(j)) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.shard.cmp(&right.shard),
        };
        let pair = (order.is_le().then_some(i), order.is_ge().then_some(j));
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
        Some(pair)
    })
}
