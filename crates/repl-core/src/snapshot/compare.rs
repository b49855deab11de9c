//! Two snapshots, shard by shard.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Snapshot;
use crate::applied_set::AppliedSet;
use crate::ids::{Incarnation, Key, LogId, SeqNo, ShardId};
use crate::keys::KeysBuilder;
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
            let (i, key) = in_front?;
            let at = behind.map_or(0, |(b, _)| self.marks[b]);
            Some((key.shard, ahead.marks[i].saturating_sub(at)))
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
            let (now, key) = now?;
            let is_same = |(_, before): &(usize, Key)| before.incarnation == key.incarnation;
            Some((self.marks[now], before.filter(is_same).map_or(0, |(b, _)| earlier.marks[b])))
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
            (Some((_, a)), Some((_, b))) if !a.log.may_be(b.log) => false,
            (Some((i, key)), Some((j, _))) if with_ranges => {
                self.set_at(key.shard, i).is_superset(&other.set_at(key.shard, j))
            }
            (Some((i, _)), Some((j, _))) => self.marks[i] >= other.marks[j],
        })
    }

    fn combine(
        &self,
        other: &Snapshot,
        both: impl Fn(&AppliedSet, &AppliedSet) -> AppliedSet,
        choose: impl Fn(Option<(Key, SeqNo)>, Option<(Key, SeqNo)>) -> Option<(Key, SeqNo)>,
    ) -> Snapshot {
        let with_ranges = self.has_ranges_with(other);
        let (mut keys, mut marks, mut above) = (KeysBuilder::default(), Vec::new(), Above::new());
        for pair in pairs(self, other) {
            let ours = pair.0.map(|(i, key)| (key, self.marks[i]));
            let theirs = pair.1.map(|(i, key)| (key, other.marks[i]));
            let Some((key, mut mark)) = choose(ours, theirs) else { continue };
            if with_ranges {
                let (shard, at) = (key.shard, |found: Option<(usize, Key)>| found.map(|(i, _)| i));
                let set = match (at(pair.0), at(pair.1)) {
                    (Some(a), Some(b)) if has_one_log(pair) => {
                        both(&self.set_at(shard, a), &other.set_at(shard, b))
                    }
                    (Some(a), Some(_)) if ours == Some((key, mark)) => self.set_at(shard, a),
                    (Some(_), Some(b)) => other.set_at(shard, b),
                    (Some(a), None) => self.set_at(shard, a),
                    (None, b) => b.map(|b| other.set_at(shard, b)).unwrap_or_default(),
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
        Snapshot::of(Arc::new(keys.build()), marks, above, next)
    }

    fn has_ranges_with(&self, other: &Snapshot) -> bool {
        !(self.above.is_empty() && other.above.is_empty())
    }
}

/// The order in which `max` and `min` choose, so that it does not matter which comes first.
fn order((key, mark): &(Key, SeqNo)) -> (SeqNo, Incarnation, LogId) {
    (*mark, key.incarnation, key.log)
}

/// Where a shard is in each of two snapshots, and its key there.
type Pair = (Option<(usize, Key)>, Option<(usize, Key)>);

fn has_one_log(pair: Pair) -> bool {
    matches!(pair, (Some((_, a)), Some((_, b))) if a.log.may_be(b.log))
}

/// Every shard that either holds, ascending.
fn pairs(a: &Snapshot, b: &Snapshot) -> impl Iterator<Item = Pair> {
    let (mut a, mut b) =
        (a.keys.iter().enumerate().peekable(), b.keys.iter().enumerate().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, left)), Some((_, right))) => left.shard.cmp(&right.shard),
        };
        Some((a.next_if(|_| order.is_le()), b.next_if(|_| order.is_ge())))
    })
}
