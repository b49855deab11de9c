//! Shards by id: a hash table in parts, changed in place.
//!
//! A slot is one word: some bits of the hash, and the place of a cell. The cell says which shard it
//! is of. One thread at a time changes slots, any number look up meanwhile.
//!
//! A part that is full is built again, larger or in two halves, in a new list of parts. The old part
//! is not changed from then on. Its readers are those that hold an older list, and they learn of the
//! new one before they can learn of a later change ([`Published`]).
//!
//! # Slots of removed shards
//! A search for a shard goes from slot to slot up to an empty one. So a removed shard
//! leaves a word behind over which searches go on, unless the next slot is empty. The next shard
//! whose search reaches the slot may take it. Slots do not move, so a thread that looks for a shard
//! meanwhile finds it if it was there all the time: the loom twins
//! `a_removed_shard_that_leaves_an_empty_slot_hides_the_next_one` and
//! `a_shard_that_moves_to_a_free_slot_is_missed_by_a_search_that_has_passed_it`.
//!
//! # Orderings
//! A word is stored with `Release` and read with `Acquire`: what a reader finds at the place was
//! written before. With either `Relaxed` it may find a cell that has not begun (the loom twin
//! `a_relaxed_word_leads_to_a_cell_that_has_not_begun`).
//!
//! [`Published`]: crate::published::Published

mod parts;
#[cfg(all(test, not(loom_models)))]
mod tests;

use std::sync::Arc;

use crate::ids::ShardId;
use crate::slabs::Place;
use crate::sync::{AtomicU64, Ordering};

pub(crate) use self::parts::Parts;

const EMPTY: u32 = 0;

/// The slots of a part.
#[derive(Clone)]
struct Slots {
    /// Two words each, of which the lower one is used first. A power of two of them.
    pairs: Arc<[AtomicU64]>,
    layout: Layout,
    /// What leaves as many bits of a hash as the number of a pair has.
    shift: u32,
}

/// How a word is divided: which bits hold a place. The bits above them are hash bits.
#[derive(Clone, Copy)]
struct Layout {
    places: u32,
    hashes: u32,
}

impl Layout {
    /// The layout for places up to this number, and for about as many more.
    fn up_to(place: usize) -> Self {
        let bits = (place + 2).next_power_of_two().trailing_zeros().clamp(11, 30) + 1;
        let places = (1 << bits) - 1;
        Layout { places, hashes: !places }
    }

    fn holds(self, place: Place) -> bool {
        place.number() < self.places
    }

    fn word(self, place: Place, hash: Hash) -> u32 {
        hash.bits() & self.hashes | place.number()
    }

    /// What a removed shard leaves behind.
    fn removed(self) -> u32 {
        self.places
    }

    /// Whether the hash bits of a word are those of `hash`.
    #[inline]
    fn matches(self, word: u32, hash: Hash) -> bool {
        (word ^ hash.bits()) & self.hashes == 0
    }

    #[inline]
    fn place(self, word: u32) -> Place {
        Place::from_number(word & self.places)
    }
}

/// What a look-up needs. A clone shares the slots.
#[derive(Clone)]
pub(crate) struct Index {
    /// A power of two. Some parts are in it several times.
    parts: Arc<[Slots]>,
    /// The number of shards when the list was made.
    shards: usize,
}

/// The result of a look-up.
pub(crate) enum Found<T> {
    Cell(T),
    Nothing,
    /// A slot has the hash bits of the shard, and its cell is not there or of another shard.
    Other,
}

impl Index {
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    #[cfg(all(test, not(loom_models)))]
    fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// Looks for a shard. `get` gets each place that may be its.
    #[inline]
    pub(crate) fn find<R>(
        &self,
        shard: ShardId,
        mut get: impl FnMut(Place) -> Option<R>,
    ) -> Found<R> {
        let hash = Hash::of(shard);
        let mut nothing = Found::Nothing;
        let Some(Slots { pairs, layout, shift }) =
            self.parts.get(hash.part() & (self.parts.len() - 1))
        else {
            return nothing;
        };
        let mut at = hash.start(*shift);
        while let Some(pair) = pairs.get(at & (pairs.len() - 1)) {
            let [low, high] = halves(pair.load(Ordering::Acquire));
            // One jump for both: which half it is cannot be foreseen.
            let word = if layout.matches(low, hash) { low } else { high };
            if layout.matches(word, hash) {
                if let Some(found) = get(layout.place(word)).or_else(|| get(layout.place(high))) {
                    return Found::Cell(found);
                }
                nothing = Found::Other;
            }
            if high == EMPTY {
                break;
            }
            at += 1;
        }
        nothing
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "two halves")]
fn halves(pair: u64) -> [u32; 2] {
    [pair as u32, (pair >> 32) as u32]
}

/// A shard id, multiplied. Ids come from the engine, not from an attacker: strides and high bits must
/// spread, and it must be cheap.
#[derive(Clone, Copy)]
struct Hash(u128);

impl Hash {
    #[inline]
    fn of(shard: ShardId) -> Self {
        // The fractional part of the golden ratio: odd, with no pattern in its bits.
        Hash(u128::from(shard.0) * 0x9e37_79b9_7f4a_7c15)
    }

    /// The number that chooses the part: both halves, folded.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "folding both halves is the point")]
    fn part(self) -> usize {
        ((self.0 >> 64) as u64 ^ self.0 as u64) as u32 as usize
    }

    /// The pair to begin at: the high bits of the lower half, which are far apart for ids that follow
    /// each other.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a half, then fewer bits")]
    fn start(self, shift: u32) -> usize {
        (self.0 as u64 >> (shift & 63)) as usize
    }

    /// The bits that a slot holds, where it holds them: those below the ones that choose it.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a half")]
    fn bits(self) -> u32 {
        (self.0 as u64 >> 20) as u32
    }
}
