//! Snapshots of marks alone agree with maps of marks, and obey the laws of a lattice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use repl_core::{NewShard, ReplicationState, ShardId, Snapshot};

type Model = BTreeMap<ShardId, u64>;

/// Few shards and few marks, so that snapshots often share shards and marks.
fn marks() -> impl Strategy<Value = Model> {
    let mark = prop_oneof![0..6_u64, Just(u64::MAX - 1), Just(u64::MAX)];
    prop::collection::btree_map((0..6_u64).prop_map(ShardId), mark, 0..6)
}

fn of(marks: &Model) -> Snapshot {
    marks.iter().map(|(shard, mark)| (*shard, *mark)).collect()
}

fn model(snapshot: &Snapshot) -> Model {
    snapshot.iter().collect()
}

proptest! {
    #[test]
    fn max_is_commutative_associative_and_idempotent(a in marks(), b in marks(), c in marks()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(x.max(&y), y.max(&x));
        prop_assert_eq!(x.max(&y).max(&z), x.max(&y.max(&z)));
        prop_assert_eq!(x.max(&x), x.clone());
        let mut expected = a;
        for (shard, mark) in b {
            let entry = expected.entry(shard).or_insert(mark);
            *entry = mark.max(*entry);
        }
        prop_assert_eq!(model(&x.max(&y)), expected);
    }

    #[test]
    fn min_is_the_greatest_lower_bound(a in marks(), b in marks(), c in marks()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(x.min(&y), y.min(&x));
        prop_assert_eq!(x.min(&y).min(&z), x.min(&y.min(&z)));
        prop_assert_eq!(x.min(&x), x.clone());
        prop_assert!(x.min(&x.max(&y)).same_marks(&x));
        prop_assert!(x.max(&x.min(&y)).same_marks(&x));
        let both = a.iter().filter_map(|(s, m)| Some((*s, (*m).min(*b.get(s)?)))).collect();
        prop_assert_eq!(model(&x.min(&y)), both);
    }

    #[test]
    fn dominates_is_a_partial_order(a in marks(), b in marks(), c in marks()) {
        let (x, y, z) = (of(&a), of(&b), of(&c));
        let naive = b.iter().all(|(s, m)| a.get(s).is_some_and(|at| at >= m));
        prop_assert_eq!(x.dominates(&y), naive);
        prop_assert!(x.dominates(&x));
        prop_assert_eq!(x.dominates(&y) && y.dominates(&x), x.same_marks(&y));
        if x.dominates(&y) && y.dominates(&z) {
            prop_assert!(x.dominates(&z));
        }
        prop_assert!(x.max(&y).dominates(&x) && x.max(&y).dominates(&y));
        prop_assert!(x.dominates(&x.min(&y)) && y.dominates(&x.min(&y)));
        prop_assert_eq!(x.dominates(&y), x.max(&y).same_marks(&x));
    }

    #[test]
    fn lag_is_what_the_other_has_in_front(a in marks(), b in marks()) {
        let (behind, ahead) = (of(&a), of(&b));
        let naive: Vec<_> = b
            .iter()
            .map(|(s, m)| (*s, m.saturating_sub(a.get(s).copied().unwrap_or(0))))
            .collect();
        prop_assert_eq!(behind.lag(&ahead).collect::<Vec<_>>(), naive);
        prop_assert!(ahead.lag(&ahead).all(|(_, lag)| lag == 0));
    }

    #[test]
    fn every_way_of_reading_agrees(a in marks()) {
        let snapshot = of(&a);
        prop_assert_eq!(snapshot.len(), a.len());
        prop_assert_eq!(snapshot.is_empty(), a.is_empty());
        prop_assert!(snapshot.iter().eq(a.iter().map(|(s, m)| (*s, *m))));
        prop_assert!((&snapshot).into_iter().eq(snapshot.iter()));
        prop_assert_eq!(snapshot.iter().len(), a.len());
        prop_assert!(snapshot.marks().iter().eq(a.values()));
        prop_assert!(snapshot.shards().eq(a.keys().copied()));
        prop_assert_eq!(snapshot.shards().len(), a.len());
        prop_assert!(snapshot.entries().map(|e| (e.shard, e.mark())).eq(snapshot.iter()));
        for shard in (0..8).map(ShardId) {
            prop_assert_eq!(snapshot.mark(shard), a.get(&shard).copied());
            let entry = snapshot.entry(shard).map(|e| (e.shard, e.mark()));
            prop_assert_eq!(entry, a.get(&shard).map(|m| (shard, *m)));
        }
        prop_assert_eq!(snapshot.iter().collect::<BTreeMap<_, _>>(), a);
    }

    #[test]
    fn equal_marks_make_equal_snapshots(a in marks(), b in marks()) {
        prop_assert_eq!(of(&a) == of(&b), a == b);
        let state = ReplicationState::new(&a.keys().copied().collect::<Vec<_>>());
        let _ = state.merge(&of(&a));
        prop_assert_eq!(state.snapshot(), of(&a));
        prop_assert_eq!(state.snapshot() == of(&b), a == b);
    }

    #[test]
    fn lower_never_raises_and_touches_one_shard(a in marks(), shard in 0..8_u64, to in 0..8_u64) {
        let shard = ShardId(shard);
        let (before, mut after) = (of(&a), of(&a));
        let lowered = after.lower(shard, to);
        prop_assert_eq!(lowered, a.get(&shard).is_some_and(|mark| *mark > to));
        prop_assert_eq!(lowered, after != before);
        prop_assert!(before.dominates(&after));
        prop_assert_eq!(after.mark(shard), a.get(&shard).map(|mark| to.min(*mark)));
        let others = |s: &Snapshot| s.iter().filter(|(s, _)| *s != shard).collect::<Vec<_>>();
        prop_assert_eq!(others(&after), others(&before));
    }

    #[test]
    fn of_two_marks_of_one_shard_the_larger_counts(
        pairs in prop::collection::vec((0..4_u64, 0..9_u64), 0..12),
    ) {
        let snapshot: Snapshot = pairs.iter().map(|(s, m)| (ShardId(*s), *m)).collect();
        let mut expected = Model::new();
        for (shard, mark) in pairs {
            let entry = expected.entry(ShardId(shard)).or_insert(mark);
            *entry = mark.max(*entry);
        }
        prop_assert_eq!(model(&snapshot), expected);
    }
}

#[test]
fn an_unknown_shard_is_not_a_mark_of_0() {
    let unknown = Snapshot::from_iter([(ShardId(1), 5)]);
    let zero = Snapshot::from_iter([(ShardId(1), 5), (ShardId(2), 0)]);
    assert_ne!(unknown, zero);
    assert!(zero.dominates(&unknown) && !unknown.dominates(&zero));
    assert_eq!(unknown.lag(&zero).collect::<Vec<_>>(), [(ShardId(1), 0), (ShardId(2), 0)]);
}

#[test]
fn max_and_lower_keep_the_incarnation() {
    let state = ReplicationState::new(&[ShardId(1)]);
    let earlier = state.snapshot();
    state.advance(ShardId(1), 8);
    let mut later = state.snapshot();
    let incarnation = state.shard(ShardId(1)).unwrap().incarnation();
    assert!(later.lower(ShardId(1), 6));
    let max = earlier.max(&later);
    assert_eq!(max.entry(ShardId(1)).unwrap().incarnation, incarnation);
    assert_eq!(max.next_incarnation(), later.next_incarnation());

    state.reset_shard(NewShard::new(ShardId(1)).with_mark(1)).unwrap();
    assert_ne!(state.snapshot().entry(ShardId(1)).unwrap().incarnation, incarnation);
    assert_eq!(
        later.entry(ShardId(1)).unwrap().incarnation,
        incarnation,
        "a snapshot holds values"
    );
}
