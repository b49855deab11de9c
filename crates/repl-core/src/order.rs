//! Shards in ascending order, for what looks at all of them: leaves of shards, in branches.
//!
//! A change is made in place. What a snapshot shares is copied before: the runs of keys, which it
//! keeps, and while it is being made also the branches.

mod cells;
mod leaf;
#[cfg(all(test, not(loom_models)))]
mod tests;

use std::sync::{Arc, OnceLock};

use crate::cell::Cell;
use crate::epochs::Epochs;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::keys::{Keys, Run};
use crate::shard::Shard;
use crate::slabs::{Place, Slabs};

use self::cells::Cells;
use self::leaf::{LEAF, Leaf};

/// The largest number of leaves in a branch.
const BRANCH: usize = 64;

/// Leaves, none empty. Each begins at a shard that is above all before it and not above its first.
#[derive(Clone, Default)]
struct Branch {
    leaves: Vec<(ShardId, Leaf)>,
}

/// All shards and their cells.
#[derive(Clone)]
pub(crate) struct Order {
    slabs: Slabs,
    /// Branches, none empty. They begin as leaves do; the first one may have lower shards.
    branches: Vec<(ShardId, Arc<Branch>)>,
    next_incarnation: Incarnation,
    /// Made for the first snapshot.
    keys: OnceLock<Arc<Keys>>,
}

/// A change of one shard: what it has from now on and where its cell is, or that it is gone.
pub(crate) type Change = (ShardId, Option<(Key, Epochs, Place)>);

impl Order {
    /// Restored shards: all of `keys`, in full runs, and the places of their cells.
    pub(crate) fn restore(
        keys: Arc<Keys>,
        mut places: &[Place],
        slabs: Slabs,
        next_incarnation: Incarnation,
    ) -> Self {
        let leaf = |run: &Arc<Run>| {
            let (here, later) = places.split_at(run.len());
            places = later;
            let leaf = Leaf::of(Arc::clone(run), here.to_vec());
            (leaf.first(), leaf)
        };
        let branches = branches_of(keys.runs().map(leaf).collect());
        Order { slabs, branches, next_incarnation, keys: OnceLock::from(keys) }
    }

    /// Makes some changes, ascending by shard, of which no two are of one shard.
    pub(crate) fn change(
        &mut self,
        changes: &[Change],
        slabs: Slabs,
        next_incarnation: Incarnation,
    ) {
        self.slabs = slabs;
        self.next_incarnation = next_incarnation;
        self.keys.take();
        let mut rest = changes;
        while let [(shard, _), ..] = rest {
            if self.branches.is_empty() {
                self.branches.push((*shard, Arc::default()));
            }
            let (at, end) = first_of(&self.branches, rest);
            let (here, later) = rest.split_at(end);
            rest = later;
            Arc::make_mut(&mut self.branches[at].1).change(here);
            self.divide_or_join(at);
        }
    }

    /// After a change of a branch: divides one with many leaves, joins one with few with the one
    /// before it, removes one with none.
    fn divide_or_join(&mut self, at: usize) {
        let leaves = self.branches[at].1.leaves.len();
        let before = at.checked_sub(1).map(|before| self.branches[before].1.leaves.len());
        if leaves > BRANCH {
            let all = std::mem::take(&mut Arc::make_mut(&mut self.branches[at].1).leaves);
            self.branches.splice(at..=at, branches_of(all));
        } else if before.is_some_and(|before| before + leaves <= BRANCH / 2) {
            let (_, mut joined) = self.branches.remove(at);
            let before = Arc::make_mut(&mut self.branches[at - 1].1);
            before.leaves.append(&mut Arc::make_mut(&mut joined).leaves);
        } else if leaves == 0 {
            self.branches.remove(at);
        }
    }

    /// Replaces the slabs by others that have all cells too.
    pub(crate) fn set_slabs(&mut self, slabs: Slabs) {
        self.slabs = slabs;
    }

    pub(crate) fn next_incarnation(&self) -> Incarnation {
        self.next_incarnation
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        self.keys.get_or_init(|| {
            Arc::new(Keys::of_runs(self.leaves().map(|leaf| Arc::clone(leaf.run()))))
        })
    }

    /// Where the cell of a shard is, and the epochs of the shard. O(log shards).
    pub(crate) fn find(&self, shard: ShardId) -> Option<(Place, Epochs)> {
        let branch = part_of(&self.branches, shard)?;
        part_of(&branch.leaves, shard)?.find(shard)
    }

    /// A handle on the cell at a place.
    pub(crate) fn handle(&self, place: Place) -> Option<Shard> {
        Shard::at(&self.slabs, place)
    }

    fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.branches.iter().flat_map(|(_, branch)| &branch.leaves).map(|(_, leaf)| leaf)
    }

    /// Every cell, ascending by shard.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.leaves().flat_map(|leaf| self.cells_of(leaf))
    }

    /// Every mark, ascending by shard; and the cells that may have something completed above theirs,
    /// with their places among the marks.
    pub(crate) fn marks(&self) -> (Vec<SeqNo>, Vec<(usize, &Cell)>) {
        let mut marks = Vec::with_capacity(self.keys().len());
        let mut above = Vec::new();
        for leaf in self.leaves() {
            let mut place = marks.len();
            let mut read = |cell| {
                // The flag first: see `Cell::applied_set`.
                if Cell::has_above(cell) {
                    above.push((place, cell));
                }
                place += 1;
                cell.applied()
            };
            // Most often no flag is set, and a jump for each costs more than another look at a leaf.
            let (begin, mut any) = (marks.len(), false);
            let applied = |cell: &Cell| {
                any |= cell.has_above();
                cell.applied()
            };
            match self.side_by_side(leaf) {
                Some(cells) => marks.extend(cells.iter().map(applied)),
                None => marks.extend(self.cells_of(leaf).map(applied)),
            }
            if any {
                marks.truncate(begin);
                marks.extend(self.cells_of(leaf).map(&mut read));
            }
        }
        (marks, above)
    }

    /// The cells of a leaf, if they are side by side.
    fn side_by_side(&self, leaf: &Leaf) -> Option<&[Cell]> {
        let Cells::Row(first, len) = leaf.cells() else { return None };
        self.slabs.slab(first.slab())?.get(first.index()..first.index() + len)
    }

    fn cells_of(&self, leaf: &Leaf) -> impl Iterator<Item = &Cell> {
        leaf.cells().places().filter_map(|place| self.slabs.cell(place))
    }
}

/// The last part that begins at or before a shard, or the first part. Parts ascend.
fn part_of<T>(parts: &[(ShardId, T)], shard: ShardId) -> Option<&T> {
    let next = parts.partition_point(|(begins, _)| *begins <= shard).max(1);
    parts.get(next - 1).map(|(_, part)| part)
}

/// The last part that begins at or before the first change, or the first part; and how many changes
/// are in it. Parts ascend.
fn first_of<T>(parts: &[(ShardId, T)], changes: &[Change]) -> (usize, usize) {
    let first = changes.first().map_or(ShardId(0), |(shard, _)| *shard);
    let next = parts.partition_point(|(begins, _)| *begins <= first).max(1);
    let end = match parts.get(next) {
        Some((begins, _)) => changes.iter().take_while(|(shard, _)| shard < begins).count(),
        None => changes.len(),
    };
    (next - 1, end)
}

/// Branches of these leaves, of about the same length.
fn branches_of(mut leaves: Vec<(ShardId, Leaf)>) -> Vec<(ShardId, Arc<Branch>)> {
    let count = leaves.len().div_ceil(BRANCH).max(1);
    let size = leaves.len().div_ceil(count).max(1);
    let mut branches = Vec::with_capacity(count);
    for begin in (0..leaves.len()).step_by(size).rev() {
        let leaves = leaves.split_off(begin);
        branches.push((leaves[0].0, Arc::new(Branch { leaves })));
    }
    branches.reverse();
    branches
}

impl Branch {
    fn change(&mut self, changes: &[Change]) {
        let mut rest = changes;
        while let [(shard, _), ..] = rest {
            if self.leaves.is_empty() {
                self.leaves.push((*shard, Leaf::default()));
            }
            let (at, end) = first_of(&self.leaves, rest);
            let (here, later) = rest.split_at(end);
            rest = later;
            let (begins, leaf) = &mut self.leaves[at];
            *begins = (*begins).min(*shard);
            let more = leaf.change(here);
            if more.is_empty() {
                self.join(at);
            } else {
                let more = more.into_iter().map(|leaf| (leaf.first(), leaf));
                self.leaves.splice(at + 1..=at, more);
            }
        }
    }

    /// Joins a small leaf with the one before it, and removes one without shards.
    fn join(&mut self, at: usize) {
        let len = self.leaves[at].1.len();
        let before = at.checked_sub(1).map(|before| self.leaves[before].1.len());
        if len == 0 {
            self.leaves.remove(at);
        } else if before.is_some_and(|before| before + len <= LEAF / 2) {
            let (_, leaf) = self.leaves.remove(at);
            self.leaves[at - 1].1.append(&leaf);
        }
    }
}
