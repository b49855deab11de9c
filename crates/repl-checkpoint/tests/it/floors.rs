//! No segment that a later recovery may need is below a floor.

mod any_order;
mod world;

use repl_checkpoint::{Attempt, CheckpointError, Floors, OnCorrupt, Saved, Status};
use repl_core::{NewShard, SeqNo, ShardId};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{Flushed, copy_of, durable, recovered, save, try_recover};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

fn of(floors: &Floors, shard: ShardId) -> (Option<SeqNo>, Option<SeqNo>) {
    (floors.checkpointed(shard), floors.retention_floor(shard))
}

const _: () = {
    const fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Floors>();
};

#[test]
fn checkpointed_is_set_by_the_first_save_and_the_floor_by_the_second() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    assert_eq!(of(&floors, ONE), (None, None));
    let expected = [(5, (Some(5), None)), (7, (Some(7), Some(5))), (9, (Some(9), Some(7)))];
    for (mark, after) in expected {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
        assert_eq!(of(&floors, ONE), after);
    }
    save(&mut follower.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(9), Some(9)));
    assert_eq!(of(&floors, TWO), (None, None));
}

#[test]
fn what_an_earlier_process_saved_sets_no_floor() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = recovered(dir.path(), &[1]);
    first.state.advance(ONE, 5);
    save(&mut first.checkpointer);
    save(&mut first.checkpointer);
    drop(first);
    let mut second = recovered(dir.path(), &[1]);
    let floors = second.checkpointer.floors();
    assert_eq!(of(&floors, ONE), (None, None));
    save(&mut second.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(5), None));
    save(&mut second.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(5), Some(5)));
}

#[test]
fn no_floor_moves_before_the_save_has_succeeded() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    for mark in [5, 7] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    follower.state.advance(ONE, 9);
    let during = |_: &mut Attempt| {
        assert_eq!(of(&floors, ONE), (Some(7), Some(5)));
        Ok(())
    };
    follower.checkpointer.checkpoint(during).unwrap();
}

#[test]
fn errors_freeze_the_floors_and_show_in_the_health() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    assert_eq!(floors.health().status, Status::Good);
    for mark in [5, 7] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    let failing = |n: u64, said: &str| match floors.health().status {
        Status::Failing { failures, error } => failures == n && error.contains(said),
        _ => false,
    };
    follower.state.advance(ONE, 9);
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    assert!(failing(1, "failed to flush"), "{:?}", floors.health());
    let lower = |attempt: &mut Attempt| {
        attempt.lower(ONE, 1);
        Ok(())
    };
    follower.checkpointer.checkpoint(lower).unwrap_err();
    assert!(failing(2, "shard 1"), "{:?}", floors.health());
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(failing(3, "not saved"), "{:?}", floors.health());
    assert_eq!(of(&floors, ONE), (Some(7), Some(5)));

    save(&mut follower.checkpointer);
    assert_eq!(floors.health().status, Status::Good);
    assert_eq!(of(&floors, ONE), (Some(9), Some(7)));
    // Failures are counted from the last success.
    follower.state.advance(ONE, 10);
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    assert!(failing(1, "failed to flush"));
}

#[test]
fn a_poisoned_store_freezes_the_floors_and_shows_in_the_health() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    for mark in [5, 7] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    follower.state.advance(ONE, 9);
    store.fail_next(&[Outcome::InDoubt]);
    for _ in 0..3 {
        follower.checkpointer.checkpoint(durable).unwrap_err();
        assert!(matches!(floors.health().status, Status::Poisoned { .. }));
        assert_eq!(of(&floors, ONE), (Some(7), Some(5)));
    }
}

#[test]
fn health_stays_poisoned_when_nothing_is_left_to_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 9);
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    // The flush would fail or lower the mark to 5, which both generations hold. But a poisoned
    // store is no reason to flush.
    let no_flush = |_: &mut Attempt| -> Flushed { panic!("flushed for nothing") };
    for _ in 0..2 {
        let error = follower.checkpointer.checkpoint(no_flush).unwrap_err();
        assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
        assert!(matches!(floors.health().status, Status::Poisoned { .. }), "{:?}", floors.health());
    }
}

#[test]
fn saving_nothing_new_after_an_error_is_good_health() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 1);
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    let lower = |attempt: &mut Attempt| {
        attempt.lower(ONE, 0);
        Ok(())
    };
    assert_eq!(follower.checkpointer.checkpoint(lower).unwrap(), Saved::Unchanged);
    assert_eq!(floors.health().status, Status::Good);
}

#[test]
fn a_new_incarnation_has_no_floor_until_it_is_saved_itself() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 50);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(50), Some(50)));
    // Not even if the new incarnation starts above the floor of the old one.
    follower.state.reset_shard(NewShard::new(ONE).with_mark(60));
    assert_eq!(of(&floors, ONE), (None, None));
    save(&mut follower.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(60), None));
    save(&mut follower.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(60), Some(60)));

    follower.state.remove_shard(ONE);
    assert_eq!(of(&floors, ONE), (None, None));
    assert_eq!(of(&floors, TWO), (Some(0), Some(0)));
    follower.state.add_shard(NewShard::new(ONE).with_mark(3)).unwrap();
    assert_eq!(of(&floors, ONE), (None, None));
    save(&mut follower.checkpointer);
    assert_eq!(of(&floors, ONE), (Some(3), None));
}

#[test]
fn a_save_begun_before_a_reset_moves_no_mark_of_the_new_incarnation() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let (floors, state) = (follower.checkpointer.floors(), follower.state.clone());
    state.advance(ONE, 50);
    save(&mut follower.checkpointer);
    let reset = |_: &mut Attempt| {
        state.reset_shard(NewShard::new(ONE).with_mark(10));
        Ok(())
    };
    follower.checkpointer.checkpoint(reset).unwrap();
    assert_eq!(of(&floors, ONE), (None, None));
    save(&mut follower.checkpointer);
    assert_eq!(store.mark(1), Some(10));
    assert_eq!(of(&floors, ONE), (Some(10), None));
}

#[test]
fn a_removed_shard_is_unreferenced_after_two_saves() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let floors = follower.checkpointer.floors();
    let gone = |shard| floors.is_unreferenced(shard);
    assert!(!gone(ShardId(9)), "nothing is known before two saves");
    save(&mut follower.checkpointer);
    assert!(!gone(ShardId(9)));
    save(&mut follower.checkpointer);
    assert!(gone(ShardId(9)) && !gone(ONE));

    follower.state.remove_shard(ONE);
    assert!(!gone(ONE));
    save(&mut follower.checkpointer);
    assert!(!gone(ONE), "the checkpoint before the newest still names it");
    store.fail_next(&[Outcome::NotSaved]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(!gone(ONE));
    save(&mut follower.checkpointer);
    assert!(gone(ONE) && !gone(TWO));
    // A new incarnation references it again.
    follower.state.add_shard(NewShard::new(ONE)).unwrap();
    save(&mut follower.checkpointer);
    assert!(!gone(ONE));
}

/// A save in progress may hold a shard that was removed after it began.
#[test]
fn no_shard_is_unreferenced_while_a_save_that_may_hold_it_runs_or_is_in_doubt() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    for _ in 0..2 {
        save(&mut follower.checkpointer);
    }
    assert!(floors.is_unreferenced(TWO));
    follower.state.add_shard(NewShard::new(TWO).with_mark(7)).unwrap();
    let state = follower.state.clone();
    let saved = follower.checkpointer.checkpoint(|_| {
        state.remove_shard(TWO).unwrap();
        assert!(!floors.is_unreferenced(TWO), "this very save names it");
        Ok(())
    });
    saved.unwrap();
    assert!(!floors.is_unreferenced(TWO));
    for _ in 0..2 {
        save(&mut follower.checkpointer);
    }
    assert!(floors.is_unreferenced(TWO));

    follower.state.add_shard(NewShard::new(TWO).with_mark(7)).unwrap();
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    state.remove_shard(TWO).unwrap();
    assert!(!floors.is_unreferenced(TWO), "the save in doubt may have named it");
}

#[test]
fn a_floor_given_out_is_never_above_what_a_later_recovery_returns() {
    let dir = tempfile::tempdir().unwrap();
    let mut floor = None;
    for process in 0..3 {
        let mut follower = recovered(dir.path(), &[1]);
        for mark in 1..=4 {
            follower.state.advance(ONE, process * 10 + mark);
            let newest = save(&mut follower.checkpointer);
            floor = floor.max(follower.checkpointer.floors().retention_floor(ONE));
            // Another process recovers as if the newest file were damaged now.
            let copy = copy_of(dir.path());
            crate::support::put(copy.path(), newest, b"");
            if let Ok(found) = try_recover(copy.path(), &[1], OnCorrupt::FallBack) {
                assert!(floor <= found.state.applied_seqno(ONE), "{floor:?}");
            } else {
                assert_eq!((newest, floor), (1, None), "only the first has none before it");
            }
        }
    }
    assert_eq!(floor, Some(23));
}
