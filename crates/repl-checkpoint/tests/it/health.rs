//! What a checkpointer is doing, and how its last checkpoints ended.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use repl_checkpoint::{Attempt, Floors, Health, Schedule, Status};
use repl_core::ShardId;

use crate::background::{HOUR, ignore};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, eventually, save};

const ONE: ShardId = ShardId(1);

fn running_between(floors: &Floors, from: Instant, to: Instant) -> bool {
    floors.health().running_since.is_some_and(|since| from <= since && since <= to)
}

#[test]
fn a_new_checkpointer_is_good_and_does_nothing() {
    let follower = Scripted::default().recovered(&[1]);
    let health = follower.checkpointer.floors().health();
    assert_eq!(health, Health::default());
    assert_eq!((health.running_since, health.last_success), (None, None));
}

#[test]
fn while_a_flush_hangs_the_time_since_it_began_grows() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let (hangs, is_hanging) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let flush = move |_: &mut Attempt| {
        hangs.send(()).unwrap();
        may_go_on.recv().unwrap();
        Ok(())
    };
    let when = Schedule::every(HOUR);
    let before = Instant::now();
    let background = follower.checkpointer.spawn(when, flush, ignore).unwrap();
    let floors = background.floors();
    background.save_now();
    is_hanging.recv().unwrap();
    assert!(running_between(&floors, before, Instant::now()));
    let first = floors.health().running_since;
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(floors.health().running_since, first);
    assert_eq!(floors.health().status, Status::Good);
    assert!(first.unwrap().elapsed() >= Duration::from_millis(20));
    let before = Instant::now();
    go_on.send(()).unwrap();
    eventually("an end", || floors.health().running_since.is_none());
    assert!(floors.health().last_success.is_some_and(|at| at >= before));
}

#[test]
fn an_attempt_is_running_from_begin_to_the_end_of_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    for outcome in [None, Some(Outcome::NotSaved), Some(Outcome::InDoubt)] {
        follower.state.advance(ONE, store.saves() as u64 + 1);
        let before = Instant::now();
        let attempt = begun(&mut follower.checkpointer);
        assert!(running_between(&floors, before, Instant::now()));
        store.fail_next(&outcome.into_iter().collect::<Vec<_>>());
        assert_eq!(follower.checkpointer.save(attempt).is_ok(), outcome.is_none());
        assert_eq!(floors.health().running_since, None);
    }
}

#[test]
fn a_later_attempt_is_the_one_that_runs() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let old = begun(&mut follower.checkpointer);
    let between = Instant::now();
    let new = begun(&mut follower.checkpointer);
    assert!(running_between(&floors, between, Instant::now()));
    follower.checkpointer.save(new).unwrap();
    assert_eq!(floors.health().running_since, None, "the older one can only be dropped");
    drop(old);
    assert_eq!(floors.health().running_since, None);
}

#[test]
fn the_last_success_stays_while_checkpoints_fail() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let before = Instant::now();
    save(&mut follower.checkpointer);
    let success = floors.health().last_success;
    assert!(success.is_some_and(|at| before <= at && at <= Instant::now()));
    follower.state.advance(ONE, 5);
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    drop(begun(&mut follower.checkpointer));
    store.fail_next(&[Outcome::NotSaved, Outcome::InDoubt]);
    for _ in 0..3 {
        follower.checkpointer.checkpoint(durable).unwrap_err();
    }
    assert_eq!(floors.health().last_success, success);
}

#[test]
fn nothing_to_save_is_a_success_too() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    let before = Instant::now();
    follower.checkpointer.checkpoint(durable).unwrap();
    assert!(floors.health().last_success.is_some_and(|at| at >= before));
    assert_eq!(floors.health().running_since, None);
}

#[test]
fn what_ended_the_thread_is_not_hidden_by_the_flush_that_it_ended_in() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let flush = |_: &mut Attempt| panic!("the engine is broken");
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
    let floors = background.floors();
    background.close().wait().unwrap_err();
    let health = floors.health();
    assert_eq!(health.status, Status::Stopped { error: "the engine is broken".to_owned() });
    assert_eq!((health.running_since, health.last_success), (None, None));
}
