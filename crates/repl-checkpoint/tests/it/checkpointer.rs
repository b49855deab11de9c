//! Snapshot, flush, save, in this order: no mark is saved that is not durable.

use repl_checkpoint::{Attempt, CheckpointError, SaveError, Saved};
use repl_core::{NewShard, ShardId};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{Flushed, durable, marks_in, recovered, save};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

/// A flush that lowers one mark.
fn lowering(shard: ShardId, to: u64) -> impl FnOnce(&mut Attempt) -> Flushed {
    move |attempt| {
        attempt.lower(shard, to);
        Ok(())
    }
}

#[test]
fn the_flush_comes_after_the_snapshot_and_before_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let (seen, state) = (store.clone(), follower.state.clone());
    let flush = |attempt: &mut Attempt| {
        // Segments applied during the flush may not be durable when it ends.
        state.advance(ONE, 6);
        seen.note(format!("flush up to {:?}", attempt.marks().mark(ONE)));
        Ok(())
    };
    follower.checkpointer.checkpoint(flush).unwrap();
    assert_eq!(store.take_events(), ["flush up to Some(5)", "save 1 confirmed 0"]);
    assert_eq!(store.mark(1), Some(5));
    // The next checkpoint saves what was applied during this one.
    follower.checkpointer.checkpoint(durable).unwrap();
    assert_eq!(store.mark(1), Some(6));
}

#[test]
fn a_flush_that_fails_saves_nothing() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let error = follower.checkpointer.checkpoint(|_| Err("disk gone".into())).unwrap_err();
    assert!(matches!(&error, CheckpointError::Flush(why) if why.to_string() == "disk gone"));
    assert!(!error.is_poisoning());
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(save(&mut follower.checkpointer), 1);
}

#[test]
fn a_mark_that_the_flush_lowers_is_saved_lowered() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    follower.state.advance(ONE, 50);
    follower.state.advance(TWO, 70);
    follower.checkpointer.checkpoint(lowering(ONE, 40)).unwrap();
    assert_eq!((store.mark(1), store.mark(2)), (Some(40), Some(70)));
    assert_eq!(follower.state.applied_seqno(ONE), Some(50));
    assert_eq!(follower.checkpointer.floors().checkpointed(ONE), Some(40));
}

#[test]
fn lowering_a_mark_below_the_last_save_is_an_error_that_names_the_shard() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    follower.state.advance(TWO, 50);
    save(&mut follower.checkpointer);
    follower.state.advance(TWO, 60);
    let error = follower.checkpointer.checkpoint(lowering(TWO, 49)).unwrap_err();
    assert!(
        matches!(error, CheckpointError::BelowLastSave { shard: TWO, saved: 50, lowered: 49 }),
        "{error}"
    );
    assert_eq!(store.saves(), 1);
    follower.checkpointer.checkpoint(lowering(TWO, 50)).unwrap();
    assert_eq!(store.mark(2), Some(50));
}

#[test]
fn lowering_a_mark_below_the_recovered_one_is_an_error() {
    let store = Scripted::default();
    let first = &mut store.recovered(&[1]);
    first.state.advance(ONE, 50);
    save(&mut first.checkpointer);
    let mut second = store.recovered(&[1]);
    let error = second.checkpointer.checkpoint(lowering(ONE, 49)).unwrap_err();
    assert!(
        matches!(error, CheckpointError::BelowLastSave { shard: ONE, saved: 50, lowered: 49 }),
        "{error}"
    );
    assert_eq!(store.saves(), 1);
}

#[test]
fn a_save_that_failed_does_not_count_as_the_last() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 9);
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.checkpointer.checkpoint(lowering(ONE, 6)).unwrap();
    assert_eq!(store.mark(1), Some(6));
}

#[test]
fn a_shard_that_was_reset_may_be_saved_lower() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 50);
    save(&mut follower.checkpointer);
    follower.state.reset_shard(NewShard::new(ONE).with_mark(10));
    save(&mut follower.checkpointer);
    assert_eq!(store.mark(1), Some(10));
}

#[test]
fn nothing_is_written_only_if_both_own_generations_hold_the_marks() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered(dir.path(), &[1]);
    first.state.advance(ONE, 5);
    for generation in [1, 2] {
        assert_eq!(save(&mut first.checkpointer), generation);
    }
    let never = |_: &mut Attempt| -> Flushed { panic!("flushed for nothing") };
    for _ in 0..3 {
        assert_eq!(first.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    }
    drop(first);
    // The saves of an earlier process may not be on the disk, so this one saves twice.
    let mut second = recovered(dir.path(), &[1]);
    for generation in [3, 4] {
        assert_eq!(save(&mut second.checkpointer), generation);
    }
    assert_eq!(second.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    second.state.advance(ONE, 6);
    for generation in [5, 6] {
        assert_eq!(save(&mut second.checkpointer), generation);
    }
    assert_eq!(second.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    assert_eq!(marks_in(dir.path(), 5), [(1, 6)]);
}

#[test]
fn a_mark_that_stays_lowered_is_not_written_a_third_time() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    for _ in 0..2 {
        follower.checkpointer.checkpoint(lowering(ONE, 4)).unwrap();
    }
    let third = follower.checkpointer.checkpoint(lowering(ONE, 4)).unwrap();
    assert_eq!((third, store.saves()), (Saved::Unchanged, 2));
    save(&mut follower.checkpointer);
    assert_eq!(store.mark(1), Some(5));
}

#[test]
fn shards_that_come_and_go_are_written_though_no_mark_moved() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let twice = |follower: &mut repl_checkpoint::Recovered| {
        save(&mut follower.checkpointer);
        save(&mut follower.checkpointer);
        assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    };
    twice(&mut follower);
    follower.state.add_shard(NewShard::new(TWO)).unwrap();
    twice(&mut follower);
    follower.state.reset_shard(NewShard::new(TWO));
    twice(&mut follower);
    follower.state.remove_shard(TWO);
    twice(&mut follower);
    assert_eq!(store.mark(2), None);
    // The incarnation of a shard that was added and removed must not be used again.
    follower.state.add_shard(NewShard::new(TWO)).unwrap();
    follower.state.remove_shard(TWO);
    twice(&mut follower);
}

#[test]
fn generation_numbers_that_were_tried_are_not_used_again() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::NotSaved, Outcome::NotSaved]);
    for _ in 0..2 {
        let error = follower.checkpointer.checkpoint(durable).unwrap_err();
        assert!(matches!(&error, CheckpointError::Save(SaveError::NotSaved { .. })));
        assert!(!error.is_poisoning());
    }
    assert_eq!(save(&mut follower.checkpointer), 3);
    follower.state.advance(ONE, 1);
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    save(&mut follower.checkpointer);
    assert_eq!(
        store.take_events(),
        [
            "save 1 confirmed 0",
            "save 2 confirmed 0",
            "save 3 confirmed 0",
            "save 4 confirmed 3",
            "save 5 confirmed 3",
        ]
    );
    assert_eq!(store.newest().0.confirmed, 3);
}

#[test]
fn a_save_in_doubt_poisons() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubt]);
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Save(SaveError::InDoubt { .. })) && error.is_poisoning()
    );
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(&error, CheckpointError::Poisoned { .. }) && error.is_poisoning());
}
