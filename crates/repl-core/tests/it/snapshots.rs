//! A snapshot keeps every shard whole: its log, incarnation, mark and ranges.

#[cfg(feature = "serde")]
mod serde;

use proptest::prelude::*;
use repl_core::{
    AppliedSet, Incarnation, LogId, NewShard, ReplicationState, ShardId, Snapshot, SnapshotEntry,
};

const SHARD: ShardId = ShardId(1);
const OTHER: ShardId = ShardId(2);

fn entry() -> impl Strategy<Value = SnapshotEntry> {
    let ranges = prop::collection::vec((0..40_u64, 0..4_u64), 0..4);
    let applied = (0..20_u64, ranges).prop_map(|(mark, ranges)| {
        AppliedSet::new(mark, ranges.into_iter().map(|(first, by)| first..=first + by))
    });
    (0..9_u64, 0..3_u64, 0..5_u64, applied).prop_map(|(shard, log, incarnation, applied)| {
        SnapshotEntry::new(shard, applied)
            .with_log(LogId::from(log))
            .with_incarnation(Incarnation(incarnation))
    })
}

/// Ascending by shard, without duplicates.
fn entries() -> impl Strategy<Value = Vec<SnapshotEntry>> {
    prop::collection::vec(entry(), 0..8).prop_map(|mut entries| {
        entries.sort_by_key(|entry| entry.shard);
        entries.dedup_by_key(|entry| entry.shard);
        entries
    })
}

fn set() -> AppliedSet {
    AppliedSet::new(10, [12..=13, 20..=29])
}

/// One shard with everything in it, and another.
fn whole() -> Snapshot {
    let entry = SnapshotEntry::new(SHARD, set());
    let entry = entry.with_log(LogId(0xfeed)).with_incarnation(Incarnation(3));
    let other = SnapshotEntry::new(OTHER, AppliedSet::new(2, [9]));
    Snapshot::from_iter([entry, other]).with_next_incarnation(Incarnation(7))
}

fn entry_of(snapshot: &Snapshot) -> SnapshotEntry {
    snapshot.entry(SHARD).unwrap()
}

proptest! {
    #[test]
    fn entries_are_collected_and_given_back_whole(entries in entries()) {
        let snapshot: Snapshot = entries.iter().rev().cloned().collect();
        prop_assert_eq!(snapshot.entries().collect::<Vec<_>>(), entries.clone());
        prop_assert_eq!(&snapshot.entries().collect::<Snapshot>(), &snapshot);
        for entry in &entries {
            prop_assert_eq!(snapshot.entry(entry.shard), Some(entry.clone()));
            prop_assert_eq!(snapshot.mark(entry.shard), Some(entry.applied_set.mark()));
            prop_assert_eq!(snapshot.incarnation(entry.shard), Some(entry.incarnation));
            prop_assert_eq!(snapshot.applied_set(entry.shard), Some(entry.applied_set.clone()));
        }
        let highest = entries.iter().map(|entry| entry.incarnation.next()).max();
        prop_assert_eq!(snapshot.next_incarnation(), highest.unwrap_or_default());
    }

    #[test]
    fn of_two_entries_of_one_shard_the_one_with_the_larger_mark_is_kept_whole(
        entries in prop::collection::vec(entry(), 0..8),
    ) {
        let snapshot: Snapshot = entries.iter().cloned().collect();
        for kept in snapshot.entries() {
            let same = || entries.iter().filter(|entry| entry.shard == kept.shard);
            prop_assert_eq!(same().map(SnapshotEntry::mark).max(), Some(kept.mark()));
            prop_assert!(same().any(|entry| *entry == kept));
        }
        prop_assert!(entries.iter().all(|entry| snapshot.mark(entry.shard).is_some()));
    }

    #[test]
    fn retain_keeps_the_chosen_entries_whole(entries in entries(), kept in any::<[bool; 9]>()) {
        let keep = |shard: ShardId| kept[usize::try_from(shard.0).unwrap()];
        let before: Snapshot = entries.iter().cloned().collect();
        let mut after = before.clone();
        after.retain(keep);
        let expected: Vec<_> = entries.iter().filter(|e| keep(e.shard)).cloned().collect();
        prop_assert_eq!(after.entries().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(after.next_incarnation(), before.next_incarnation());
        prop_assert_eq!(after.len(), expected.len());
        for entry in &entries {
            prop_assert_eq!(after.entry(entry.shard).is_some(), keep(entry.shard));
        }
        prop_assert!(before.dominates(&after));
    }
}

#[test]
fn without_above_drops_the_ranges_and_nothing_else() {
    let bare = whole().without_above();
    let mut expected = entry_of(&whole());
    expected.applied_set = AppliedSet::up_to(10);
    assert_eq!(entry_of(&bare), expected);
    assert_eq!(bare.applied_set(OTHER), Some(AppliedSet::up_to(2)));
    assert_eq!(bare.next_incarnation(), Incarnation(7));
    assert!(bare.same_marks(&whole()));
    assert_eq!(bare.incarnation(ShardId(3)), None);
}

#[test]
fn retain_asks_for_each_shard_once_in_ascending_order() {
    let mut snapshot = Snapshot::from_iter([5, 1, 3].map(|shard| (ShardId(shard), shard)));
    let mut asked = Vec::new();
    snapshot.retain(|shard| {
        asked.push(shard);
        true
    });
    assert_eq!(asked, [1, 3, 5].map(ShardId));
    assert_eq!(snapshot.len(), 3);
    snapshot.retain(|_| false);
    assert!(snapshot.is_empty());
    assert_eq!(snapshot.next_incarnation(), Incarnation(1));
}

#[test]
fn equality_compares_every_field() {
    let with = |change: fn(&mut SnapshotEntry)| {
        let mut changed = whole().entry(SHARD).unwrap();
        change(&mut changed);
        let others = whole().entries().filter(|entry| entry.shard != SHARD).collect::<Vec<_>>();
        let next = whole().next_incarnation();
        others.into_iter().chain([changed]).collect::<Snapshot>().with_next_incarnation(next)
    };
    assert_eq!(with(|_| {}), whole());
    // And whether the marks alone are the same.
    let changed = [
        (with(|e| e.shard = ShardId(3)), false),
        (with(|e| e.applied_set.insert(11)), false),
        (with(|e| e.applied_set.remove(10..=20)), false),
        (with(|e| e.applied_set.remove(25)), true),
        (with(|e| e.applied_set.insert(90)), true),
        (with(|e| e.log = LogId(0xfeee)), true),
        (with(|e| e.log = LogId::UNNAMED), true),
        (with(|e| e.incarnation = Incarnation(4)), true),
        (whole().with_next_incarnation(Incarnation(8)), true),
    ];
    for (i, (changed, same_marks)) in changed.iter().enumerate() {
        assert_ne!(*changed, whole(), "{i}");
        assert_eq!(changed.same_marks(&whole()), *same_marks, "{i}: {changed:?}");
        assert_eq!(whole().same_marks(changed), *same_marks, "{i}: {changed:?}");
    }
}

#[test]
fn equality_of_snapshots_of_one_state_sees_marks_ranges_and_the_next_incarnation() {
    let state = ReplicationState::new(&[SHARD]);
    let shard = state.shard(SHARD).unwrap();
    let first = state.snapshot();
    assert_eq!(first, state.snapshot());
    shard.complete(5);
    assert_ne!(first, state.snapshot());
    assert!(first.same_marks(&state.snapshot()));
    assert_eq!(state.marks(), first, "without the ranges");
    shard.advance(1);
    assert!(!first.same_marks(&state.snapshot()));
    let before = state.snapshot();
    state.add_shard(NewShard::new(OTHER)).unwrap();
    assert!(!before.same_marks(&state.snapshot()));
    state.remove_shard(OTHER).unwrap();
    assert!(before.same_marks(&state.snapshot()));
    assert_ne!(before, state.snapshot(), "the next incarnation is another");
}

#[test]
fn lower_keeps_the_log_and_the_incarnation_and_drops_the_ranges() {
    let mut snapshot = whole();
    assert!(snapshot.lower(SHARD, 4));
    let entry = entry_of(&snapshot);
    assert_eq!((entry.log, entry.incarnation), (LogId(0xfeed), Incarnation(3)));
    assert_eq!(entry.applied_set, AppliedSet::up_to(4));
    assert_eq!(snapshot.next_incarnation(), Incarnation(7));
    assert_eq!(snapshot.entry(OTHER), whole().entry(OTHER));
    for to in [4, 5, u64::MAX] {
        assert!(!snapshot.lower(SHARD, to));
    }
    assert!(!snapshot.lower(ShardId(9), 0));

    let mut unchanged = whole();
    assert!(!unchanged.lower(SHARD, 10), "at the mark already");
    assert_eq!(unchanged, whole(), "with its ranges");
}

#[test]
fn drop_above_drops_the_ranges_of_one_shard_alone() {
    let mut snapshot = whole();
    snapshot.drop_above(SHARD);
    let entry = entry_of(&snapshot);
    assert_eq!(entry.applied_set, AppliedSet::up_to(10));
    assert_eq!((entry.log, entry.incarnation), (LogId(0xfeed), Incarnation(3)));
    assert!(snapshot.same_marks(&whole()));
    assert_eq!(snapshot.entry(OTHER), whole().entry(OTHER));
    let before = snapshot.clone();
    snapshot.drop_above(SHARD);
    snapshot.drop_above(ShardId(9));
    assert_eq!(snapshot, before);
}

#[test]
fn the_next_incarnation_is_above_every_incarnation_of_a_shard() {
    for (given, next) in [(0, 4), (3, 4), (4, 4), (5, 5)] {
        let snapshot = whole().with_next_incarnation(Incarnation(given));
        assert_eq!(snapshot.next_incarnation(), Incarnation(next));
    }
    assert_eq!(Snapshot::default().next_incarnation(), Incarnation(0));
    let marks = Snapshot::from_iter([(SHARD, 5)]);
    assert_eq!(marks.entries().next(), Some(SnapshotEntry::new(SHARD, AppliedSet::up_to(5))));
    assert_eq!(marks.next_incarnation(), Incarnation(1));
}

fn one_shard(mark: u64, above: u64, log: u64, incarnation: u64) -> Snapshot {
    let entry = SnapshotEntry::new(SHARD, AppliedSet::new(mark, [above]));
    Snapshot::from_iter([entry.with_log(log.into()).with_incarnation(incarnation.into())])
}

#[test]
fn max_takes_the_log_and_the_incarnation_of_the_larger_mark() {
    let (low, high) = (one_shard(5, 77, 0, 77), one_shard(9, 50, 7, 50));
    for max in [low.max(&high), high.max(&low)] {
        let entry = entry_of(&max);
        assert_eq!((entry.log, entry.incarnation), (LogId(7), Incarnation(50)));
        assert_eq!(entry.applied_set, AppliedSet::new(9, [50, 77]));
        assert_eq!(max.next_incarnation(), Incarnation(78));
    }
}

#[test]
fn sets_of_different_named_logs_are_never_combined() {
    let (low, high) = (one_shard(5, 77, 8, 1), one_shard(9, 50, 7, 1));
    for (one, other) in [(&low, &high), (&high, &low)] {
        assert_eq!(one.max(other), high);
        assert!(one.min(other).is_empty());
        assert!(!one.dominates(other));
    }
    let (low, high) = (one_shard(5, 77, 8, 1), one_shard(80, 90, 7, 1));
    assert!(!high.dominates(&low));
}

#[test]
fn the_next_incarnation_is_above_that_of_an_entry_that_is_not_kept() {
    let of = |mark, incarnation: u64| {
        SnapshotEntry::new(SHARD, AppliedSet::up_to(mark)).with_incarnation(incarnation.into())
    };
    let snapshot = Snapshot::from_iter([of(3, 5), of(9, 2)]);
    assert_eq!((snapshot.mark(SHARD), snapshot.next_incarnation()), (Some(9), Incarnation(6)));
}

#[test]
fn advanced_since_counts_another_incarnation_from_0() {
    let state = ReplicationState::new(&[SHARD, OTHER]);
    let first = state.snapshot();
    state.advance(SHARD, 5);
    state.advance(OTHER, 7);
    let second = state.snapshot();
    assert_eq!((second.advanced_since(&first), first.advanced_since(&second)), (12, 0));
    assert_eq!(second.advanced_since(&second), 0);
    state.reset_shard(NewShard::new(SHARD).with_mark(3)).unwrap();
    assert_eq!(state.snapshot().advanced_since(&second), 3);
    state.remove_shard(OTHER).unwrap();
    assert_eq!(state.snapshot().advanced_since(&second), 3, "a removed shard counts nothing");
    state.add_shard(NewShard::new(ShardId(9)).with_mark(u64::MAX)).unwrap();
    assert_eq!(state.snapshot().advanced_since(&second), u64::MAX, "the sum saturates");
}

#[test]
fn debug_output_shows_the_applied_set_of_each_shard() {
    assert_eq!(format!("{:?}", whole()), "{1: ..=10 + 12..=13 + 20..=29, 2: ..=2 + 9..=9}");
}
