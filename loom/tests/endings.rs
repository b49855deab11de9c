//! Closing, removing and resetting: every wait ends, and a new incarnation inherits nothing.

use std::sync::Arc;
use std::task::Poll;

use loom_models::{NewShard, WaitError};

use crate::{
    Advance, Bell, OTHER, Ordering, SHARD, apply, check, data, one_shard, step, thread, wait,
};

#[test]
fn closing_ends_every_wait() {
    check(|| {
        let (state, shard) = one_shard();
        let waiters = [1, 2].map(|seqno| wait(&data(), &shard, seqno));
        state.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().0, Err(WaitError::Closed));
        }
        assert_eq!(shard.reached(1).wait(), Err(WaitError::Closed));
    });
}

#[test]
fn a_wait_ends_reached_or_closed() {
    check(|| {
        let (state, shard) = one_shard();
        let written = data();
        let waiter = wait(&written, &shard, 1);
        let applier = apply(&written, &shard, 1);
        state.close();
        let result = waiter.join().unwrap();
        assert!(result == (Ok(1), 1) || result.0 == Err(WaitError::Closed), "{result:?}");
        assert_eq!(applier.join().unwrap(), Advance::Advanced { from: 0 });
        assert_eq!(shard.reached(1).wait(), Ok(1));
        assert_eq!(shard.reached(2).wait(), Err(WaitError::Closed));
    });
}

#[test]
fn a_shard_added_while_the_state_closes_fails_its_waits_too() {
    check(|| {
        let (state, _) = one_shard();
        let adder = thread::spawn({
            let state = Arc::clone(&state);
            move || state.add_shard(NewShard::new(OTHER)).unwrap().reached(1).wait()
        });
        state.close();
        assert_eq!(adder.join().unwrap(), Err(WaitError::Closed));
    });
}

#[test]
fn the_last_change_is_given_out_before_closed() {
    check(|| {
        let (state, shard) = one_shard();
        let mut changes = shard.changes();
        let applier = thread::spawn(move || {
            shard.advance(1);
            state.close();
        });
        while changes.next().wait().is_ok() {}
        assert_eq!(changes.seen(), Some(1));
        applier.join().unwrap();
    });
}

#[test]
fn removing_ends_every_wait() {
    check(|| {
        let (state, shard) = one_shard();
        let bell = Arc::new(Bell::default());
        let mut reached = shard.reached(2);
        let waiter = wait(&data(), &shard, 1);
        let remover = thread::spawn(move || state.remove_shard(SHARD).unwrap());
        let polled = bell.poll(&mut reached);
        remover.join().unwrap();
        assert_eq!(waiter.join().unwrap().0, Err(WaitError::Removed));
        assert_eq!(bell.rung(), usize::from(polled.is_pending()));
        assert_eq!(bell.poll(&mut reached), Poll::Ready(Err(WaitError::Removed)));
        assert!(bell.is_forgotten());
    });
}

#[test]
fn a_wait_across_a_reset_ends_with_its_own_incarnation() {
    check(|| {
        let (state, old) = one_shard();
        let written = data();
        let waiter = wait(&written, &old, 1);
        let applier = apply(&written, &old, 1);
        let new = state.reset_shard(NewShard::new(SHARD)).unwrap();
        let outcome = applier.join().unwrap();
        match waiter.join().unwrap() {
            (Ok(at), seen) => assert_eq!((at, seen, old.applied()), (1, 1, 1), "{outcome:?}"),
            (Err(why), _) => assert_eq!(why, WaitError::Removed),
        }
        assert_eq!(new.applied(), 0);
        let (bell, mut reached) = (Arc::new(Bell::default()), new.reached(1));
        assert_eq!(bell.poll(&mut reached), Poll::Pending);
        old.advance(9);
        assert_eq!(bell.rung(), 0);
        new.advance(1);
        assert_eq!(bell.poll(&mut reached), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_wait_that_ends_removed_finds_the_new_incarnation() {
    check(|| {
        let (state, old) = one_shard();
        let changer = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                step(|| state.reset_shard(NewShard::new(SHARD).with_mark(1))).unwrap();
            }
        });
        assert_eq!(old.reached(1).wait(), Err(WaitError::Removed));
        let new = state.shard(SHARD).unwrap();
        assert!(new.incarnation() > old.incarnation());
        assert_eq!(new.reached(1).wait(), Ok(1));
        changer.join().unwrap();
    });
}

#[test]
fn a_wait_by_id_ends_while_its_shard_is_removed_and_added_again() {
    check(|| {
        let (state, old) = one_shard();
        let written = data();
        let changer = thread::spawn({
            let (state, written) = (Arc::clone(&state), Arc::clone(&written));
            move || {
                state.remove_shard(SHARD).unwrap();
                let new = state.add_shard(NewShard::new(SHARD)).unwrap();
                written.store(1, Ordering::Relaxed);
                assert_eq!(new.advance(1), Advance::Advanced { from: 0 });
            }
        });
        match state.reached(SHARD, 1).wait() {
            Ok(at) => assert_eq!((at, written.load(Ordering::Relaxed)), (1, 1)),
            Err(why) => assert!([WaitError::Removed, WaitError::UnknownShard].contains(&why)),
        }
        changer.join().unwrap();
        assert_eq!((old.applied(), old.reached(0).wait()), (0, Err(WaitError::Removed)));
    });
}
