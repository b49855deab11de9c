//! A checkpoint may hold ranges that a state joins: it is reopened as the one that was recovered.

use repl_core::{AppliedSet, SeqRange};

use super::ONE;
use crate::support::scripted::Scripted;
use crate::support::{marks, save, sealed};

/// Ranges above mark 10 that touch each other or the mark, and the mark that they make.
const TOUCHING: [(&[(u64, u64)], u64); 4] = [
    (&[(12, 13), (14, 15)], 10),
    (&[(11, 13)], 13),
    (&[(11, 11), (12, 12), (14, 14)], 12),
    (&[(11, u64::MAX - 1), (u64::MAX, u64::MAX)], u64::MAX),
];

fn with(ranges: &[(u64, u64)]) -> Scripted {
    let store = Scripted::default();
    let mut checkpoint = marks(&[(1, 10)]);
    checkpoint.shards[0].completed = ranges.iter().map(|&(a, b)| SeqRange::new(a, b)).collect();
    store.edit(|kept| kept.push((1, sealed(1, &checkpoint))));
    store
}

#[test]
fn a_recovered_checkpoint_with_touching_ranges_can_be_reopened() {
    for (ranges, mark) in TOUCHING {
        let store = with(ranges);
        let mut follower = store.recovered(&[1]);
        assert_eq!(follower.state.applied_seqno(ONE), Some(mark), "{ranges:?}");
        let reopened = follower.checkpointer.reopen(|| store.open());
        assert!(reopened.is_ok(), "{ranges:?}: {}", reopened.unwrap_err());
        assert_eq!(save(&mut follower.checkpointer), 2);
        let (_, saved) = store.newest();
        let expected = AppliedSet::new(10, ranges.iter().map(|&(a, b)| SeqRange::new(a, b)));
        let saved = &saved.shards[0];
        assert_eq!(AppliedSet::new(saved.mark, saved.completed.iter().copied()), expected);
        follower.checkpointer.reopen(|| store.open()).unwrap();
    }
}

/// The shard is an orphan: no state joins its ranges.
#[test]
fn a_recovered_orphan_with_touching_ranges_can_be_reopened() {
    for (ranges, _) in TOUCHING {
        let store = with(ranges);
        let mut follower = store.recovered(&[]);
        let reopened = follower.checkpointer.reopen(|| store.open());
        assert!(reopened.is_ok(), "{ranges:?}: {}", reopened.unwrap_err());
        save(&mut follower.checkpointer);
        assert_eq!(store.newest().1.shards[0].completed.len(), ranges.len(), "kept as it was");
        follower.checkpointer.reopen(|| store.open()).unwrap();
    }
}

#[test]
fn a_store_that_completed_other_ranges_is_refused() {
    for (ranges, _) in TOUCHING {
        let store = with(ranges);
        let mut follower = store.recovered(&[1]);
        let other = with(&[(12, 13), (15, 15)]);
        follower.checkpointer.reopen(|| other.open()).unwrap_err();
        follower.checkpointer.reopen(|| store.open()).unwrap();
    }
}
