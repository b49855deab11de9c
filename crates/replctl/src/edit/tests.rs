//! What a change makes of a checkpoint.

use super::*;
use repl_core::{EpochStart, LogId};

const ONE: ShardId = ShardId(1);
const BOTH: Allowed = Allowed { replay: true, skip: true };

fn checkpoint() -> Checkpoint {
    let row = ShardCheckpoint {
        shard: ONE,
        log: LogId(9),
        incarnation: Incarnation(7),
        mark: 42,
        completed: Box::new([SeqRange::from(44), SeqRange::new(46, 50)]),
        epochs: Box::new([
            EpochStart { epoch: 0, first: 1 },
            EpochStart { epoch: 3, first: 40 },
            EpochStart { epoch: 4, first: 45 },
        ]),
    };
    let other = ShardCheckpoint { shard: ShardId(2), mark: 7, ..row.clone() };
    Checkpoint { next_incarnation: Incarnation(8), shards: vec![row, other] }
}

fn shown(segments: &Segments) -> String {
    segments.to_string()
}

#[test]
fn a_lowered_mark_drops_ranges_and_epochs_above_and_keeps_log_and_other_shards() {
    let before = checkpoint();
    let edit = set(&before, ONE, 40, BOTH).unwrap().unwrap();
    assert_eq!(edit.after.mark, 40);
    assert_eq!((edit.after.incarnation, edit.after.log), (Incarnation(8), LogId(9)));
    assert!(edit.after.completed.is_empty());
    assert_eq!(edit.after.epochs.len(), 2);
    assert_eq!(shown(&edit.replayed), "segments 41 to 42, 44, 46 to 50");
    assert!(edit.skipped.0.is_empty());
    assert_eq!(edit.checkpoint.next_incarnation, Incarnation(9));
    assert_eq!(edit.checkpoint.shard(ONE), Some(&edit.after));
    assert_eq!(edit.checkpoint.shards[1], before.shards[1]);
    edit.checkpoint.validate().unwrap();
}

#[test]
fn a_raised_mark_says_which_segments_are_skipped_and_which_are_replayed() {
    let edit = set(&checkpoint(), ONE, 48, BOTH).unwrap().unwrap();
    assert_eq!(shown(&edit.skipped), "segments 43, 45");
    assert_eq!(shown(&edit.replayed), "segments 49 to 50");
    assert_eq!(edit.after.epochs.len(), 3);
    let edit = set(&checkpoint(), ONE, u64::MAX, BOTH).unwrap().unwrap();
    assert_eq!(shown(&edit.skipped), "segments 43, 45, 51 to 18446744073709551615");
    edit.checkpoint.validate().unwrap();
}

#[test]
fn a_flag_of_the_other_direction_allows_nothing() {
    let skip = Allowed { skip: true, replay: false };
    let replay = Allowed { skip: false, replay: true };
    for to in [0, 41, 42] {
        let refused = set(&checkpoint(), ONE, to, skip).unwrap_err();
        assert!(matches!(refused, RefusedEdit::Replay(_)), "{to}");
        assert!(set(&checkpoint(), ONE, to, replay).unwrap().is_some());
    }
    let refused = set(&checkpoint(), ONE, 43, replay).unwrap_err();
    assert!(matches!(refused, RefusedEdit::Skip(_)));
    assert!(set(&checkpoint(), ONE, 43, skip).unwrap().is_some());
    assert_eq!(set(&checkpoint(), ShardId(3), 1, BOTH), Err(RefusedEdit::NoShard(ShardId(3))));
}

#[test]
fn the_last_incarnation_is_not_used_for_a_change() {
    let mut last = checkpoint();
    last.next_incarnation = Incarnation(u64::MAX);
    assert_eq!(set(&last, ONE, 1, BOTH), Err(RefusedEdit::NoIncarnation(ONE)));
    assert_eq!(begun_again(last, None), Err(RefusedEdit::NoIncarnation(ONE)));
}

#[test]
fn a_restored_checkpoint_begins_above_both_incarnations_and_keeps_all_else() {
    let old = checkpoint();
    let there = Checkpoint { next_incarnation: Incarnation(20), shards: Vec::new() };
    let again = begun_again(old.clone(), Some(&there)).unwrap();
    assert_eq!(again.next_incarnation, Incarnation(21));
    for (row, was) in again.shards.iter().zip(&old.shards) {
        assert_eq!(row.incarnation, Incarnation(20));
        assert_eq!(*row, ShardCheckpoint { incarnation: Incarnation(20), ..was.clone() });
    }
    assert_eq!(begun_again(old, None).unwrap().next_incarnation, Incarnation(9));
}
