//! Snapshot, flush, save: in this order, and never a mark that the engine did not make durable.

use std::convert::Infallible;

use repl_checkpoint::{CheckpointError, SaveError, Saved};
use repl_core::{Incarnation, NewShard, ShardId, Snapshot};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{durable, marks_in, recovered, save, saved_in};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

/// A flush that lowers or raises nothing but what it is told.
fn lowering(shard: ShardId, to: u64) -> impl FnOnce(&mut Snapshot) -> Result<(), Infallible> {
    move |marks| {
        marks.lower(shard, to);
        Ok(())
    }
}

#[test]
fn the_flush_comes_after_the_snapshot_and_before_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let (seen, state) = (store.clone(), follower.state.clone());
    let flush = |marks: &mut Snapshot| {
        // What is applied during the flush may not be durable when it ends.
        state.advance(ONE, 6);
        seen.note(format!("flush up to {:?}", marks.get(ONE)));
        Ok::<_, Infallible>(())
    };
    follower.checkpointer.checkpoint(flush).unwrap();
    assert_eq!(store.take_events(), ["flush up to Some(5)", "save 1 confirmed 0"]);
    assert_eq!(store.mark(1), Some(5));
    // What was applied while saving is saved by the next one.
    follower.checkpointer.checkpoint(durable).unwrap();
    assert_eq!(store.mark(1), Some(6));
}

#[test]
fn a_flush_that_fails_saves_nothing() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let error = follower.checkpointer.checkpoint(|_| Err("disk gone")).unwrap_err();
    assert!(matches!(error, CheckpointError::Flush("disk gone")));
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
fn a_mark_that_the_flush_raises_is_saved_as_it_was() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let raise = |marks: &mut Snapshot| {
        *marks = marks.max(&Snapshot::from_iter([(ONE, 99), (TWO, 99)]));
        Ok::<_, Infallible>(())
    };
    follower.checkpointer.checkpoint(raise).unwrap();
    assert_eq!((store.mark(1), store.mark(2)), (Some(5), None));
    assert_eq!(follower.checkpointer.floors().checkpointed(ONE), Some(5));
}

#[test]
fn raising_one_mark_does_not_undo_the_lowering_of_another() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    follower.state.advance(ONE, 5);
    follower.state.advance(TWO, 5);
    let both = |marks: &mut Snapshot| {
        *marks = Snapshot::from_iter([(ONE, 99), (TWO, 3)]);
        Ok::<_, Infallible>(())
    };
    follower.checkpointer.checkpoint(both).unwrap();
    assert_eq!((store.mark(1), store.mark(2)), (Some(5), Some(3)));
}

#[test]
fn a_shard_that_the_flush_leaves_out_is_not_durable() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let leave_out = |marks: &mut Snapshot| {
        *marks = Snapshot::default();
        Ok::<_, Infallible>(())
    };
    follower.checkpointer.checkpoint(leave_out).unwrap();
    assert_eq!(store.mark(1), Some(0));
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
fn nothing_is_written_only_where_both_own_generations_hold_the_marks() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered(dir.path(), &[1]);
    first.state.advance(ONE, 5);
    for generation in [1, 2] {
        assert_eq!(save(&mut first.checkpointer), generation);
    }
    let never = |_: &mut Snapshot| -> Result<(), Infallible> { panic!("flushed for nothing") };
    for _ in 0..3 {
        assert_eq!(first.checkpointer.checkpoint(never).unwrap(), Saved::Unchanged);
    }
    drop(first);
    // What an earlier process saved may not be on the disk: both saves are made again.
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
    // The number of a life that came and went must not be given again.
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
    assert!(
        matches!(&error, CheckpointError::Save(SaveError::Poisoned { .. })) && error.is_poisoning()
    );
}

#[test]
fn the_log_and_the_life_of_a_shard_are_saved_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = repl_core::LogId(u128::MAX - 1);
    let mut first = recovered(dir.path(), &[1]);
    first.state.add_shard(NewShard::new(TWO).with_mark(7).with_log(log)).unwrap();
    let life = first.state.shard(TWO).unwrap().incarnation();
    save(&mut first.checkpointer);
    drop(first);
    let second = recovered(dir.path(), &[1, 2]);
    let two = second.state.shard(TWO).unwrap();
    assert_eq!((two.applied(), two.log(), two.incarnation()), (7, log, life));
}

#[test]
fn the_number_of_a_life_is_never_used_again_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut used = Vec::new();
    for start in 0..4 {
        let mut follower = recovered(dir.path(), &[1]);
        if start == 0 {
            used.push(follower.state.shard(ONE).unwrap().incarnation());
        }
        // One that is saved, and one that no checkpoint ever names.
        used.push(follower.state.reset_shard(NewShard::new(ONE)).unwrap().incarnation());
        save(&mut follower.checkpointer);
        follower.state.add_shard(NewShard::new(TWO)).unwrap();
        used.push(follower.state.remove_shard(TWO).unwrap().incarnation());
        let generation = save(&mut follower.checkpointer);
        let (_, checkpoint) = saved_in(dir.path(), generation);
        assert!(used.iter().all(|life| *life < checkpoint.next_incarnation));
    }
    assert!(used.is_sorted_by(|a, b| a < b), "{used:?}");
    assert_eq!(used[0], Incarnation(0));
}
