//! Waits that end before their mark is saved.

use repl_core::{NewShard, ShardId, WaitError};

use super::{Blocked, ONE, blocked, now};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, save};

const TWO: ShardId = ShardId(2);

#[test]
fn a_shard_removed_or_reset_before_it_is_applied_ends_the_wait_at_once() {
    for reset in [false, true] {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        let mut saved = floors.saved(ONE, 5);
        assert_eq!(now(&mut saved), None);
        let waiting = blocked(&follower.state, &floors, 5);
        if reset {
            follower.state.reset_shard(NewShard::new(ONE).with_mark(9));
        } else {
            follower.state.remove_shard(ONE);
        }
        assert_eq!(now(&mut saved), Some(Err(WaitError::Removed)));
        assert_eq!(waiting.result(), Err(WaitError::Removed));
    }
}

#[test]
fn a_shard_removed_or_reset_before_it_is_saved_ends_the_wait_with_the_next_checkpoint() {
    for reset in [false, true] {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let mut saved = follower.checkpointer.floors().saved(ONE, 5);
        follower.state.advance(ONE, 5);
        assert_eq!(now(&mut saved), None);
        if reset {
            // The new incarnation is above, and that is no answer.
            follower.state.reset_shard(NewShard::new(ONE).with_mark(9));
        } else {
            follower.state.remove_shard(ONE);
        }
        save(&mut follower.checkpointer);
        assert_eq!(now(&mut saved), Some(Err(WaitError::Removed)));
    }
}

#[test]
fn a_save_of_the_old_incarnation_is_no_answer_for_the_new_one() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 50);
    let attempt = begun(&mut follower.checkpointer);
    follower.state.reset_shard(NewShard::new(ONE).with_mark(9));
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(now(&mut saved), None);
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(9)));
}

#[test]
fn a_shard_that_is_not_tracked_is_unknown() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let mut saved = floors.saved(TWO, 0);
    // The wait is of what was tracked when it began.
    follower.state.add_shard(NewShard::new(TWO)).unwrap();
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Err(WaitError::UnknownShard)));
    assert_eq!(floors.saved(ShardId(9), 0).wait(), Err(WaitError::UnknownShard));
}

#[test]
fn a_checkpointer_that_is_dropped_ends_every_wait() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let mut saved = floors.saved(ONE, 5);
    follower.state.advance(ONE, 5);
    assert_eq!(now(&mut saved), None);
    let task = Blocked::new({
        let saved = floors.saved(ONE, 5);
        || saved.wait()
    });
    let mut later = floors.saved(ONE, 6);
    assert_eq!(now(&mut later), None);
    drop(follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Err(WaitError::Closed)));
    assert_eq!(task.result(), Err(WaitError::Closed));
    assert_eq!(floors.saved(ONE, 5).wait(), Err(WaitError::Closed));
    assert_eq!(now(&mut later), Some(Err(WaitError::Closed)), "though it is not applied");
}

#[test]
fn a_save_in_doubt_ends_every_wait() {
    for outcome in [Outcome::InDoubt, Outcome::InDoubtButThere] {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        follower.state.advance(ONE, 5);
        let mut saved = floors.saved(ONE, 5);
        assert_eq!(now(&mut saved), None);
        let task = Blocked::new({
            let saved = floors.saved(ONE, 5);
            || saved.wait()
        });
        store.fail_next(&[outcome]);
        follower.checkpointer.checkpoint(durable).unwrap_err();
        assert_eq!(now(&mut saved), Some(Err(WaitError::Closed)));
        assert_eq!(task.result(), Err(WaitError::Closed));
        assert_eq!(floors.saved(ONE, 5).wait(), Err(WaitError::Closed));
    }
}

#[test]
fn a_state_that_is_closed_ends_every_wait() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let waiting = blocked(&follower.state, &floors, 5);
    follower.state.close();
    assert_eq!(waiting.result(), Err(WaitError::Closed));
}
