//! The index against a map of std.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Found, Hash, Layout, Parts};
use crate::ids::ShardId;
use crate::slabs::Place;

/// The place of a shard, as a reader finds it whose cells are those of `places`.
fn look_up(parts: &Parts, places: &HashMap<ShardId, u32>, shard: ShardId) -> Option<u32> {
    let is_its = |place: Place| (places.get(&shard) == Some(&place.number())).then_some(place);
    match parts.index().find(shard, is_its) {
        Found::Cell(place) => Some(place.number()),
        Found::Nothing | Found::Other => None,
    }
}

/// Ids of which many begin their search at the same pair of slots.
static IDS: LazyLock<Vec<ShardId>> = LazyLock::new(|| {
    let same = |id: &ShardId| Hash::of(*id).start(54) == Hash::of(ShardId(0)).start(54);
    let mut ids: Vec<ShardId> = (0..1 << 15).map(ShardId).filter(same).take(24).collect();
    ids.extend([1, 2, u64::MAX, 1 << 63, 1 << 32].map(ShardId));
    ids
});

#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u32),
    Remove(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![1..5000_u32, 1..1_000_000_u32, 1..(1 << 31) - 1_u32];
    prop_oneof![
        3 => (any::<prop::sample::Index>(), place).prop_map(|(id, place)| Change::Set(id, place)),
        2 => any::<prop::sample::Index>().prop_map(Change::Remove),
    ]
}

proptest! {
    #[test]
    fn every_shard_is_found_at_the_place_that_was_set_last(
        changes in prop::collection::vec(change(), 1..200),
    ) {
        let ids = &*IDS;
        let (mut parts, mut model) = (Parts::of(std::iter::empty()), HashMap::new());
        // A reader keeps the index that it has until the list changes.
        let mut index = parts.index();
        for change in changes {
            let listed = match change {
                Change::Set(id, place) => {
                    let id = *id.get(ids);
                    model.insert(id, place);
                    parts.set(id, Place::from_number(place))
                }
                Change::Remove(id) => {
                    let id = id.get(ids);
                    model.remove(id);
                    parts.remove(*id)
                }
            };
            if listed {
                index = parts.index();
            }
            prop_assert_eq!(parts.len(), model.len());
            for id in ids {
                let expected = model.get(id).copied();
                prop_assert_eq!(parts.place(*id).map(Place::number), expected);
                let is_its = |p: Place| (Some(p.number()) == expected).then_some(p);
                prop_assert_eq!(matches!(index.find(*id, is_its), Found::Cell(_)), expected.is_some());
            }
        }
    }
}

#[test]
fn a_layout_has_room_for_about_as_many_places_more() {
    for place in [0, 1, 4000, 4094, 4095, 5000, 1 << 20] {
        let places = Layout::up_to(place).places as usize;
        assert!(places > place + 1 && places <= 4 * (place + 2).max(1024), "{place}: {places}");
    }
}

#[test]
fn parts_divide_and_are_found_as_shards_come_and_go() {
    let (mut parts, mut places) = (Parts::of(std::iter::empty()), HashMap::new());
    let id = |i: u32| ShardId(u64::from(i).wrapping_mul(0x5851_f42d_4c95_7f2d));
    for i in 1..20_000 {
        parts.set(id(i), Place::from_number(i));
        places.insert(id(i), i);
    }
    assert!(parts.index().part_count() >= 8);
    for i in (1..20_000).filter(|i| i % 3 > 0) {
        parts.remove(id(i));
        places.remove(&id(i));
    }
    for i in 1..20_000 {
        assert_eq!(look_up(&parts, &places, id(i)), (i % 3 == 0).then_some(i), "{i}");
    }
}

#[test]
fn shards_that_come_at_once_are_found_though_most_are_of_one_part() {
    let is_of_first = |id: &ShardId| Hash::of(*id).part().is_multiple_of(256);
    let of_one_part = (0..).map(ShardId).filter(is_of_first).take(4000);
    let ids: Vec<ShardId> = (0..100).map(|i| ShardId(u64::MAX - i)).chain(of_one_part).collect();
    // The last place is too high for what the number of shards lets expect.
    let places = (1..ids.len()).chain([1 << 30]).map(|place| u32::try_from(place).unwrap());
    let mut places: HashMap<ShardId, u32> = ids.iter().copied().zip(places).collect();
    let entry = |id: &ShardId| (*id, Place::from_number(places[id]));
    let mut parts = Parts::of(ids.iter().map(entry).collect::<Vec<_>>().into_iter());
    assert_eq!(parts.len(), ids.len());
    for id in &ids {
        assert_eq!(look_up(&parts, &places, *id), Some(places[id]), "{id}");
    }
    for id in &ids {
        parts.remove(*id);
        places.remove(id);
        assert_eq!(look_up(&parts, &places, *id), None, "{id}");
    }
    assert_eq!(parts.len(), 0);
}

#[test]
fn slots_of_removed_shards_are_used_again() {
    // With room for more shards than those that come and go.
    let others = (100..164_u32).map(|i| (ShardId(i.into()), Place::from_number(i)));
    let mut parts = Parts::of(others);
    let mut rebuilt = 0;
    for i in 0..10_000_u32 {
        let id = ShardId(u64::from(i % 8));
        rebuilt += u32::from(parts.set(id, Place::from_number(i + 1)));
        rebuilt += u32::from(parts.remove(id));
    }
    assert!(rebuilt < 10, "{rebuilt}");
}

#[test]
fn strides_and_high_bits_spread_over_the_slots() {
    for stride in [1, 2, 3, 64, 1000, 1 << 20, 1 << 32, 1 << 52] {
        let mut starts = BTreeMap::new();
        for i in 0..1024_u64 {
            *starts.entry(Hash::of(ShardId(i.wrapping_mul(stride))).start(54)).or_insert(0) += 1;
        }
        assert!(starts.values().all(|n| *n <= 8), "stride {stride}: {starts:?}");
    }
}
