//! Shards in ascending order, for what looks at all of them: leaves of shards, in branches. A change
//! makes the leaf that it touches anew. It changes the lists above it in place, unless a snapshot
//! that is being made shares them; then it copies those.

mod leaf;

use std::sync::{Arc, OnceLock};

use crate::cell::Cell;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::keys::Keys;
use crate::slabs::{Place, Slabs};

use self::leaf::{Cells, LEAF, Leaf};

/// The largest number of leaves in a branch.
const BRANCH: usize = 64;

/// Leaves, each with its first shard.
#[derive(Clone, Default)]
struct Branch {
    leaves: Vec<(ShardId, Arc<Leaf>)>,
}

/// All shards and their cells.
#[derive(Clone)]
pub(crate) struct Order {
    slabs: Slabs,
    /// Branches, none empty, each with a shard that is not above its first; the first branch may
    /// begin lower.
    branches: Vec<(ShardId, Arc<Branch>)>,
    next_incarnation: Incarnation,
    /// Made for the first snapshot.
    keys: OnceLock<Arc<Keys>>,
}

/// A change of one shard: where its cell is from now on, or that it is gone.
pub(crate) type Change = (ShardId, Option<(Key, Place)>);

impl Order {
    /// Restored shards: all of `keys`, in full runs, and the places of their cells.
    pub(crate) fn restore(
        keys: Arc<Keys>,
        mut places: &[Place],
        slabs: Slabs,
        next_incarnation: Incarnation,
    ) -> Self {
        let leaf = |run: &Arc<[Key]>| {
            let (here, later) = places.split_at(run.len());
            places = later;
            let leaf = Leaf { keys: Arc::clone(run), cells: Cells::of(here) };
            (leaf.first(), Arc::new(leaf))
        };
        let leaves: Vec<_> = keys.runs().map(leaf).collect();
        let branches = branches_of(&leaves);
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
        let leaves = &self.branches[at].1.leaves;
        let before = at.checked_sub(1).map(|before| self.branches[before].1.leaves.len());
        if leaves.len() > BRANCH {
            let branches = branches_of(leaves);
            self.branches.splice(at..=at, branches);
        } else if before.is_some_and(|before| before + leaves.len() <= BRANCH / 2) {
            let (_, joined) = self.branches.remove(at);
            let before = Arc::make_mut(&mut self.branches[at - 1].1);
            before.leaves.extend_from_slice(&joined.leaves);
        } else if leaves.is_empty() {
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
            Arc::new(Keys::of_runs(self.leaves().map(|leaf| Arc::clone(&leaf.keys))))
        })
    }

    fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.branches.iter().flat_map(|(_, branch)| &branch.leaves).map(|(_, leaf)| &**leaf)
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
            match self.side_by_side(leaf) {
                Some(cells) => marks.extend(cells.iter().map(&mut read)),
                None => marks.extend(self.cells_of(leaf).map(read)),
            }
        }
        (marks, above)
    }

    /// The cells of a leaf, if they are side by side.
    fn side_by_side(&self, leaf: &Leaf) -> Option<&[Cell]> {
        let Cells::Run(first) = leaf.cells else { return None };
        self.slabs.slab(first.slab())?.get(first.index()..first.index() + leaf.keys.len())
    }

    fn cells_of(&self, leaf: &Leaf) -> impl Iterator<Item = &Cell> {
        leaf.places().filter_map(|place| self.slabs.cell(place))
    }
}

/// The last part that begins at or before the first change, or the first part; and how many changes
/// are in it. Parts ascend.
fn first_of<T>(parts: &[(ShardId, T)], changes: &[Change]) -> (usize, usize) {
    let first = changes.first().map_or(ShardId(0), |(shard, _)| *shard);
    let next = parts.partition_point(|(begins, _)| *begins <= first).max(1);
    let end = match parts.get(next) {
        Some((begins, _)) => changes.partition_point(|(shard, _)| shard < begins),
        None => changes.len(),
    };
    (next - 1, end)
}

/// Branches of these leaves, of about the same length.
fn branches_of(leaves: &[(ShardId, Arc<Leaf>)]) -> Vec<(ShardId, Arc<Branch>)> {
    let count = leaves.len().div_ceil(BRANCH).max(1);
    let branch = |leaves: &[(ShardId, Arc<Leaf>)]| {
        Some((leaves.first()?.0, Arc::new(Branch { leaves: leaves.to_vec() })))
    };
    leaves.chunks(leaves.len().div_ceil(count).max(1)).filter_map(branch).collect()
}

impl Branch {
    fn change(&mut self, changes: &[Change]) {
        let mut rest = changes;
        while let [(shard, _), ..] = rest {
            if self.leaves.is_empty() {
                self.leaves.push((*shard, Arc::default()));
            }
            let (at, end) = first_of(&self.leaves, rest);
            let (here, later) = rest.split_at(end);
            rest = later;
            match &self.leaves[at].1.with(here)[..] {
                [only] => self.replace_by_one(at, only),
                leaves => {
                    let leaves = leaves.iter().map(|leaf| (leaf.first(), Arc::clone(leaf)));
                    self.leaves.splice(at..=at, leaves);
                }
            }
        }
    }

    /// Replaces a leaf. A small one is joined with the one before it.
    fn replace_by_one(&mut self, at: usize, leaf: &Arc<Leaf>) {
        let before = at.checked_sub(1).map(|before| &self.leaves[before].1);
        match before.filter(|before| before.keys.len() + leaf.keys.len() <= LEAF / 2) {
            Some(before) => {
                self.leaves[at - 1].1 = Arc::new(before.joined(leaf));
                self.leaves.remove(at);
            }
            None => self.leaves[at] = (leaf.first(), Arc::clone(leaf)),
        }
    }
}
