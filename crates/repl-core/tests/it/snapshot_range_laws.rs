//! Snapshots with ranges above their marks agree with maps of sets of seqnos.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use repl_core::{AppliedSet, ReplicationState, SeqRange, ShardId, Snapshot, SnapshotEntry};

/// For each shard the completed seqnos, from 1 to `TOP`.
type Sets = BTreeMap<ShardId, BTreeSet<u64>>;

const TOP: u64 = 9;

fn sets() -> impl Strategy<Value = Sets> {
    let set = prop::collection::btree_set(1..=TOP, 0..=9);
    prop::collection::btree_map((0..3_u64).prop_map(ShardId), set, 0..3)
}

fn state(sets: &Sets) -> ReplicationState {
    let state = ReplicationState::new(&sets.keys().copied().collect::<Vec<_>>());
    for (shard, set) in sets {
        let shard = state.shard(*shard).unwrap();
        // From above, so that the mark moves last, over ranges that were joined.
        for seqno in set.iter().rev() {
            shard.complete(*seqno);
        }
    }
    state
}

fn of(sets: &Sets) -> Snapshot {
    state(sets).snapshot()
}

fn entries(snapshot: &Snapshot) -> Vec<SnapshotEntry> {
    snapshot.entries().collect()
}

fn seqnos_of(set: &AppliedSet) -> BTreeSet<u64> {
    let above = set.above().flat_map(|range| range.first()..=range.last());
    (1..=set.mark()).chain(above).collect()
}

fn sets_of(snapshot: &Snapshot) -> Sets {
    snapshot.entries().map(|entry| (entry.shard, seqnos_of(&entry.applied_set))).collect()
}

/// The ranges ascend and touch neither the mark nor each other.
fn in_form(set: &AppliedSet) -> Result<(), TestCaseError> {
    let mut below = set.mark();
    for range in set.above() {
        prop_assert!(below + 1 < range.first() && range.first() <= range.last(), "{:?}", set);
        below = range.last();
    }
    Ok(())
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
    fn a_snapshot_holds_exactly_what_is_completed(a in sets()) {
        let snapshot = of(&a);
        prop_assert_eq!(sets_of(&snapshot), a);
        for entry in snapshot.entries() {
            in_form(&entry.applied_set)?;
            prop_assert_eq!(snapshot.applied_set(entry.shard), Some(entry.applied_set));
        }
    }

    #[test]
    fn max_is_the_union_and_a_join(a in sets(), b in sets(), c in sets()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(x.max(&y), of(&union(&a, &b)));
        prop_assert_eq!(x.max(&y), y.max(&x));
        prop_assert_eq!(x.max(&y).max(&z), x.max(&y.max(&z)));
        prop_assert_eq!(x.max(&x), x);
    }

    #[test]
    fn min_is_the_intersection_and_a_meet(a in sets(), b in sets(), c in sets()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(entries(&x.min(&y)), entries(&of(&intersection(&a, &b))));
        prop_assert_eq!(x.min(&y), y.min(&x));
        prop_assert_eq!(x.min(&y).min(&z), x.min(&y.min(&z)));
        prop_assert_eq!(x.min(&x), x.clone());
        prop_assert_eq!(entries(&x.min(&x.max(&y))), entries(&x));
        prop_assert_eq!(entries(&x.max(&x.min(&y))), entries(&x));
    }

    #[test]
    fn dominance_is_inclusion(a in sets(), b in sets()) {
        let (x, y) = (of(&a), of(&b));
        prop_assert_eq!(x.dominates(&y), holds(&a, &b));
        prop_assert_eq!(x.dominates(&y), entries(&x.max(&y)) == entries(&x));
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
    fn a_clone_has_the_same_ranges_and_shares_nothing(a in sets()) {
        let first = state(&a);
        let second = first.clone();
        prop_assert_eq!(first.snapshot(), second.snapshot());
        for shard in a.keys() {
            first.shard(*shard).unwrap().complete(SeqRange::new(1, TOP + 1));
        }
        prop_assert_eq!(sets_of(&second.snapshot()), a);
    }

    #[test]
    fn a_lowered_shard_has_no_ranges_above_its_mark(a in sets(), to in 0..TOP) {
        let mut snapshot = of(&a);
        for (shard, set) in &a {
            let mark = snapshot.mark(*shard).unwrap();
            let lowered = snapshot.lower(*shard, to);
            prop_assert_eq!(lowered, mark > to);
            let expected = if lowered { (1..=to).collect() } else { set.clone() };
            prop_assert_eq!(&sets_of(&snapshot)[shard], &expected);
            snapshot.drop_above(*shard);
            let above = snapshot.applied_set(*shard).unwrap().range_count();
            prop_assert_eq!(above, 0);
        }
    }
}
