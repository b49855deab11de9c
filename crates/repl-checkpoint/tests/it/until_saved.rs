//! Waiting until a mark is saved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_checkpoint::{Floors, UntilSaved};
use repl_core::{NewShard, ReplicationState, SeqNo, ShardId, WaitError};
use smol::future::{block_on, poll_once};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, save};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

const _: () = {
    const fn sent<T: Send + Sync + Unpin + 'static>() {}
    sent::<UntilSaved>();
};

/// The result if there is one now.
fn now(saved: &mut UntilSaved) -> Option<Result<SeqNo, WaitError>> {
    block_on(poll_once(saved))
}

/// Starts a thread that waits, and returns once it waits for the seqno to be applied.
fn blocked(
    state: &ReplicationState,
    floors: &Floors,
    seqno: SeqNo,
) -> std::thread::JoinHandle<Result<SeqNo, WaitError>> {
    let mut awaited = state.shard(ONE).unwrap().awaited_changes();
    let saved = floors.saved(ONE, seqno);
    let thread = std::thread::spawn(|| saved.wait());
    while awaited.next().wait() != Ok(Some(seqno)) {}
    thread
}

#[test]
fn a_future_waits_for_the_apply_and_then_for_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let mut saved = floors.saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), None, "it is not applied");
    follower.state.advance(ONE, 4);
    assert_eq!(now(&mut saved), None);
    follower.state.advance(ONE, 6);
    assert_eq!(now(&mut saved), None, "it is not saved");
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    assert_eq!(now(&mut saved), None, "the checkpoint failed");
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(6)));
}

#[test]
fn a_future_is_woken_by_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let saved = floors.saved(ONE, 5);
    let waiting = blocked(&follower.state, &floors, 5);
    let task = std::thread::spawn(|| block_on(saved));
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    assert_eq!((task.join().unwrap(), waiting.join().unwrap()), (Ok(5), Ok(5)));
}

#[test]
fn threads_that_block_are_released_by_the_save_that_holds_their_seqno() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let low: Vec<_> = (0..3).map(|_| blocked(&follower.state, &floors, 5)).collect();
    follower.state.advance(ONE, 5);
    let high = blocked(&follower.state, &floors, 9);
    save(&mut follower.checkpointer);
    for thread in low {
        assert_eq!(thread.join().unwrap(), Ok(5));
    }
    follower.state.advance(ONE, 12);
    save(&mut follower.checkpointer);
    assert_eq!(high.join().unwrap(), Ok(12), "the result is the saved mark");
}

#[test]
fn what_is_saved_already_is_ready_at_once() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 9);
    for seqno in 0..=5 {
        assert_eq!(now(&mut floors.saved(ONE, seqno)), Some(Ok(5)));
        assert_eq!(floors.saved(ONE, seqno).wait(), Ok(5));
        assert_eq!(floors.saved(ONE, seqno).wait_timeout(Duration::ZERO), Ok(5));
    }
    assert_eq!(now(&mut floors.saved(ONE, 6)), None);
    drop(follower);
    assert_eq!(floors.saved(ONE, 5).wait(), Ok(5), "no later crash loses it");
}

#[test]
fn nothing_is_saved_before_the_first_save_of_this_process() {
    let store = Scripted::default();
    let mut first = store.recovered(&[1]);
    first.state.advance(ONE, 5);
    save(&mut first.checkpointer);
    let mut second = store.recovered(&[1]);
    let mut saved = second.checkpointer.floors().saved(ONE, 0);
    assert_eq!(now(&mut saved), None);
    save(&mut second.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(5)));
}

#[test]
fn a_mark_that_the_flush_lowered_is_not_saved_yet() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    follower.state.advance(ONE, 5);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 4);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(now(&mut saved), None);
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(5)));
}

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let short = Duration::from_millis(20);
    for applied in [0, 5] {
        follower.state.advance(ONE, applied);
        let before = Instant::now();
        assert_eq!(floors.saved(ONE, 5).wait_timeout(short), Err(WaitError::Timeout));
        assert!(before.elapsed() >= short);
        assert_eq!(floors.saved(ONE, 5).wait_deadline(before), Err(WaitError::Timeout));
    }
    save(&mut follower.checkpointer);
    // Beyond the end of the clock.
    assert_eq!(floors.saved(ONE, 5).wait_timeout(Duration::MAX), Ok(5));
}

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
        assert_eq!(waiting.join().unwrap(), Err(WaitError::Removed));
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
    let task = std::thread::spawn({
        let saved = floors.saved(ONE, 5);
        || saved.wait()
    });
    let state = follower.state;
    drop(follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Err(WaitError::Closed)));
    assert_eq!(task.join().unwrap(), Err(WaitError::Closed));
    assert_eq!(floors.saved(ONE, 5).wait(), Err(WaitError::Closed));
    // What is not applied is waited for first.
    let mut later = floors.saved(ONE, 6);
    assert_eq!(now(&mut later), None);
    state.advance(ONE, 6);
    assert_eq!(now(&mut later), Some(Err(WaitError::Closed)));
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
        let task = std::thread::spawn({
            let saved = floors.saved(ONE, 5);
            || saved.wait()
        });
        store.fail_next(&[outcome]);
        follower.checkpointer.checkpoint(durable).unwrap_err();
        assert_eq!(now(&mut saved), Some(Err(WaitError::Closed)));
        assert_eq!(task.join().unwrap(), Err(WaitError::Closed));
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
    assert_eq!(waiting.join().unwrap(), Err(WaitError::Closed));
}

#[test]
fn a_future_that_is_dropped_is_awaited_no_more() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    let shard = follower.state.shard(ONE).unwrap();
    assert_eq!(shard.awaited(), Some(5));
    drop(saved);
    assert_eq!(shard.awaited(), None);
}

#[test]
fn durable_marks_are_saved_once_they_are_applied() {
    let state = Arc::new(ReplicationState::new(&[ONE]));
    let floors = Floors::of_durable(Arc::clone(&state));
    let mut saved = floors.saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    let waiting = blocked(&state, &floors, 5);
    state.advance(ONE, 7);
    assert_eq!((now(&mut saved), waiting.join().unwrap()), (Some(Ok(7)), Ok(7)));
    let mut removed = floors.saved(ONE, 9);
    state.remove_shard(ONE);
    assert_eq!(now(&mut removed), Some(Err(WaitError::Removed)));
    assert_eq!(floors.saved(ONE, 5).wait(), Err(WaitError::UnknownShard));
}
