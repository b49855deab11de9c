//! Parts have the right size, whatever comes and goes, and shards spread over them.

use std::collections::BTreeMap;

use super::*;

fn place(number: u64) -> Place {
    Place::from_number(u32::try_from(number).unwrap_or(1))
}

/// Checks what each part says of itself, and that the shards are those of `model`.
fn check(parts: &Parts, model: &BTreeMap<u64, u64>) {
    assert!(parts.list.len().is_power_of_two());
    let mut found = BTreeMap::new();
    for (number, part) in parts.all.iter().enumerate() {
        let slots = part.ids.len();
        assert!(slots.is_power_of_two() && slots >= SMALLEST);
        assert_eq!(part.slots.pairs.len() * 2, slots);
        let used = (0..slots).filter(|at| part.word(*at) != EMPTY).count();
        let entries = part.entries();
        assert_eq!((part.used, part.live), (used, entries.len()));
        assert!(part.used <= slots * 3 / 8);
        assert!(slots == SMALLEST || part.live * 16 >= slots);
        let listed = parts.list.iter().filter(|at| **at as usize == number).count();
        assert_eq!(listed << part.common, parts.list.len());
        for (shard, place) in entries {
            assert_eq!(parts.part(shard), number);
            assert_eq!(found.insert(shard.0, u64::from(place.number())), None);
        }
    }
    assert_eq!((parts.len(), parts.index().shards()), (model.len(), model.len()));
    assert!(found == *model);
}

#[test]
fn parts_have_the_right_size_as_shards_come_and_go() {
    let (mut parts, mut model) = (Parts::of(std::iter::empty()), BTreeMap::new());
    let mut random = fastrand::Rng::with_seed(3);
    let mut largest = 0;
    for step in 0..60_000_u64 {
        // Grows to some thousands, then shrinks again.
        let adds = if step < 30_000 { 7 } else { 2 };
        let id = random.u64(0..40_000);
        if random.u64(0..10) < adds {
            let at = step % 4_000 + 1; // what the first layout holds
            model.insert(id, at);
            parts.set(ShardId(id), place(at));
        } else {
            model.remove(&id);
            parts.remove(ShardId(id));
        }
        largest = largest.max(parts.list.len());
        if step % 500 == 0 {
            check(&parts, &model);
        }
    }
    assert!(parts.all.iter().all(|part| part.ids.len() <= PART));
    assert!((4..=16).contains(&largest), "{largest}");
    for id in 0..40_000 {
        parts.remove(ShardId(id));
    }
    check(&parts, &BTreeMap::new());
}

#[test]
fn parts_that_are_made_at_once_have_the_shards_of_all_entries() {
    for shards in [0, 1, 3, 4, 3072, 3073, 20_000] {
        let model: BTreeMap<u64, u64> = (0..shards).map(|id| (id * 3, id + 1)).collect();
        let entries: Vec<_> = model.iter().map(|(id, at)| (ShardId(*id), place(*at))).collect();
        let parts = Parts::of(entries.into_iter());
        check(&parts, &model);
        let expected = usize::try_from(shards).unwrap_or(0).div_ceil(3072).next_power_of_two();
        assert_eq!((parts.list.len(), parts.all.len()), (expected, expected));
    }
}

#[test]
fn removed_shards_leave_no_slot_in_use_where_no_search_goes_on() {
    let mut parts = Parts::of(std::iter::empty());
    for id in 0..1_000_u64 {
        parts.set(ShardId(id), place(id + 1));
        parts.remove(ShardId(id));
    }
    assert_eq!((parts.all[0].used, parts.all[0].live, parts.all[0].ids.len()), (0, 0, SMALLEST));
}

#[test]
fn ids_in_strides_and_high_bits_spread_over_parts_and_slots() {
    for stride in [1, 2, 1000, 1 << 32, 1 << 40] {
        let entries: Vec<_> = (0..20_000).map(|i| (ShardId(i * stride), place(i + 1))).collect();
        let parts = Parts::of(entries.iter().copied());
        for part in &parts.all {
            assert!((2_400..=2_600).contains(&part.live), "{stride}: {}", part.live);
            let far = |(shard, _): &(ShardId, Place)| {
                let begin = (Hash::of(*shard).start(part.slots.shift) * 2) & (part.ids.len() - 1);
                part.find(*shard).map_or(0, |at| at.abs_diff(begin))
            };
            let all: usize = part.entries().iter().map(far).sum();
            assert!(all <= part.live / 5, "{stride}: {all} slots for {} shards", part.live);
        }
    }
}

#[test]
fn a_look_up_asks_for_few_cells_of_other_shards() {
    let entries: Vec<_> = (0..3_000).map(|i| (ShardId(i), place(i + 1))).collect();
    let index = Parts::of(entries.iter().copied()).index();
    let mut asked = 0;
    for (shard, place) in entries {
        let found = index.find(shard, |at| {
            asked += 1;
            (at == place).then_some(())
        });
        assert!(matches!(found, super::super::Found::Cell(())));
    }
    assert!(asked < 3_100, "{asked} cells for 3,000 shards");
    let mut absent = 0;
    for id in 3_000..6_000 {
        let _ = index.find::<()>(ShardId(id), |_| {
            absent += 1;
            None
        });
    }
    assert!(absent < 100, "{absent} cells for 3,000 shards that are not there");
}

#[test]
fn no_place_reads_as_an_empty_or_a_removed_slot() {
    // All hash bits of this shard are 0.
    for number in [1, 1024, 4094, 4095, 4096, 8190, 8191, 8192, 65_535, (1 << 31) - 2] {
        let mut parts = Parts::of(std::iter::empty());
        parts.set(ShardId(0), place(number));
        let found = parts.place(ShardId(0)).map(Place::number);
        assert_eq!(found.map(u64::from), Some(number));
    }
}

#[test]
fn a_part_is_built_again_where_it_is_crowded_or_sparse_and_not_before() {
    let mut parts = Parts::of(std::iter::empty());
    let slots = |parts: &Parts| parts.all[0].ids.len();
    let set = |parts: &mut Parts, id: u64| parts.set(ShardId(id), place(id + 1));
    assert!(!(0..3).any(|id| set(&mut parts, id)));
    assert_eq!(slots(&parts), SMALLEST);
    assert!(set(&mut parts, 3));
    assert_eq!(slots(&parts), 16);
    for id in 4..16 {
        set(&mut parts, id);
    }
    assert_eq!(slots(&parts), 64);
    assert!(!(4..16).any(|id| parts.remove(ShardId(id))));
    assert_eq!((slots(&parts), parts.len()), (64, 4));
    assert!(parts.remove(ShardId(3)));
    assert_eq!(slots(&parts), 16);
    assert!(!(1..3).any(|id| parts.remove(ShardId(id))));
    assert!(parts.remove(ShardId(0)));
    assert_eq!(slots(&parts), SMALLEST);
    assert!(!set(&mut parts, 0));
    assert!(!parts.remove(ShardId(0)));
}

#[test]
fn ids_with_many_hash_bits_in_common_make_a_part_larger_before_the_list() {
    let mut parts =
        Parts::of((0..20_000).map(|id| (ShardId(id), place(1))).collect::<Vec<_>>().into_iter());
    assert_eq!(parts.list.len(), 8);
    for id in 0..20_000 {
        parts.remove(ShardId(id));
    }
    let same = |id: &u64| Hash::of(ShardId(*id)).part() & 63 == 5;
    let mut ids = (20_000..).filter(same);
    for id in ids.by_ref().take(3_500) {
        parts.set(ShardId(id), place(1));
    }
    let sizes = |parts: &Parts| parts.all.iter().map(|part| part.ids.len()).max();
    assert_eq!((parts.list.len(), sizes(&parts)), (8, Some(2 * PART)));
    for id in ids.take(5_500) {
        parts.set(ShardId(id), place(1));
    }
    assert_eq!((parts.list.len(), sizes(&parts)), (16, Some(4 * PART)));
}
