//! Two snapshots, shard by shard.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Snapshot;
use crate::applied_set::AppliedSet;
use crate::epochs::Epochs;
use crate::ids::{SeqNo, ShardId};
use crate::keys::{KeyRef, KeysBuilder, KeysIter};
use crate::table::Above;

impl Snapshot {
    /// Returns the union: every shard that either holds, with its larger mark and all ranges that
    /// either has completed.
    ///
    /// Shards are matched by id; marks of different incarnations are compared as numbers. Log,
    /// incarnation and epochs are those of the larger mark; of equal marks, those of the later
    /// incarnation. If the named logs of a shard differ, nothing is combined: the entry with the
    /// larger mark is taken whole.
    #[must_use]
    pub fn max(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::union, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some(std::cmp::max_by(a, b, order)),
            (one, other) => one.or(other),
        })
    }

    /// Returns the intersection: every shard that both hold, with its smaller mark and the ranges
    /// above it that both have completed. A shard whose named logs differ is left out.
    ///
    /// Log, incarnation and epochs are those of the smaller mark; of equal marks, those of the
    /// earlier incarnation.
    #[must_use]
    pub fn min(&self, other: &Snapshot) -> Snapshot {
        self.combine(other, AppliedSet::intersection, |a, b| {
            let (a, b) = (a?, b?);
            a.0.log().may_be(b.0.log()).then(|| std::cmp::min_by(a, b, order))
        })
    }

    /// Returns how many seqnos each shard of `ahead` is in front of this snapshot; 0 where it is
    /// not. A shard that this snapshot does not hold lags by the whole of its mark. Marks are compared
    /// as numbers, whatever their logs and incarnations.
    pub fn lag(&self, ahead: &Snapshot) -> impl Iterator<Item = (ShardId, u64)> {
        pairs(self, ahead).filter_map(|(behind, in_front)| {
            let key = in_front?;
            let at = behind.map_or(0, |behind| self.marks[behind.place()]);
            Some((key.shard(), ahead.marks[key.place()].saturating_sub(at)))
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
            let before = before.filter(|before| before.incarnation() == now.incarnation());
            let from = before.map_or(0, |before| earlier.marks[before.place()]);
            Some((self.marks[now.place()], from))
        });
        both.fold(0, sum)
    }

    /// Returns whether this snapshot holds every shard of `other`, at its mark or above, with all
    /// ranges that it has completed. It does not if the named logs of a shard differ.
    pub fn dominates(&self, other: &Snapshot) -> bool {
        let with_ranges = self.has_ranges_with(other);
        stretches(self, other).all(|((ours, theirs), len)| {
            let Some(theirs) = theirs else { return true };
            let Some(ours) = ours else { return false };
            let (marks, other_marks) =
                (&self.marks[ours.place()..], &other.marks[theirs.place()..]);
            let mut keys = (0..len).map(|i| (ours.plus(i), theirs.plus(i)));
            marks.iter().zip(other_marks).take(len).all(|(mark, theirs)| mark >= theirs)
                && keys.clone().all(|(a, b)| a.log().may_be(b.log()))
                && (!with_ranges || keys.all(|(a, b)| self.set_of(a).is_superset(&other.set_of(b))))
        })
    }

    fn combine(
        &self,
        other: &Snapshot,
        both: fn(&AppliedSet, &AppliedSet) -> AppliedSet,
        choose: for<'a> fn(Option<At<'a>>, Option<At<'a>>) -> Option<At<'a>>,
    ) -> Snapshot {
        let with_ranges = self.has_ranges_with(other);
        let (mut keys, mut marks, mut above) = (KeysBuilder::default(), Vec::new(), Above::new());
        for ((a, b), len) in stretches(self, other) {
            for i in 0..len {
                let ours = a.map(|key| (key.plus(i), self.marks[key.place() + i]));
                let theirs = b.map(|key| (key.plus(i), other.marks[key.place() + i]));
                let Some((key, mut mark)) = choose(ours, theirs) else { continue };
                if with_ranges {
                    let is_chosen = |at: &At<'_>| order(at, &(key, mark)).is_eq();
                    let set = match (ours, theirs) {
                        (Some((a, _)), Some((b, _))) if a.log().may_be(b.log()) => {
                            both(&self.set_of(a), &other.set_of(b))
                        }
                        (Some(ours), theirs) if theirs.is_none() || is_chosen(&ours) => {
                            self.set_of(ours.0)
                        }
                        (_, theirs) => theirs.map(|(b, _)| other.set_of(b)).unwrap_or_default(),
                    };
                    mark = set.mark();
                    if set.range_count() > 0 {
                        above.insert(key.shard(), set.into_ranges_above());
                    }
                }
                let (key, epochs) = key.with_epochs();
                keys.push(key, epochs);
                marks.push(mark);
            }
        }
        let next = self.next_incarnation.max(other.next_incarnation);
        Snapshot::of(Arc::new(keys.build()), marks, above, next)
    }

    fn has_ranges_with(&self, other: &Snapshot) -> bool {
        !(self.above.is_empty() && other.above.is_empty())
    }
}

/// The order in which `max` and `min` choose, so that it does not matter which comes first.
fn order((a, at): &At<'_>, (b, other_at): &At<'_>) -> Ordering {
    at.cmp(other_at)
        .then_with(|| a.incarnation().cmp(&b.incarnation()))
        .then_with(|| a.log().cmp(&b.log()))
        .then_with(|| a.epochs().map(Epochs::as_slice).cmp(&b.epochs().map(Epochs::as_slice)))
}

/// A key and its mark.
type At<'a> = (KeyRef<'a>, SeqNo);

/// The keys of a shard in each of two snapshots.
type Pair<'a, 'b> = (Option<KeyRef<'a>>, Option<KeyRef<'b>>);

fn stretches<'a, 'b>(a: &'a Snapshot, b: &'b Snapshot) -> Stretches<'a, 'b> {
    Stretches { a: a.keys.iter(), b: b.keys.iter() }
}

/// Every shard that either holds, ascending.
fn pairs<'a, 'b>(a: &'a Snapshot, b: &'b Snapshot) -> impl Iterator<Item = Pair<'a, 'b>> {
    stretches(a, b).flat_map(|((a, b), len)| {
        (0..len).map(move |i| (a.map(|key| key.plus(i)), b.map(|key| key.plus(i))))
    })
}

/// Stretches of shards that one of two snapshots or both hold: the first pair of each, and how many
/// they are.
struct Stretches<'a, 'b> {
    a: KeysIter<'a>,
    b: KeysIter<'b>,
}

impl<'a, 'b> Iterator for Stretches<'a, 'b> {
    type Item = (Pair<'a, 'b>, usize);

    fn next(&mut self) -> Option<(Pair<'a, 'b>, usize)> {
        let below = |shards: &[ShardId], end: ShardId| {
            shards.iter().take_while(|shard| **shard < end).count()
        };
        let (left, right) = (self.a.rest_of_run(), self.b.rest_of_run());
        let (in_a, in_b) = match (left.first(), right.first()) {
            (None, None) => return None,
            (Some(_), None) => (left.len(), 0),
            (None, Some(_)) => (0, right.len()),
            (Some(first), Some(end)) if first < end => (below(left, *end), 0),
            (Some(end), Some(first)) if first < end => (0, below(right, *end)),
            _ => {
                let both = left.iter().zip(right).take_while(|(left, right)| left == right).count();
                (both, both)
            }
        };
        Some(((self.a.pass(in_a), self.b.pass(in_b)), in_a.max(in_b)))
    }
}
