//! A leaf of the order: some shards, ascending, and where their cells are.

use std::ops::Range;
use std::sync::Arc;

use super::Change;
use crate::ids::{Key, ShardId};
use crate::keys::RUN;
use crate::slabs::{Place, SLAB};

/// The largest number of shards in a leaf.
pub(super) const LEAF: usize = RUN;

/// Some shards, ascending.
#[derive(Default)]
pub(super) struct Leaf {
    /// Shared with every snapshot.
    pub(super) keys: Arc<[Key]>,
    pub(super) cells: Cells,
}

/// Where the cells of a leaf are, in the order of its keys.
pub(super) enum Cells {
    /// Side by side, beginning here.
    Run(Place),
    Each(Box<[Place]>),
}

impl Default for Cells {
    fn default() -> Self {
        Cells::Each(Box::default())
    }
}

impl Cells {
    pub(super) fn of(places: &[Place]) -> Self {
        match places.first() {
            Some(first) if first.index() + places.len() <= SLAB => {
                let is_next = |(i, place): (usize, &Place)| *place == first.plus(i);
                if places.iter().enumerate().all(is_next) {
                    return Cells::Run(*first);
                }
            }
            _ => {}
        }
        Cells::Each(places.into())
    }
}

impl Leaf {
    pub(super) fn of(keys: &[Key], places: &[Place]) -> Self {
        Leaf { keys: keys.into(), cells: Cells::of(places) }
    }

    /// The shards of this leaf, and behind them those of the next.
    pub(super) fn joined(&self, next: &Leaf) -> Self {
        let keys = [&*self.keys, &*next.keys].concat();
        let mut places = Vec::with_capacity(keys.len());
        for leaf in [self, next] {
            leaf.add_places(0..leaf.keys.len(), &mut places);
        }
        Leaf::of(&keys, &places)
    }

    /// The first shard. Only an empty leaf has none.
    pub(super) fn first(&self) -> ShardId {
        self.keys.first().map_or(ShardId(0), |key| key.shard)
    }

    fn place(&self, i: usize) -> Place {
        match &self.cells {
            Cells::Run(first) => first.plus(i),
            Cells::Each(places) => places[i],
        }
    }

    fn add_places(&self, range: Range<usize>, places: &mut Vec<Place>) {
        match &self.cells {
            Cells::Run(first) => places.extend(range.map(|i| first.plus(i))),
            Cells::Each(all) => places.extend_from_slice(&all[range]),
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.keys.len()).map(|i| self.place(i))
    }

    /// The leaves in place of this one after some changes: none if nothing is left.
    pub(super) fn with(&self, changes: &[Change]) -> Vec<Arc<Leaf>> {
        let mut keys = Vec::with_capacity(self.keys.len() + changes.len());
        let mut places = Vec::with_capacity(keys.capacity());
        let mut from = 0;
        for (shard, new) in changes {
            let rest = &self.keys[from..];
            let to = from + rest.partition_point(|key| key.shard < *shard);
            keys.extend_from_slice(&self.keys[from..to]);
            self.add_places(from..to, &mut places);
            let (key, place) = new.unzip();
            keys.extend(key);
            places.extend(place);
            from = to + usize::from(self.keys.get(to).is_some_and(|key| key.shard == *shard));
        }
        keys.extend_from_slice(&self.keys[from..]);
        self.add_places(from..self.keys.len(), &mut places);
        // Full leaves where many shards are added at once; halves where one is added to a full leaf.
        let count = keys.len().div_ceil(LEAF);
        let size = if count == 2 { keys.len().div_ceil(2) } else { LEAF };
        let parts = keys.chunks(size).zip(places.chunks(size));
        parts.map(|(keys, places)| Arc::new(Leaf::of(keys, places))).collect()
    }
}
