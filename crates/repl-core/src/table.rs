//! The cells of one state: by id, in ascending order, and how they come and go.
//!
//! A change is made under one lock and does not wait for look-ups. What it does, in this order:
//! 1. takes the order back, so that a snapshot which begins from then on waits for the change, and
//!    changes it in place: nothing but a snapshot that is being made shares it;
//! 2. begins the new cells, in slabs that readers can find;
//! 3. changes the index, which look-ups read;
//! 4. retires the cells that have ended.
//!
//! So a thread that learns from an ended cell that its shard was reset finds the new one.

mod members;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cell::Cell;
use crate::epochs::Epochs;
use crate::ids::{Incarnation, Key, SeqNo, ShardId};
use crate::keys::Keys;
use crate::new_shard::NewShard;
use crate::order::{Change, Order};
use crate::published::Published;
use crate::range_set::RangeSet;
use crate::shard::Shard;
use crate::slabs::Place;
use crate::sync::{Mutex, Swap, locked};
use crate::wakers::Woken;

use self::members::Members;

/// What is completed above the marks of many shards: only shards with any.
pub(crate) type Above = BTreeMap<ShardId, RangeSet>;

pub(crate) struct Table {
    published: Published,
    /// `None` from a change to the next snapshot.
    order: Swap<Option<Arc<Order>>>,
    members: Mutex<Members>,
}

/// Where each changed shard is from now on.
fn places_of(changes: &[Change]) -> impl Iterator<Item = (ShardId, Option<Place>)> {
    changes.iter().map(|(shard, change)| (*shard, change.as_ref().map(|(_, _, place)| *place)))
}

impl Table {
    /// A table of restored cells. It shares the keys.
    pub(crate) fn restore(
        keys: &Arc<Keys>,
        marks: &[SeqNo],
        next_incarnation: Incarnation,
    ) -> Self {
        let members = Members::restore(keys.in_full_runs(), marks, next_incarnation);
        Table {
            published: Published::new(members.root()),
            order: Swap::new(Arc::new(None)),
            members: Mutex::new(members),
        }
    }

    /// Runs `f` on the cell of a shard.
    #[inline]
    pub(crate) fn with<R>(&self, shard: ShardId, f: impl Fn(&Cell) -> R + Copy) -> Option<R> {
        self.published.find(move |root| root.find(shard, f))
    }

    pub(crate) fn handle(&self, shard: ShardId) -> Option<Shard> {
        self.published.find(move |root| root.handle(shard))
    }

    /// A handle on a shard, and the epochs of the same incarnation. Waits for a change that is being
    /// made.
    pub(crate) fn handle_and_epochs(&self, shard: ShardId) -> Option<(Shard, Epochs)> {
        let order = self.order();
        let (place, epochs) = order.find(shard)?;
        Some((order.handle(place)?, epochs))
    }

    /// All shards, as they are now. Waits for a change that is being made.
    pub(crate) fn order(&self) -> Arc<Order> {
        if let Some(order) = &*self.order.get() {
            return Arc::clone(order);
        }
        locked(&self.members, |members| {
            let order = members.order();
            self.order.replace(Arc::new(Some(Arc::clone(&order))));
            order
        })
    }

    /// The number of shards.
    pub(crate) fn len(&self) -> usize {
        locked(&self.members, |members| members.len())
    }

    /// Adds shards; or returns the id that is tracked already or is given twice. They share the next
    /// incarnation number, as no two have one id.
    pub(crate) fn add(&self, new: &[NewShard]) -> Result<(), ShardId> {
        let mut new = new.to_vec();
        new.sort_by_key(|n| n.shard);
        let doubled = new.windows(2).find(|w| w[0].shard == w[1].shard).map(|w| w[0].shard);
        locked(&self.members, |members| {
            let tracked = || new.iter().map(|n| n.shard).find(|shard| members.has(*shard));
            if let Some(shard) = doubled.or_else(tracked) {
                return Err(shard);
            }
            self.put(members, &new);
            Ok(())
        })
    }

    /// Adds one shard.
    pub(crate) fn add_one(&self, new: NewShard) -> Result<Shard, ShardId> {
        let shard = new.shard;
        locked(&self.members, |members| {
            if members.has(shard) {
                return Err(shard);
            }
            self.put(members, &[new]);
            members.handle(shard).ok_or(shard)
        })
    }

    /// Ends the cell of a shard, which has another from then on; unless `new` refuses, which gets a
    /// handle on the ended one and its epochs. `None` if the shard is not here.
    pub(crate) fn reset<E>(
        &self,
        shard: ShardId,
        new: impl FnOnce(&Shard, Epochs) -> Result<NewShard, E>,
    ) -> Option<Result<(Shard, Woken), E>> {
        locked(&self.members, |members| {
            let (place, epochs) = members.order().find(shard)?;
            let ended = members.handle_at(place)?;
            match new(&ended, epochs) {
                Ok(new) => self.put(members, &[new]),
                Err(refused) => return Some(Err(refused)),
            }
            self.free(members, &[place]);
            Some(Ok((members.handle(shard)?, ended.cell().retire()))) // 4
        })
    }

    /// Removes shards. Returns those that were tracked, ascending, and what to wake.
    pub(crate) fn remove(&self, shards: &[ShardId]) -> (Vec<Shard>, Vec<Woken>) {
        let mut shards = shards.to_vec();
        shards.sort_unstable();
        shards.dedup();
        locked(&self.members, |members| {
            let found = |shard: &ShardId| {
                let place = members.place(*shard)?;
                Some((members.handle_at(place)?, place))
            };
            let (ended, places): (Vec<_>, Vec<_>) = shards.iter().filter_map(found).unzip();
            if ended.is_empty() {
                return Default::default();
            }
            let changes: Vec<Change> = ended.iter().map(|shard| (shard.id(), None)).collect();
            self.take_order(); // 1
            members.change_order(&changes, members.next_incarnation());
            if members.index(places_of(&changes)) {
                self.publish(members); // 3
            }
            self.free(members, &places);
            if members.has_shrunk(ended.len()) {
                self.published.end_leases();
            }
            let woken = ended.iter().map(|shard| shard.cell().retire()).collect(); // 4
            (ended, woken)
        })
    }

    /// Closes all cells, and those that are added later.
    pub(crate) fn close(&self) -> Vec<Woken> {
        locked(&self.members, |members| {
            members.close();
            members.order().cells().map(Cell::close).collect()
        })
    }

    /// Begins the cells of new shards, or new cells of shards that have one. `new` ascends.
    fn put(&self, members: &mut Members, new: &[NewShard]) {
        let incarnation = members.next_incarnation();
        let key = |n: &NewShard| (Key { shard: n.shard, incarnation, log: n.log }, n.mark);
        let cells: Vec<(Key, SeqNo)> = new.iter().map(key).collect();
        self.take_order(); // 1
        let (places, has_new_slab) = members.begin(cells.iter().copied());
        let begun = cells.iter().zip(new).zip(places);
        let change = |(((key, _), new), place): ((&(Key, SeqNo), &NewShard), Place)| {
            (key.shard, Some((*key, new.epochs.clone(), place)))
        };
        let changes: Vec<Change> = begun.map(change).collect();
        if has_new_slab {
            self.publish(members); // 2
        }
        // 2^64 additions do not happen; a number that is never used twice must not wrap either.
        members.change_order(&changes, incarnation.next());
        if members.index(places_of(&changes)) {
            self.publish(members); // 3
        }
    }

    /// Lets no snapshot begin with the present order.
    fn take_order(&self) {
        if self.order.get().is_some() {
            self.order.replace(Arc::new(None));
        }
    }

    /// Gives up places that nothing leads to any more.
    fn free(&self, members: &mut Members, places: &[Place]) {
        if members.free(places) {
            self.publish(members);
        }
    }

    fn publish(&self, members: &Members) {
        self.published.replace(members.root());
    }
}
