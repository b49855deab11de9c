//! Snapshots with ranges completed above their marks: the laws hold for the sets that they stand
//! for.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use repl_core::{AppliedSet, NewShard, ReplicationState, SeqRange, ShardId, Snapshot};

/// Of each shard what is completed, of the seqnos 1 to `TOP`.
type Sets = BTreeMap<ShardId, BTreeSet<u64>>;

const TOP: u64 = 9;

fn sets() -> impl Strategy<Value = Sets> {
    let set = prop::collection::btree_set(1..=TOP, 0..=9);
    prop::collection::btree_map((0..3_u64).prop_map(ShardId), set, 0..3)
}

fn state(sets: &Sets) -> ReplicationState {
    let state = ReplicationState::new(&[]);
    for (shard, set) in sets {
        if let Ok(shard) = state.add_shard(NewShard::new(*shard)) {
            // From above, so that the mark comes last, and ranges meet and join.
            for seqno in set.iter().rev() {
                shard.complete(SeqRange::new(*seqno, *seqno));
            }
        }
    }
    state
}

fn of(sets: &Sets) -> Snapshot {
    state(sets).snapshot()
}

fn sets_of(snapshot: &Snapshot) -> Sets {
    let set = |(shard, mark): (ShardId, u64)| {
        let above = snapshot.completed(shard).iter();
        (shard, (1..=mark).chain(above.flat_map(|range| range.first..=range.last)).collect())
    };
    snapshot.iter().map(set).collect()
}

fn union(a: &Sets, b: &Sets) -> Sets {
    let mut sets = a.clone();
    for (shard, set) in b {
        sets.entry(*shard).or_default().extend(set);
    }
    sets
}

fn intersection(a: &Sets, b: &Sets) -> Sets {
    let both = |(shard, set): (&ShardId, &BTreeSet<u64>)| {
        Some((*shard, set.intersection(b.get(shard)?).copied().collect()))
    };
    a.iter().filter_map(both).collect()
}

fn holds(a: &Sets, b: &Sets) -> bool {
    b.iter().all(|(shard, set)| a.get(shard).is_some_and(|held| held.is_superset(set)))
}

proptest! {
    #[test]
    fn a_snapshot_is_the_set_of_what_is_completed(a in sets()) {
        let snapshot = of(&a);
        prop_assert_eq!(sets_of(&snapshot), a);
        for (shard, mark) in &snapshot {
            let mut below = mark;
            for range in snapshot.completed(shard) {
                prop_assert!(below + 1 < range.first && range.first <= range.last);
                below = range.last;
            }
        }
    }

    #[test]
    fn a_set_holds_what_was_put_into_it_in_whatever_order_and_form(
        mark in 0..4_u64,
        ranges in prop::collection::vec((0..=TOP, 0..=TOP), 0..5),
        more in prop::collection::vec(1..=TOP, 0..4),
    ) {
        let above = ranges.iter().map(|(first, last)| SeqRange::new(*first, *last));
        let set = AppliedSet::new(mark, above).with(more.clone());
        let mut model: BTreeSet<u64> = (1..=mark).chain(more).collect();
        model.extend(ranges.iter().flat_map(|(first, last)| (*first).max(1)..=*last));
        let held = (1..=set.mark()).chain(set.above().iter().flat_map(|r| r.first..=r.last));
        prop_assert_eq!(held.collect::<BTreeSet<u64>>(), model.clone());
        prop_assert!((0..TOP + 3).all(|n| set.contains(n) == (n == 0 || model.contains(&n))));
        prop_assert_eq!(set.highest(), model.last().copied().unwrap_or(0));
        let mut below = set.mark();
        for range in set.above() {
            prop_assert!(below + 1 < range.first && range.first <= range.last, "{:?}", set);
            below = range.last;
        }
    }

    #[test]
    fn max_is_the_union_and_a_join(a in sets(), b in sets(), c in sets()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(&x.max(&y), &of(&union(&a, &b)));
        prop_assert_eq!(x.max(&y), y.max(&x));
        prop_assert_eq!(x.max(&y).max(&z), x.max(&y.max(&z)));
        prop_assert_eq!(x.max(&x), x);
    }

    #[test]
    fn min_is_the_intersection_and_a_meet(a in sets(), b in sets(), c in sets()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(&x.min(&y), &of(&intersection(&a, &b)));
        prop_assert_eq!(x.min(&y), y.min(&x));
        prop_assert_eq!(x.min(&y).min(&z), x.min(&y.min(&z)));
        prop_assert_eq!(x.min(&x.max(&y)), x.clone());
        prop_assert_eq!(x.max(&x.min(&y)), x);
    }

    #[test]
    fn dominance_is_inclusion(a in sets(), b in sets()) {
        let (x, y) = (of(&a), of(&b));
        prop_assert_eq!(x.dominates(&y), holds(&a, &b));
        prop_assert_eq!(x.dominates(&y), x.max(&y) == x);
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn merging_is_the_union_on_the_shards_that_are_tracked(a in sets(), b in sets()) {
        let ours = state(&a);
        let merged = ours.merge(&of(&b));
        let unknown = b.keys().filter(|shard| !a.contains_key(shard)).copied();
        prop_assert_eq!(merged.unknown, unknown.collect::<Vec<_>>());
        let mut expected = union(&a, &b);
        expected.retain(|shard, _| a.contains_key(shard));
        prop_assert_eq!(sets_of(&ours.snapshot()), expected);
    }

    #[test]
    fn a_clone_has_the_same_completed_and_shares_nothing(a in sets()) {
        let first = state(&a);
        let second = first.clone();
        prop_assert_eq!(first.snapshot(), second.snapshot());
        for shard in a.keys() {
            first.shard(*shard).unwrap().complete(SeqRange::new(1, TOP + 1));
        }
        prop_assert_eq!(sets_of(&second.snapshot()), a);
    }

    #[test]
    fn a_lowered_shard_has_nothing_completed_above(a in sets(), to in 0..TOP) {
        let mut snapshot = of(&a);
        for (shard, set) in &a {
            let mark = snapshot.get(*shard).unwrap();
            let lowered = snapshot.lower(*shard, to);
            prop_assert_eq!(lowered, mark > to);
            let expected = if lowered { (1..=to).collect() } else { set.clone() };
            prop_assert_eq!(&sets_of(&snapshot)[shard], &expected);
            snapshot.forget_completed(*shard);
            prop_assert_eq!(snapshot.completed(*shard), &[]);
        }
    }
}
