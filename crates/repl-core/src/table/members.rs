//! What the lock of a table guards: the index and the slabs as they are changed, and which cells of
//! the slabs are in use.

#[cfg(all(test, not(loom_models)))]
mod tests;

use std::sync::Arc;

use crate::cell::Cell;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::index::Parts;
use crate::keys::{KeyRef, Keys};
use crate::order::{Change, Order};
use crate::root::Root;
use crate::shard::Shard;
use crate::slabs::{Place, SLAB, Slab, Slabs};

pub(super) struct Members {
    parts: Parts,
    slabs: Slabs,
    order: Arc<Order>,
    /// The number of cells in use, by slab.
    in_use: Vec<usize>,
    /// Numbers without a slab.
    free: Vec<usize>,
    /// The slab that has vacant cells, and how many cells were begun there.
    open: Option<(usize, usize)>,
    /// Shards removed since leases were ended.
    removed: usize,
    /// Whether cells begin closed.
    closed: bool,
}

impl Members {
    /// The members of a table of restored shards: `keys`, in full runs, at these marks.
    pub(super) fn restore(keys: Arc<Keys>, marks: &[SeqNo], next_incarnation: Incarnation) -> Self {
        let order = Order::restore(Arc::default(), &[], Slabs::default(), next_incarnation);
        let mut members = Members {
            parts: Parts::of(std::iter::empty()),
            slabs: Slabs::default(),
            order: Arc::new(order),
            in_use: vec![0], // no slab is number 0, so that no place is
            free: Vec::new(),
            open: None,
            removed: 0,
            closed: false,
        };
        let (places, _) = members.begin(keys.iter().map(KeyRef::key).zip(marks.iter().copied()));
        let entry = |(key, place): (KeyRef<'_>, &Place)| (key.shard(), *place);
        members.parts = Parts::of(keys.iter().zip(&places).map(entry));
        let order = Order::restore(keys, &places, members.slabs(), next_incarnation);
        members.order = Arc::new(order);
        members
    }

    pub(super) fn root(&self) -> Root {
        Root { index: self.parts.index(), slabs: self.slabs() }
    }

    pub(super) fn slabs(&self) -> Slabs {
        self.slabs.clone()
    }

    pub(super) fn order(&self) -> Arc<Order> {
        Arc::clone(&self.order)
    }

    pub(super) fn next_incarnation(&self) -> Incarnation {
        self.order.next_incarnation()
    }

    /// Makes the changes in the order of all shards.
    pub(super) fn change_order(&mut self, changes: &[Change], next: Incarnation) {
        let slabs = self.slabs();
        Arc::make_mut(&mut self.order).change(changes, slabs, next);
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn place(&self, shard: ShardId) -> Option<Place> {
        self.parts.place(shard)
    }

    pub(super) fn has(&self, shard: ShardId) -> bool {
        self.place(shard).is_some()
    }

    pub(super) fn handle(&self, shard: ShardId) -> Option<Shard> {
        self.handle_at(self.place(shard)?)
    }

    pub(super) fn handle_at(&self, place: Place) -> Option<Shard> {
        Shard::at(&self.slabs, place)
    }

    /// Begins cells that nothing leads to yet. Returns their places, and whether the root must be
    /// published.
    pub(super) fn begin(
        &mut self,
        mut cells: impl ExactSizeIterator<Item = (Key, SeqNo)>,
    ) -> (Vec<Place>, bool) {
        let mut places = Vec::with_capacity(cells.len());
        let mut new = Vec::new();
        while cells.len() > 0 {
            let (number, begun, slab) = self.vacant(cells.len(), &mut new);
            let here = cells.len().min(slab.len() - begun);
            for (i, (key, mark)) in cells.by_ref().take(here).enumerate() {
                let cell = &slab[begun + i];
                cell.begin(key, mark);
                if self.closed {
                    cell.close().wake(); // nothing waits yet
                }
                places.push(Place::new(number, begun + i));
            }
            self.in_use[number] += here;
            let begun = begun + here;
            if begun < slab.len() {
                self.open = Some((number, begun));
            } else if self.open.is_some_and(|(open, _)| open == number) {
                self.open = None;
            }
        }
        let has_new = !new.is_empty();
        if has_new {
            self.slabs.set(new);
        }
        (places, has_new)
    }

    /// A slab with vacant cells, and how many were begun there: a new one for many cells, so that
    /// they are side by side.
    fn vacant(&mut self, wanted: usize, new: &mut Vec<(usize, Slab)>) -> (usize, usize, Slab) {
        let open = self.open.filter(|_| wanted < SLAB);
        if let Some((number, begun)) = open {
            if let Some(slab) = self.slabs.slab(number) {
                return (number, begun, Arc::clone(slab));
            }
        }
        // What is vacant is at most an eighth of the whole.
        let spare = (self.len() / 8).next_power_of_two();
        let cells = wanted.max(spare).min(SLAB);
        let slab: Slab = (0..cells).map(|_| Cell::vacant()).collect();
        let number = self.free.pop().unwrap_or(self.in_use.len());
        if number == self.in_use.len() {
            self.in_use.push(0);
        }
        new.push((number, Arc::clone(&slab)));
        (number, 0, slab)
    }

    /// Makes the changes in the index. Returns whether the root must be published.
    pub(super) fn index(
        &mut self,
        changes: impl Iterator<Item = (ShardId, Option<Place>)>,
    ) -> bool {
        let mut replaced = false;
        for (shard, place) in changes {
            replaced |= match place {
                Some(place) => self.parts.set(shard, place),
                None => self.parts.remove(shard),
            };
        }
        replaced
    }

    /// Gives up places that nothing leads to any more, and slabs without a cell in use. Returns
    /// whether the root must be published.
    pub(super) fn free(&mut self, places: &[Place]) -> bool {
        let mut empty = Vec::new();
        for place in places {
            let number = place.slab();
            self.in_use[number] -= 1;
            if self.in_use[number] == 0 && self.open.is_none_or(|(open, _)| open != number) {
                empty.push(number);
            }
        }
        self.free.extend_from_slice(&empty);
        if empty.is_empty() {
            return false;
        }
        self.slabs.set(empty.iter().map(|number| (*number, Slab::default())));
        let slabs = self.slabs();
        Arc::make_mut(&mut self.order).set_slabs(slabs);
        true
    }

    /// Counts removed shards. Returns whether they are many compared with those that are left.
    pub(super) fn has_shrunk(&mut self, removed: usize) -> bool {
        self.removed += removed;
        let many = self.removed * 8 > self.len();
        if many {
            self.removed = 0;
        }
        many
    }
}
