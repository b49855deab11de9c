//! What changed from one snapshot to another.

#[cfg(all(test, not(loom_models)))]
mod tests;

use std::cmp::Ordering;
use std::collections::btree_map;
use std::iter::Peekable;
use std::sync::Arc;

use super::Snapshot;
use crate::ids::{SeqNo, ShardId};
use crate::keys::{KeyRef, Keys, Run};

/// A shard that differs between two snapshots: see [`Snapshot::changes_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotChange {
    /// Only the newer snapshot holds the shard.
    Added {
        /// The shard.
        shard: ShardId,
        /// Its mark.
        mark: SeqNo,
    },
    /// Both hold the shard, in different incarnations: it was reset, or removed and added again.
    Reset {
        /// The shard.
        shard: ShardId,
        /// The mark of its new incarnation.
        mark: SeqNo,
    },
    /// Both hold the shard, in one incarnation. Its mark, the ranges above it, its log or its epochs
    /// differ.
    Changed {
        /// The shard.
        shard: ShardId,
        /// Its mark in the older snapshot.
        from: SeqNo,
        /// Its mark in the newer one, which is the same where only something else differs.
        to: SeqNo,
    },
    /// Only the older snapshot holds the shard.
    Removed {
        /// The shard.
        shard: ShardId,
    },
}

impl SnapshotChange {
    /// Returns the shard.
    pub fn shard(&self) -> ShardId {
        match *self {
            SnapshotChange::Added { shard, .. }
            | SnapshotChange::Reset { shard, .. }
            | SnapshotChange::Changed { shard, .. }
            | SnapshotChange::Removed { shard } => shard,
        }
    }
}

impl Snapshot {
    /// Returns every shard that differs from an older snapshot in anything, ascending.
    ///
    /// One pass over both, at the speed at which memory is compared where they are of the same state
    /// and few shards differ. The shards that were added or removed between the two cost some
    /// nanoseconds for each shard near them; where the snapshots are of different states, so do all.
    ///
    /// ```
    /// use repl_core::{NewShard, ReplicationState, ShardId, SnapshotChange};
    ///
    /// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    /// let before = state.snapshot();
    /// state.advance(ShardId(2), 7);
    /// state.add_shard(NewShard::new(ShardId(3)))?;
    /// let now = state.snapshot();
    /// let changes: Vec<_> = now.changes_since(&before).collect();
    /// let moved = SnapshotChange::Changed { shard: ShardId(2), from: 0, to: 7 };
    /// assert_eq!(changes, [moved, SnapshotChange::Added { shard: ShardId(3), mark: 0 }]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes_since<'a>(&'a self, older: &'a Snapshot) -> SnapshotChanges<'a> {
        SnapshotChanges {
            now: Side::of(self),
            old: Side::of(older),
            shared: 0,
            found: None,
            above: Sparse { now: self.above.iter().peekable(), old: older.above.iter().peekable() },
        }
    }
}

/// An iterator over the shards that differ between two snapshots, ascending: see
/// [`Snapshot::changes_since`].
#[derive(Debug, Clone)]
pub struct SnapshotChanges<'a> {
    now: Side<'a>,
    old: Side<'a>,
    /// The number of keys from here on that are the same on both sides.
    shared: usize,
    /// The next shard that differs in its key or mark, once it was looked for.
    found: Option<SnapshotChange>,
    above: Sparse<'a, crate::range_set::RangeSet>,
}

/// A key and its mark.
type At<'a> = (KeyRef<'a>, SeqNo);

/// The largest number of marks that are compared at a time: some runs.
const BLOCK: usize = 4096;

/// The number of marks among which one that differs is looked for.
const SMALL_BLOCK: usize = 64;

impl<'a> SnapshotChanges<'a> {
    /// The next shard that differs in its key or mark.
    fn next_in_keys(&mut self) -> Option<SnapshotChange> {
        loop {
            if self.shared == 0 {
                self.shared = self.shared_from_here();
            }
            if self.shared > 0 {
                let (now, old) = (self.now.marks(self.shared), self.old.marks(self.shared));
                self.skip(first_difference(now, old).unwrap_or(self.shared));
                if self.shared == 0 {
                    continue;
                }
            }
            let (now, old) = self.step()?;
            if let Some(change) = change(now, old) {
                return Some(change);
            }
        }
    }

    /// The number of keys, in whole runs, that both sides share from here on.
    fn shared_from_here(&self) -> usize {
        let mut shared = 0;
        if self.now.at == 0 && self.old.at == 0 {
            for ahead in 0.. {
                let runs = (self.now.run(ahead), self.old.run(ahead));
                let (Some((now, len)), Some((old, _))) = runs else { break };
                if !Arc::ptr_eq(now, old) || shared + len > BLOCK {
                    break;
                }
                shared += len;
            }
        }
        shared
    }

    /// Goes over some keys that are the same on both sides.
    fn skip(&mut self, keys: usize) {
        self.now.skip(keys);
        self.old.skip(keys);
        self.shared -= keys;
    }

    /// Goes over the lower of the next keys, or over both where they are of one shard. `None` if no
    /// key is left.
    fn step(&mut self) -> Option<(Option<At<'a>>, Option<At<'a>>)> {
        let (now, old) = (self.now.key(), self.old.key());
        let order = match (&now, &old) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((now, _)), Some((old, _))) => now.shard().cmp(&old.shard()),
        };
        let now = now.filter(|_| order.is_le());
        let old = old.filter(|_| order.is_ge());
        self.now.skip(usize::from(now.is_some()));
        self.old.skip(usize::from(old.is_some()));
        self.shared = self.shared.saturating_sub(1);
        Some((now, old))
    }
}

/// What differs in the key or mark of one shard.
fn change(now: Option<At<'_>>, old: Option<At<'_>>) -> Option<SnapshotChange> {
    match (now, old) {
        (Some((key, mark)), None) => Some(SnapshotChange::Added { shard: key.shard(), mark }),
        (None, Some((key, _))) => Some(SnapshotChange::Removed { shard: key.shard() }),
        (Some((key, mark)), Some((old, _))) if key.incarnation() != old.incarnation() => {
            Some(SnapshotChange::Reset { shard: key.shard(), mark })
        }
        (Some((key, to)), Some((old, from)))
            if to != from || key.log() != old.log() || key.epochs() != old.epochs() =>
        {
            Some(SnapshotChange::Changed { shard: key.shard(), from, to })
        }
        _ => None,
    }
}

impl Iterator for SnapshotChanges<'_> {
    type Item = SnapshotChange;

    fn next(&mut self) -> Option<SnapshotChange> {
        let found = self.found.take().or_else(|| self.next_in_keys());
        let shard = match (self.above.peek(), found) {
            (Some(shard), Some(found)) if shard < found.shard() => shard,
            (Some(shard), None) => shard,
            (Some(shard), Some(found)) if shard == found.shard() => {
                self.above.skip();
                return Some(found);
            }
            (_, found) => return found,
        };
        self.found = found;
        self.above.skip();
        // It differs in its ranges alone, so both hold it at one mark.
        let mark = self.now.snapshot.mark(shard)?;
        Some(SnapshotChange::Changed { shard, from: mark, to: mark })
    }
}

/// The place of the first two marks that differ.
fn first_difference(a: &[SeqNo], b: &[SeqNo]) -> Option<usize> {
    // Comparing slices takes a fraction of what a look at each mark does.
    let differs = |(a, b): (&[SeqNo], &[SeqNo])| a != b;
    let block = a.chunks(SMALL_BLOCK).zip(b.chunks(SMALL_BLOCK)).position(differs)? * SMALL_BLOCK;
    let in_block = a[block..].iter().zip(&b[block..]).position(|(a, b)| a != b)?;
    Some(block + in_block)
}

/// A snapshot, and a place in it.
#[derive(Debug, Clone)]
struct Side<'a> {
    snapshot: &'a Snapshot,
    /// The run of the place.
    run: usize,
    /// The place in that run.
    at: usize,
    /// The place among all.
    place: usize,
}

impl<'a> Side<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Side { snapshot, run: 0, at: 0, place: 0 }
    }

    fn keys(&self) -> &'a Keys {
        &self.snapshot.keys
    }

    /// The run that comes so many runs later, and its length.
    fn run(&self, ahead: usize) -> Option<(&'a Arc<Run>, usize)> {
        let run = self.run + ahead;
        Some((self.keys().run(run)?, self.keys().run_len(run)))
    }

    fn key(&self) -> Option<At<'a>> {
        Some((self.keys().key(self.run, self.at)?, self.snapshot.marks[self.place]))
    }

    /// The next marks.
    fn marks(&self, count: usize) -> &'a [SeqNo] {
        &self.snapshot.marks[self.place..self.place + count]
    }

    fn skip(&mut self, keys: usize) {
        self.place += keys;
        self.at += keys;
        while let Some((_, len)) = self.run(0).filter(|(_, len)| *len <= self.at) {
            self.at -= len;
            self.run += 1;
        }
    }
}

/// What differs between two maps that hold few shards.
#[derive(Debug, Clone)]
struct Sparse<'a, T> {
    now: Peekable<btree_map::Iter<'a, ShardId, T>>,
    old: Peekable<btree_map::Iter<'a, ShardId, T>>,
}

impl<T: PartialEq> Sparse<'_, T> {
    /// The next shard that differs, ascending.
    fn peek(&mut self) -> Option<ShardId> {
        loop {
            match (self.now.peek(), self.old.peek()) {
                (None, None) => return None,
                (Some(now), Some(old)) if now == old => self.skip(),
                (now, old) => {
                    return now.into_iter().chain(old).map(|(shard, _)| **shard).min();
                }
            }
        }
    }

    /// Goes over the next shard.
    fn skip(&mut self) {
        let next = self.now.peek().into_iter().chain(self.old.peek()).map(|(shard, _)| *shard);
        let Some(next) = next.min() else { return };
        self.now.next_if(|(shard, _)| *shard == next);
        self.old.next_if(|(shard, _)| *shard == next);
    }
}
