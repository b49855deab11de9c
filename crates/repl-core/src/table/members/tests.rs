//! Slabs go when all of their cells are given up, and their numbers are used again.

use super::*;
use crate::ids::LogId;
use crate::index::Found;
use crate::new_shard::NewShard;
use crate::table::Table;

fn key(shard: u64) -> Key {
    Key { shard: ShardId(shard), incarnation: Incarnation(0), log: LogId::UNNAMED }
}

fn members() -> Members {
    Members::restore(Arc::default(), &[], Incarnation(0))
}

fn begin(members: &mut Members, cells: u64) -> (Vec<Place>, bool) {
    members.begin((0..cells).map(|shard| (key(shard), 0)).collect::<Vec<_>>().into_iter())
}

fn slab_len(members: &Members, number: usize) -> usize {
    members.slabs().slab(number).map_or(0, |slab| slab.len())
}

#[test]
fn many_cells_are_side_by_side_in_slabs_of_1024() {
    let mut members = members();
    let (places, has_new) = begin(&mut members, 2_500);
    assert!(has_new);
    let expected = (0..2_500).map(|i| Place::new(1 + i / SLAB, i % SLAB));
    assert!(places.into_iter().eq(expected));
    assert_eq!([1, 2, 3].map(|number| slab_len(&members, number)), [1024, 1024, 452]);
    assert_eq!(members.in_use, [0, 1024, 1024, 452]);
}

#[test]
fn a_slab_without_a_cell_in_use_is_freed_and_its_number_used_again() {
    let mut members = members();
    let (first, _) = begin(&mut members, 3);
    let (second, _) = begin(&mut members, 3);
    assert!(!members.free(&first[..2]));
    assert_eq!(slab_len(&members, 1), 3);
    assert!(members.free(&first[2..]));
    assert_eq!([1, 2].map(|number| slab_len(&members, number)), [0, 3]);
    assert!(members.order().handle(first[0]).is_none());
    assert!(members.order().handle(second[0]).is_some());
    assert_eq!(members.in_use, [0, 0, 3]);
    let (third, has_new) = begin(&mut members, 1);
    assert_eq!((third, has_new), (vec![Place::new(1, 0)], true));
}

#[test]
fn a_slab_has_room_for_an_eighth_more_shards_and_stays_while_it_has_room() {
    let mut members = members();
    for shard in 0..64 {
        members.index(std::iter::once((ShardId(shard), Some(Place::new(9, 0)))));
    }
    let (first, has_new) = begin(&mut members, 1);
    assert!(has_new);
    assert_eq!(slab_len(&members, 1), 8);
    assert!(!members.free(&first)); // more cells can begin there
    for i in 1..8 {
        assert_eq!(begin(&mut members, 1), (vec![Place::new(1, i)], false));
    }
    assert!(members.open.is_none());
    let (next, has_new) = begin(&mut members, 1);
    assert_eq!((next, has_new), (vec![Place::new(2, 0)], true));
    // As many as a slab has do not take the rest of another.
    let (many, _) = begin(&mut members, SLAB as u64);
    assert_eq!(many[0], Place::new(3, 0));
    assert!(members.open.is_some_and(|(open, begun)| (open, begun) == (2, 1)));
}

#[test]
fn one_in_eight_removed_shards_are_many() {
    let mut members = members();
    for shard in 0..64 {
        members.index(std::iter::once((ShardId(shard), Some(Place::new(9, 0)))));
    }
    assert!(!members.has_shrunk(7));
    assert!(!members.has_shrunk(1));
    assert!(members.has_shrunk(1));
    assert!(!members.has_shrunk(8));
    assert!(members.has_shrunk(1));
}

#[test]
fn the_published_root_has_no_slab_of_removed_shards() {
    let table = Table::restore(&Arc::default(), &[], Incarnation(0));
    for shard in 0..3 {
        assert!(table.add(&[NewShard::new(ShardId(shard))]).is_ok());
    }
    let cells = |root: &Root| {
        let len = |number| root.slabs.slab(number).map_or(0, |slab| slab.len());
        Found::Cell((1..4).map(len).sum::<usize>())
    };
    let published = || table.published.find(cells);
    assert_eq!(published(), Some(3));
    drop(table.remove(&[ShardId(1)]));
    assert_eq!(published(), Some(2));
}
