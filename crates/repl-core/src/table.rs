//! The cell of each shard: an immutable table, replaced whole when shards are added or removed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::cell::Cell;
use crate::ids::{Incarnation, Key, NewShard, SeqNo, ShardId};
use crate::range_set::RangeSet;
use crate::shard::Shard;

/// What is completed above the marks of many shards: only shards with any.
pub(crate) type Above = BTreeMap<ShardId, RangeSet>;

/// Shards added in one call share one slab: one allocation, in order of their ids, so that a
/// snapshot walks memory forward.
pub(crate) type Slab = Arc<[Cell]>;

/// The place of a cell. Small and without a reference count, so that copying the table copies bytes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    slab: u32,
    index: u32,
}

#[derive(Default)]
pub(crate) struct Table {
    slabs: Vec<Slab>,
    /// Ascending by shard; shared with every snapshot of this table.
    keys: Arc<[Key]>,
    /// Parallel to `keys`.
    slots: Vec<Slot>,
    by_id: HashMap<ShardId, Slot, BuildHasherDefault<IdHasher>>,
    next_incarnation: Incarnation,
}

impl Table {
    /// A table of restored cells. `cells` ascending by shard, without duplicates.
    pub(crate) fn restore(cells: Vec<(Key, SeqNo)>, next_incarnation: Incarnation) -> Self {
        let empty = Table { next_incarnation, ..Table::default() };
        empty.with_slab(cells.into_iter().map(|(key, mark)| Cell::new(key, mark)).collect()).0
    }

    #[inline]
    pub(crate) fn cell(&self, shard: ShardId) -> Option<&Cell> {
        self.by_id.get(&shard).map(|slot| self.at(*slot))
    }

    pub(crate) fn handle(&self, shard: ShardId) -> Option<Shard> {
        let slot = self.by_id.get(&shard)?;
        Some(Shard::new(Arc::clone(&self.slabs[slot.slab as usize]), slot.index as usize))
    }

    /// Every cell, ascending by shard.
    pub(crate) fn cells(&self) -> impl ExactSizeIterator<Item = &Cell> + '_ {
        self.slots.iter().map(|slot| self.at(*slot))
    }

    pub(crate) fn keys(&self) -> &Arc<[Key]> {
        &self.keys
    }

    pub(crate) fn next_incarnation(&self) -> Incarnation {
        self.next_incarnation
    }

    /// Every mark, in the order of `keys`.
    pub(crate) fn marks_alone(&self) -> Vec<SeqNo> {
        self.cells().map(Cell::applied).collect()
    }

    /// Every mark, in the order of `keys`, and what is completed above marks, ascending by shard.
    pub(crate) fn marks(&self) -> (Vec<SeqNo>, Above) {
        let (mut marks, any_above) = match self.slabs.as_slice() {
            // All shards were added at once and none left: their cells are in order already.
            [slab] if slab.len() == self.slots.len() => read(slab.iter()),
            _ => read(self.cells()),
        };
        let mut completed = Vec::new();
        if any_above {
            // Each is read once more: a mark that was read before it passed its ranges must not be
            // paired with ranges that are gone by now.
            for (mark, cell) in marks.iter_mut().zip(self.cells()) {
                let now = cell.applied_set();
                *mark = now.mark();
                let above = now.into_ranges_above();
                if !above.is_empty() {
                    completed.push((cell.key().shard, above));
                }
            }
        }
        (marks, completed.into_iter().collect())
    }

    /// This table and `new`, and their slab, in ascending order; or the id that is tracked already or
    /// is in `new` twice. They share the next incarnation number, as no two have one id.
    pub(crate) fn with(&self, new: &[NewShard]) -> Result<(Self, Slab), ShardId> {
        let mut new = new.to_vec();
        new.sort_by_key(|n| n.shard);
        let doubled = new.windows(2).find(|w| w[0].shard == w[1].shard).map(|w| w[0].shard);
        let tracked = || new.iter().map(|n| n.shard).find(|shard| self.cell(*shard).is_some());
        if let Some(shard) = doubled.or_else(tracked) {
            return Err(shard);
        }
        let incarnation = self.next_incarnation;
        let cells = new.iter().map(|n| {
            let key = Key { shard: n.shard, incarnation, log: n.log };
            Cell::new(key, n.mark)
        });
        let (mut table, slab) = self.with_slab(cells.collect());
        // 2^64 additions do not happen; a number that is never used twice must not wrap either.
        table.next_incarnation = incarnation.next();
        Ok((table, slab))
    }

    /// This table without `shard`. Slabs in which nothing is left are dropped.
    pub(crate) fn without(&self, shard: ShardId) -> Self {
        let kept =
            || self.slots.iter().zip(self.keys.iter()).filter(move |(_, k)| k.shard != shard);
        let mut used = vec![false; self.slabs.len()];
        for (slot, _) in kept() {
            used[slot.slab as usize] = true;
        }
        let mut slabs = Vec::with_capacity(self.slabs.len());
        let mut moved_to = Vec::with_capacity(self.slabs.len());
        for (slab, used) in self.slabs.iter().zip(used) {
            moved_to.push(index(slabs.len()));
            if used {
                slabs.push(Arc::clone(slab));
            }
        }
        let slots: Vec<Slot> = kept()
            .map(|(slot, _)| Slot { slab: moved_to[slot.slab as usize], index: slot.index })
            .collect();
        Table::of(slabs, slots, self.next_incarnation)
    }

    fn at(&self, slot: Slot) -> &Cell {
        &self.slabs[slot.slab as usize][slot.index as usize]
    }

    /// This table and one more slab of cells, ascending by shard.
    fn with_slab(&self, cells: Vec<Cell>) -> (Self, Slab) {
        let mut slabs = self.slabs.clone();
        let slab = index(slabs.len());
        let added = (0..cells.len()).map(|i| Slot { slab, index: index(i) });
        let mut slots: Vec<Slot> = self.slots.iter().copied().chain(added).collect();
        let cells: Slab = cells.into();
        if !cells.is_empty() {
            slabs.push(Arc::clone(&cells));
        }
        // Two ascending runs: the standard sort merges them in one pass.
        slots.sort_by_key(|slot| slabs[slot.slab as usize][slot.index as usize].key().shard);
        (Table::of(slabs, slots, self.next_incarnation), cells)
    }

    /// The table of `slots`, which are in ascending order of their shards.
    fn of(slabs: Vec<Slab>, slots: Vec<Slot>, next_incarnation: Incarnation) -> Self {
        let key = |slot: &Slot| *slabs[slot.slab as usize][slot.index as usize].key();
        let keys: Arc<[Key]> = slots.iter().map(key).collect();
        let by_id = keys.iter().map(|k| k.shard).zip(slots.iter().copied()).collect();
        debug_assert!(keys.is_sorted_by(|a, b| a.shard < b.shard));
        Table { slabs, keys, slots, by_id, next_incarnation }
    }
}

/// The marks of `cells`, and whether something may be completed above one of them.
fn read<'a>(cells: impl ExactSizeIterator<Item = &'a Cell>) -> (Vec<SeqNo>, bool) {
    let mut above = false;
    let marks = cells
        .map(|cell| {
            above |= cell.has_above(); // first: see `Cell::applied_set`
            cell.applied()
        })
        .collect();
    (marks, above)
}

/// A slab or cell number as it is stored.
///
/// # Panics
/// Above 2^32: that many cells take 256 GiB.
#[expect(clippy::expect_used, reason = "reached only with 2^32 cells in memory")]
fn index(i: usize) -> u32 {
    u32::try_from(i).expect("fewer than 2^32 shards in one state")
}

/// Mixes a shard id with one folded multiplication. Ids come from the engine, not from an attacker:
/// strides and high bits must spread, and it must be cheap.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, id: u64) {
        // The fractional part of the golden ratio: odd, with no pattern in its bits.
        let product = u128::from(id) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "folding both halves is the point")]
        let folded = (product >> 64) as u64 ^ product as u64;
        self.0 = folded;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
