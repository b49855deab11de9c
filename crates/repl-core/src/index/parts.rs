//! The parts of an index as the thread that changes them sees them.

#[cfg(all(test, not(loom_models)))]
mod tests;

use std::sync::Arc;

use super::{EMPTY, Hash, Index, Layout, Slots, halves};
use crate::ids::ShardId;
use crate::slabs::Place;
use crate::sync::{AtomicU64, Ordering};

/// The largest number of slots in a part: to build one again takes some tens of microseconds, and so
/// does the new list of parts where they are many.
const PART: usize = 8192;
const SMALLEST: usize = 8;

struct Part {
    slots: Slots,
    /// The shard of each slot that has a place.
    ids: Box<[ShardId]>,
    /// The slots that are not empty.
    used: usize,
    /// The slots with a place.
    live: usize,
    /// The number of hash bits that all ids of this part have in common.
    common: u32,
}

/// All shards and their places.
pub(crate) struct Parts {
    all: Vec<Part>,
    /// Which part is where in the list of the [`Index`].
    list: Vec<u32>,
    shards: usize,
}

impl Parts {
    /// Parts of these shards, none of which is there twice.
    ///
    /// In the order of the shards, nearly each would be in another part than the one before. So
    /// they are sorted by part, and each part is made and filled while it is in the cache.
    pub(crate) fn of(entries: impl ExactSizeIterator<Item = (ShardId, Place)>) -> Self {
        let (count, slots, layout) = sizes(entries.len());
        let room = room_in(slots).min(entries.len());
        let mut by_part: Vec<_> = (0..count).map(|_| Vec::with_capacity(room)).collect();
        for (shard, place) in entries {
            by_part[Hash::of(shard).part() & (count - 1)].push((shard, place));
        }
        let list = (0..).take(count).collect();
        let mut parts = Parts { all: Vec::with_capacity(count), list, shards: 0 };
        let mut others = Vec::new();
        for mut here in by_part {
            let mut part = Part::new(slots, layout, count.trailing_zeros());
            if here.len() <= room && here.iter().all(|(_, place)| layout.holds(*place)) {
                for (shard, place) in &here {
                    part.add(*shard, *place);
                }
                parts.shards += here.len();
            } else {
                others.append(&mut here);
            }
            parts.all.push(part);
        }
        for (shard, place) in others {
            parts.set(shard, place);
        }
        parts
    }

    pub(crate) fn len(&self) -> usize {
        self.shards
    }

    /// The index of these parts. It sees later changes of them, until the list changes.
    pub(crate) fn index(&self) -> Index {
        let slots = |part: &u32| self.all[*part as usize].slots.clone();
        Index { parts: self.list.iter().map(slots).collect(), shards: self.shards }
    }

    pub(crate) fn place(&self, shard: ShardId) -> Option<Place> {
        let part = &self.all[self.part(shard)];
        part.find(shard).ok().map(|at| part.place(at))
    }

    /// Sets the place of a shard, which may be in it already. Returns whether the list has changed.
    pub(crate) fn set(&mut self, shard: ShardId, place: Place) -> bool {
        let number = self.part(shard);
        let too_high = !self.all[number].slots.layout.holds(place);
        if too_high {
            let layout = Layout::up_to(place.number() as usize);
            let part = &self.all[number];
            self.all[number] = Part::of(&part.entries(), layout, part.common);
        }
        let part = &mut self.all[number];
        self.shards += usize::from(part.set(shard, place));
        let crowded = part.is_crowded();
        if crowded {
            self.build_again(number);
        }
        crowded || too_high
    }

    /// Removes a shard. Returns whether the list has changed.
    pub(crate) fn remove(&mut self, shard: ShardId) -> bool {
        let number = self.part(shard);
        let part = &mut self.all[number];
        self.shards -= usize::from(part.remove(shard));
        let sparse = part.is_sparse();
        if sparse {
            self.build_again(number);
        }
        sparse
    }

    fn part(&self, shard: ShardId) -> usize {
        self.list[Hash::of(shard).part() & (self.list.len() - 1)] as usize
    }

    /// Replaces a part by one of the right size, or by two halves.
    fn build_again(&mut self, number: usize) {
        let old = &self.all[number];
        let live = old.entries();
        let (layout, common) = (old.slots.layout, old.common);
        // Where ids have many hash bits in common, a part gets larger instead of the list.
        let can_halve =
            1 << common < self.list.len() || self.list.len() * (PART / 16) <= self.shards;
        if slots_for(live.len()) <= PART || !can_halve {
            self.all[number] = Part::of(&live, layout, common);
            return;
        }
        if 1 << common == self.list.len() {
            self.list.extend_from_within(..);
        }
        let is_high = |hash_bits: usize| hash_bits >> common & 1 != 0;
        let (high, low): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(shard, _)| is_high(Hash::of(*shard).part()));
        self.all[number] = Part::of(&low, layout, common + 1);
        // Places are below 2^31, and there are fewer parts.
        let new = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(Part::of(&high, layout, common + 1));
        for (at, part) in self.list.iter_mut().enumerate() {
            if *part as usize == number && is_high(at) {
                *part = new;
            }
        }
    }
}

impl Part {
    fn new(slots: usize, layout: Layout, common: u32) -> Self {
        let pairs: Arc<[AtomicU64]> = (0..slots / 2).map(|_| AtomicU64::new(0)).collect();
        let ids = vec![ShardId(0); slots].into();
        let shift = u64::BITS - pairs.len().trailing_zeros();
        Part { slots: Slots { pairs, layout, shift }, ids, used: 0, live: 0, common }
    }

    /// A part of these shards, with room for more.
    fn of(entries: &[(ShardId, Place)], layout: Layout, common: u32) -> Self {
        let mut part = Part::new(slots_for(entries.len()), layout, common);
        for (shard, place) in entries {
            part.set(*shard, *place);
        }
        part
    }

    fn word(&self, at: usize) -> u32 {
        // Written by this thread, or before it got the lock.
        halves(self.slots.pairs[at / 2].load(Ordering::Relaxed))[at % 2]
    }

    fn set_word(&self, at: usize, word: u32) {
        let mut words = [at & !1, at | 1].map(|at| u64::from(self.word(at)));
        words[at % 2] = word.into();
        self.slots.pairs[at / 2].store(words[1] << 32 | words[0], Ordering::Release);
    }

    fn place(&self, at: usize) -> Place {
        self.slots.layout.place(self.word(at))
    }

    /// Returns whether the shard was added.
    fn set(&mut self, shard: ShardId, place: Place) -> bool {
        let found = self.find(shard);
        let at = found.unwrap_or_else(|free| free);
        if found.is_err() {
            self.used += usize::from(self.word(at) == EMPTY);
            self.live += 1;
            self.ids[at] = shard;
        }
        let word = self.slots.layout.word(place, Hash::of(shard));
        self.set_word(at, word);
        found.is_err()
    }

    /// Adds a shard that is not in it, to a part without removed ones.
    fn add(&mut self, shard: ShardId, place: Place) {
        let (hash, last) = (Hash::of(shard), self.ids.len() - 1);
        let mut at = (hash.start(self.slots.shift) * 2) & last;
        while self.word(at) != EMPTY {
            at = (at + 1) & last;
        }
        self.used += 1;
        self.live += 1;
        self.ids[at] = shard;
        self.set_word(at, self.slots.layout.word(place, hash));
    }

    /// Returns whether the shard was in it.
    fn remove(&mut self, shard: ShardId) -> bool {
        let Ok(at) = self.find(shard) else { return false };
        self.live -= 1;
        let (removed, last) = (self.slots.layout.removed(), self.ids.len() - 1);
        self.set_word(at, removed);
        // Where no search goes on to the next slot, none needs this one, nor removed ones before it.
        let mut at = at;
        while self.word((at + 1) & last) == EMPTY && self.word(at) == removed {
            self.set_word(at, EMPTY);
            self.used -= 1;
            at = at.wrapping_sub(1) & last;
        }
        true
    }

    /// The slot of a shard, or the slot that it would get.
    fn find(&self, shard: ShardId) -> Result<usize, usize> {
        let (hash, last) = (Hash::of(shard), self.ids.len() - 1);
        let mut at = hash.start(self.slots.shift) * 2;
        let mut free = None;
        loop {
            at &= last;
            match self.word(at) {
                EMPTY => return Err(free.unwrap_or(at)),
                word if word == self.slots.layout.removed() => free = free.or(Some(at)),
                _ if self.ids[at] == shard => return Ok(at),
                _ => {}
            }
            at += 1;
        }
    }

    fn entries(&self) -> Vec<(ShardId, Place)> {
        let is_live = |at: &usize| ![EMPTY, self.slots.layout.removed()].contains(&self.word(*at));
        (0..self.ids.len()).filter(is_live).map(|at| (self.ids[at], self.place(at))).collect()
    }

    /// Whether probing gets long.
    fn is_crowded(&self) -> bool {
        self.used > room_in(self.ids.len())
    }

    fn is_sparse(&self) -> bool {
        self.ids.len() > SMALLEST && self.live * 16 < self.ids.len()
    }
}

/// The number of parts for this many shards, the number of slots in each, and their layout.
fn sizes(shards: usize) -> (usize, usize, Layout) {
    let count = shards.div_ceil(room_in(PART)).next_power_of_two();
    (count, slots_for(shards.div_ceil(count)), Layout::up_to(shards))
}

/// The number of slots for this many shards: some are left for others.
fn slots_for(shards: usize) -> usize {
    (shards * 4).next_power_of_two().max(SMALLEST)
}

/// The number of shards that this many slots are for.
fn room_in(slots: usize) -> usize {
    slots * 3 / 8
}
