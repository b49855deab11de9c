//! Opening the store of a running checkpointer again.

mod disks;
mod floors;
mod in_doubt_twice;
mod refused;
mod touching_ranges;

use std::sync::Arc;

use repl_checkpoint::{CheckpointError, FileStore, Recovered, Saved, SlotStore, Status};
use repl_core::{NewShard, ShardId};

use crate::orphaned::detailed;
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{AnyStore, begun, durable, opened, recovered_from, save, sealed};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

/// Marks 5 and 7 are saved as 1 and 2; the save of mark 9, as 3, ends so. An incarnation is used up
/// that no shard has.
fn after(outcome: Outcome) -> (Scripted, Recovered) {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.add_shard(NewShard::new(TWO)).unwrap();
    follower.state.remove_shard(TWO);
    for mark in [5, 7] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    follower.state.advance(ONE, 9);
    store.fail_next(&[outcome]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    store.take_events();
    (store, follower)
}

#[test]
fn it_goes_on_from_the_acknowledged_save_if_the_one_in_doubt_is_not_there() {
    let (store, mut follower) = after(Outcome::InDoubt);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    save(&mut follower.checkpointer);
    // 3 was attempted. What is known to survive is what it was.
    assert_eq!(store.take_events(), ["save 4 confirmed 1"]);
    assert_eq!((store.saves(), store.mark(1)), (3, Some(9)));
}

#[test]
fn it_goes_on_from_the_save_in_doubt_if_that_is_there() {
    let (store, mut follower) = after(Outcome::InDoubtButThere);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    save(&mut follower.checkpointer);
    assert_eq!(store.take_events(), ["save 4 confirmed 2"]);
    assert_eq!((store.saves(), store.mark(1)), (4, Some(9)));
}

#[test]
fn the_state_its_handles_and_the_floors_stay() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let (state, shard) = (follower.state.clone(), follower.state.shard(ONE).unwrap());
    let floors = follower.checkpointer.floors();
    let reached = shard.reached(10);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert!(Arc::ptr_eq(follower.checkpointer.state(), &state));
    assert_eq!(state.applied_seqno(ONE), Some(9));
    shard.advance(10);
    assert_eq!(reached.wait(), Ok(10));
    save(&mut follower.checkpointer);
    assert_eq!((store.mark(1), floors.checkpointed(ONE)), (Some(10), Some(10)));
}

#[test]
fn a_checkpointer_that_is_not_poisoned_can_be_reopened_too() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    // Before any save, and after the first of all was in doubt.
    follower.checkpointer.reopen(|| store.open()).unwrap();
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.checkpointer.reopen(|| store.open()).unwrap();
    follower.state.advance(ONE, 5);
    assert_eq!(save(&mut follower.checkpointer), 2);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 3);
    assert_eq!(follower.checkpointer.floors().health().status, Status::Good);
}

#[test]
fn it_goes_on_from_a_recovered_checkpoint_with_orphans_ranges_and_epochs() {
    let store = Scripted::default();
    store.edit(|kept| kept.push((1, sealed(1, &detailed()))));
    for shards in [&[ONE][..], &[ONE, ShardId(5)], &[]] {
        let mut follower = store.copy().track(shards);
        let orphaned = follower.checkpointer.orphaned_shards().to_vec();
        follower.checkpointer.reopen(|| store.copy().open()).unwrap();
        assert_eq!(follower.checkpointer.orphaned_shards(), orphaned);
        let own = store.copy();
        follower.checkpointer.reopen(|| own.open()).unwrap();
        save(&mut follower.checkpointer);
        assert_eq!(own.newest().1, detailed(), "{shards:?}");
        follower.checkpointer.reopen(|| own.open()).unwrap();
        save(&mut follower.checkpointer);
        assert_eq!(own.newest().1, detailed(), "{shards:?}");
    }
}

/// The save in doubt found the orphan tracked, and is what the store holds.
#[test]
fn an_orphan_that_the_save_in_doubt_held_as_tracked_does_not_come_back() {
    let store = Scripted::default();
    store.edit(|kept| kept.push((1, sealed(1, &detailed()))));
    let mut follower = store.track(&[ONE]);
    let five = ShardId(5);
    follower.state.add_shard(NewShard::new(five).with_mark(3)).unwrap();
    store.fail_next(&[Outcome::InDoubtButThere]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.state.remove_shard(five);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert!(follower.checkpointer.orphaned_shards().is_empty());
    save(&mut follower.checkpointer);
    assert_eq!(store.mark(5), None);
}

#[test]
fn an_orphan_stays_one_if_the_save_in_doubt_that_held_it_is_not_there() {
    let store = Scripted::default();
    store.edit(|kept| kept.push((1, sealed(1, &detailed()))));
    let mut follower = store.track(&[ONE]);
    let five = ShardId(5);
    follower.state.add_shard(NewShard::new(five).with_mark(3)).unwrap();
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.state.remove_shard(five);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    save(&mut follower.checkpointer);
    assert_eq!(store.newest().1.shard(five), detailed().shard(five));
}

#[test]
fn an_orphan_dropped_while_in_doubt_stays_dropped() {
    for outcome in [Outcome::InDoubt, Outcome::InDoubtButThere] {
        let store = Scripted::default();
        store.edit(|kept| kept.push((1, sealed(1, &detailed()))));
        let mut follower = store.track(&[ONE]);
        store.fail_next(&[outcome]);
        follower.checkpointer.checkpoint(durable).unwrap_err();
        assert!(follower.checkpointer.drop_orphan(ShardId(5)));
        follower.checkpointer.reopen(|| store.open()).unwrap();
        save(&mut follower.checkpointer);
        assert_eq!(store.mark(5), None);
    }
}

#[test]
fn an_attempt_begun_before_reopen_cannot_be_saved() {
    let (store, mut follower) = after(Outcome::NotSaved);
    let old = begun(&mut follower.checkpointer);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    store.take_events();
    let error = follower.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::Superseded), "{error}");
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(save(&mut follower.checkpointer), 4);
}

#[test]
fn an_attempt_begun_before_a_reopen_that_failed_cannot_be_saved() {
    let (store, mut follower) = after(Outcome::NotSaved);
    let old = begun(&mut follower.checkpointer);
    follower.checkpointer.reopen(|| Err::<Scripted, _>("no disk")).unwrap_err();
    let error = follower.checkpointer.save(old).unwrap_err();
    assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
    assert_eq!(store.take_events(), [""; 0]);
}

#[test]
fn no_mark_goes_below_what_was_acknowledged_before() {
    for (outcome, saved) in [(Outcome::InDoubt, 7), (Outcome::InDoubtButThere, 9)] {
        let (store, mut follower) = after(outcome);
        follower.checkpointer.reopen(|| store.open()).unwrap();
        let mut attempt = begun(&mut follower.checkpointer);
        attempt.lower(ONE, saved - 1);
        let error = follower.checkpointer.save(attempt).unwrap_err();
        assert!(
            matches!(error, CheckpointError::BelowLastSave { saved: s, .. } if s == saved),
            "{error}"
        );
        let mut attempt = begun(&mut follower.checkpointer);
        attempt.lower(ONE, saved);
        assert!(matches!(follower.checkpointer.save(attempt), Ok(Saved::Written(_))));
        assert_eq!(store.mark(1), Some(saved));
    }
}

#[test]
fn no_mark_goes_below_what_was_recovered_before_any_save() {
    let store = after(Outcome::NotSaved).0;
    let mut follower = store.recovered(&[1]);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    follower.state.advance(ONE, 8);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 6);
    let error = follower.checkpointer.save(attempt).unwrap_err();
    assert!(matches!(error, CheckpointError::BelowLastSave { saved: 7, .. }), "{error}");
}

#[test]
fn generations_that_were_attempted_are_never_used_again() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    save(&mut follower.checkpointer);
    store.fail_next(&[Outcome::NotSaved, Outcome::NotSaved, Outcome::InDoubt, Outcome::InDoubt]);
    for _ in 0..3 {
        follower.state.advance(ONE, 5);
        follower.checkpointer.checkpoint(durable).unwrap_err();
    }
    follower.checkpointer.reopen(|| store.open()).unwrap();
    follower.checkpointer.checkpoint(durable).unwrap_err();
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 6);
    // Damage of a generation above does no harm, and its number is taken.
    store.edit(|kept| kept.push((20, b"repl-checkpoint v".to_vec())));
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 21);
}

fn the_lock_is_free_when_open_is_called<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered_from::<S>(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    assert!(S::open_at(dir.path()).is_err());
    follower.checkpointer.reopen(|| S::open_at(dir.path())).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 2);
    // It holds the lock again, and lets it go if the next open fails.
    assert!(S::open_at(dir.path()).is_err());
    follower.checkpointer.reopen(|| Err::<S, _>("no disk")).unwrap_err();
    drop(opened::<S>(dir.path()));
    follower.checkpointer.reopen(|| S::open_at(dir.path())).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 3);
}

#[test]
fn the_lock_of_the_old_store_is_free_when_open_is_called() {
    the_lock_is_free_when_open_is_called::<FileStore>();
    the_lock_is_free_when_open_is_called::<SlotStore>();
}
