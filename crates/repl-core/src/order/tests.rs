//! Leaves and branches keep their sizes as shards come and go.

use std::collections::BTreeSet;

use super::*;
use crate::ids::LogId;
use crate::slabs::SLAB;

fn key(shard: usize) -> Key {
    Key { shard: ShardId(shard as u64), incarnation: Incarnation(0), log: LogId::UNNAMED }
}

/// Another for shards that are near each other.
fn place(shard: usize) -> Place {
    Place::new(1 + shard / SLAB, shard % SLAB)
}

fn restored(shards: usize) -> Order {
    let keys: Keys = (0..shards).map(|shard| (key(shard), Epochs::default())).collect();
    let places: Vec<Place> = (0..shards).map(place).collect();
    Order::restore(Arc::new(keys), &places, Slabs::default(), Incarnation(1))
}

fn add(order: &mut Order, shards: impl Iterator<Item = usize>) {
    let change = |shard| (key(shard).shard, Some((key(shard), Epochs::default(), place(shard))));
    order.change(&shards.map(change).collect::<Vec<_>>(), Slabs::default(), Incarnation(1));
}

fn remove(order: &mut Order, shards: impl Iterator<Item = usize>) {
    let changes: Vec<Change> = shards.map(|shard| (key(shard).shard, None)).collect();
    order.change(&changes, Slabs::default(), Incarnation(1));
}

/// The lengths of the leaves of each branch.
fn lengths(order: &Order) -> Vec<Vec<usize>> {
    let leaves = |branch: &Branch| branch.leaves.iter().map(|(_, leaf)| leaf.len()).collect();
    order.branches.iter().map(|(_, branch)| leaves(branch)).collect()
}

fn check(order: &Order, expected: impl Iterator<Item = usize>) {
    let mut last = None;
    for (_, branch) in &order.branches {
        assert!((1..=BRANCH).contains(&branch.leaves.len()));
        for (begins, leaf) in &branch.leaves {
            assert!((1..=LEAF).contains(&leaf.len()));
            assert!(last < Some(*begins) && *begins <= leaf.first());
            last = leaf.run().shards().last().copied();
        }
    }
    let expected: Vec<usize> = expected.collect();
    let shards = order.leaves().flat_map(|leaf| leaf.run().shards().to_vec());
    assert!(shards.eq(expected.iter().map(|shard| key(*shard).shard)));
    for shard in expected {
        assert_eq!(order.find(key(shard).shard).map(|(place, _)| place), Some(place(shard)));
    }
}

#[test]
fn a_branch_has_up_to_64_leaves_and_is_divided_in_halves() {
    assert_eq!(lengths(&restored(LEAF * BRANCH)), [vec![LEAF; BRANCH]]);
    let halves = [vec![LEAF; 33], [vec![LEAF; 31], vec![1]].concat()];
    assert_eq!(lengths(&restored(LEAF * BRANCH + 1)), halves);
    let mut added = Order::restore(Arc::default(), &[], Slabs::default(), Incarnation(1));
    add(&mut added, 0..LEAF * BRANCH);
    assert_eq!(lengths(&added), [vec![LEAF; BRANCH]]);
    add(&mut added, LEAF * BRANCH..=LEAF * BRANCH);
    assert_eq!(lengths(&added).iter().map(Vec::len).collect::<Vec<_>>(), [33, 32]);
    check(&added, 0..=LEAF * BRANCH);
}

#[test]
fn a_leaf_has_up_to_256_shards_and_is_divided_in_halves() {
    let mut order = Order::restore(Arc::default(), &[], Slabs::default(), Incarnation(1));
    (0..LEAF).for_each(|shard| add(&mut order, shard..=shard));
    assert_eq!(lengths(&order), [[LEAF]]);
    add(&mut order, LEAF..=LEAF);
    assert_eq!(lengths(&order), [[128, 129]]);
    check(&order, 0..=LEAF);
}

#[test]
fn a_leaf_joins_the_one_before_where_both_fill_half_a_leaf() {
    let mut order = restored(LEAF + 3);
    remove(&mut order, 127..LEAF);
    assert_eq!(lengths(&order), [[127, 3]]);
    remove(&mut order, LEAF..=LEAF);
    assert_eq!(lengths(&order), [[127, 2]]);
    remove(&mut order, LEAF + 1..=LEAF + 1);
    assert_eq!(lengths(&order), [[128]]);
    check(&order, (0..127).chain([LEAF + 2]));
    let mut order = restored(LEAF + 60);
    remove(&mut order, 60..LEAF);
    remove(&mut order, LEAF..=LEAF);
    assert_eq!(lengths(&order), [[119]]);
}

#[test]
fn a_branch_joins_the_one_before_where_both_fill_half_a_branch() {
    let mut order = restored(LEAF * (BRANCH + 1));
    assert_eq!(lengths(&order).iter().map(Vec::len).collect::<Vec<_>>(), [33, 32]);
    remove(&mut order, LEAF * 20..LEAF * 33); // 20 leaves and 32
    remove(&mut order, LEAF * 33..LEAF * 52); // 20 and 13
    assert_eq!(lengths(&order).iter().map(Vec::len).collect::<Vec<_>>(), [20, 13]);
    remove(&mut order, LEAF * 52..LEAF * 53);
    assert_eq!(lengths(&order), [[LEAF; 32]]);
    check(&order, (0..LEAF * 20).chain(LEAF * 53..LEAF * 65));
}

#[test]
fn a_leaf_or_branch_without_shards_is_removed() {
    let mut order = restored(LEAF * (BRANCH + 1));
    remove(&mut order, 0..LEAF * 33);
    assert_eq!(lengths(&order), [[LEAF; 32]]);
    remove(&mut order, LEAF * 33..LEAF * 65);
    assert_eq!(lengths(&order), [[0; 0]; 0]);
    add(&mut order, 5..6);
    check(&order, 5..6);
}

#[test]
fn any_changes_leave_the_shards_of_a_set() {
    let (mut order, mut model) = (restored(5_000), (0..5_000).collect::<BTreeSet<usize>>());
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let (begin, count) = (random.usize(0..40_000), random.usize(1..2_000));
        let step = random.usize(1..9);
        let shards = || (begin..begin + count).step_by(step);
        if round % 2 == 0 {
            add(&mut order, shards());
            model.extend(shards());
        } else {
            remove(&mut order, shards());
            for shard in shards() {
                model.remove(&shard);
            }
        }
        check(&order, model.iter().copied());
    }
    // One by one, from the end and from the beginning.
    while let Some(last) = model.pop_last() {
        remove(&mut order, std::iter::once(last));
        if let Some(first) = model.pop_first() {
            remove(&mut order, std::iter::once(first));
        }
        if model.len() % 256 == 0 {
            check(&order, model.iter().copied());
        }
    }
    assert!(order.branches.is_empty());
}
