//! A checkpointer on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use repl_checkpoint::{
    Attempt, BackgroundCheckpointer, CheckpointError, CloseError, Schedule, Status,
};
use repl_core::{NewShard, ReplicationState, ShardId};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{durable, eventually, save};

pub(crate) const ONE: ShardId = ShardId(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn often() -> Schedule {
    Schedule::every(Duration::from_millis(5))
}

pub(crate) fn ignore(_: &CheckpointError) {}

pub(crate) fn started(
    store: &Scripted,
    when: Schedule,
) -> (Arc<ReplicationState>, BackgroundCheckpointer) {
    let follower = store.recovered(&[1]);
    (follower.state, follower.checkpointer.spawn(when, durable, ignore).unwrap())
}

pub(crate) fn saved_up_to(store: &Scripted, mark: u64) -> bool {
    store.saves() > 0 && store.mark(1) == Some(mark)
}

#[test]
fn it_saves_on_the_interval() {
    let store = Scripted::default();
    let (state, background) = started(&store, often());
    for mark in [5, 6, 7] {
        state.advance(ONE, mark);
        eventually("a save", || saved_up_to(&store, mark));
    }
    let floors = background.floors();
    eventually("a floor", || floors.retention_floor(ONE) == Some(7));
    drop(background);
}

#[test]
fn it_saves_nothing_while_nothing_moves() {
    let store = Scripted::default();
    let (_, background) = started(&store, often());
    eventually("both first saves", || store.saves() == 2);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(store.saves(), 2);
    drop(background);
}

#[test]
fn it_saves_earlier_where_the_marks_have_moved_by_n_in_sum() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let state = follower.state.clone();
    state.advance(ONE, 100);
    save(&mut follower.checkpointer);
    let when = Schedule::every(HOUR).or_after(10).poll_every(Duration::from_millis(2));
    let background = follower.checkpointer.spawn(when, durable, ignore).unwrap();
    state.advance(ONE, 105);
    state.advance(ShardId(2), 4);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(store.saves(), 1, "9 is less than 10");
    state.advance(ShardId(2), 5);
    eventually("a save", || saved_up_to(&store, 105));
    drop(background);
}

#[test]
fn moves_are_counted_from_the_last_save_though_they_came_before_the_thread() {
    for saved in [false, true] {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        if saved {
            follower.state.advance(ONE, 100);
            save(&mut follower.checkpointer);
        }
        let mark = follower.state.applied_seqno(ONE).unwrap() + 5;
        follower.state.advance(ONE, mark);
        let when = Schedule::every(HOUR).or_after(5).poll_every(Duration::from_millis(2));
        let background = follower.checkpointer.spawn(when, durable, ignore).unwrap();
        eventually("a save", || saved_up_to(&store, mark));
        drop(background);
    }
}

/// The first save takes the whole interval, so the next is due when it ends.
#[test]
fn the_interval_is_counted_from_the_start_of_a_save() {
    const INTERVAL: Duration = Duration::from_secs(1);
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let (times, begun) = channel();
    let mut is_first = true;
    let flush = move |_: &mut Attempt| {
        times.send(Instant::now())?;
        if std::mem::take(&mut is_first) {
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    };
    let background = follower.checkpointer.spawn(Schedule::every(INTERVAL), flush, ignore).unwrap();
    background.save_now();
    let first = begun.recv().unwrap();
    let between = begun.recv().unwrap() - first;
    assert!(between >= INTERVAL);
    assert!(between < 2 * INTERVAL, "{between:?}: counted from the end");
    drop(background);
}

#[test]
fn no_interval_is_shorter_than_a_millisecond() {
    const SAVES: u32 = 300;
    let follower = Scripted::default().recovered(&[1]);
    let (times, begun) = channel();
    // What fails is tried again when the next save is due.
    let flush = move |_: &mut Attempt| {
        times.send(Instant::now())?;
        Err("no".into())
    };
    let when = Schedule::every(Duration::ZERO);
    let before = Instant::now();
    let background = follower.checkpointer.spawn(when, flush, ignore).unwrap();
    for (at, saves) in begun.iter().zip(1..=SAVES) {
        assert!(at - before >= Duration::from_millis(1) * saves, "{saves} saves");
    }
    drop(background);
}

#[test]
fn marks_that_move_by_n_during_a_save_are_seen_after_it() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let state = follower.state.clone();
    let flush = move |attempt: &mut Attempt| {
        if attempt.marks().mark(ONE) == Some(0) {
            state.advance(ONE, 10);
        }
        Ok(())
    };
    let when = Schedule::every(HOUR).or_after(10);
    let background = follower.checkpointer.spawn(when, flush, ignore).unwrap();
    background.save_now();
    eventually("a save of what moved meanwhile", || saved_up_to(&store, 10));
    drop(background);
}

#[test]
fn marks_that_move_by_n_are_seen_beside_a_shard_that_is_removed() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let state = follower.state.clone();
    state.add_shard(NewShard::new(ShardId(2)).with_mark(1_000_000)).unwrap();
    let when = Schedule::every(HOUR).or_after(10);
    let background = follower.checkpointer.spawn(when, durable, ignore).unwrap();
    background.save_now();
    eventually("a first save", || store.saves() == 1);
    state.remove_shard(ShardId(2));
    state.advance(ONE, 50);
    eventually("a save", || saved_up_to(&store, 50));
    drop(background);
}

#[test]
fn it_saves_when_asked() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(HOUR));
    state.advance(ONE, 5);
    background.save_now();
    eventually("a save", || saved_up_to(&store, 5));
    state.advance(ONE, 6);
    background.save_now();
    eventually("another", || saved_up_to(&store, 6));
    assert_eq!(store.saves(), 2);
    drop(background);
}

#[test]
fn an_endless_interval_saves_only_on_request() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(Duration::MAX));
    state.advance(ONE, 5);
    background.save_now();
    eventually("a save or an end", || {
        store.saves() > 0 || background.floors().health().status != Status::Good
    });
    assert_eq!(background.floors().health().status, Status::Good);
    background.close().wait().unwrap();
}

#[test]
fn an_error_reaches_on_error_and_the_health_and_the_thread_goes_on() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let (fails, errors) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (f, t) = (Arc::clone(&fails), Arc::clone(&errors));
    let background = follower
        .checkpointer
        .spawn(
            often(),
            move |_| if f.load(SeqCst) { Err("no disk".into()) } else { Ok(()) },
            move |error| t.lock().unwrap().push(error.to_string()),
        )
        .unwrap();
    let floors = background.floors();
    eventually(
        "two errors",
        || matches!(floors.health().status, Status::Failing { failures, .. } if failures >= 2),
    );
    assert_eq!(store.saves(), 0);
    assert!(errors.lock().unwrap()[0].contains("failed to flush"));
    fails.store(false, SeqCst);
    eventually("good health", || store.saves() > 0 && floors.health().status == Status::Good);
    background.close().wait().unwrap();
}

#[test]
fn the_thread_goes_on_after_a_save_that_failed() {
    let store = Scripted::default();
    store.fail_next(&[Outcome::NotSaved, Outcome::NotSaved]);
    let (state, background) = started(&store, often());
    state.advance(ONE, 5);
    eventually("a save", || saved_up_to(&store, 5));
    background.close().wait().unwrap();
}

#[test]
fn the_thread_waits_to_be_closed_when_the_store_is_poisoned() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let failures = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&failures);
    store.fail_next(&[Outcome::InDoubt]);
    let when = often().or_after(1).poll_every(Duration::from_millis(1));
    let background = follower
        .checkpointer
        .spawn(when, durable, move |_| {
            count.fetch_add(1, SeqCst);
        })
        .unwrap();
    let floors = background.floors();
    eventually("poison", || matches!(floors.health().status, Status::Poisoned { .. }));
    let state = follower.state;
    for mark in 1..20 {
        state.advance(ONE, mark);
        background.save_now();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(failures.load(SeqCst), 1);
    assert_eq!(store.take_events(), ["save 1 confirmed 0"]);
    let ended = background.close().wait().unwrap_err();
    assert!(
        matches!(
            &ended,
            CloseError::LastSave { source, .. }
                if matches!(**source, CheckpointError::Poisoned { .. })
        ),
        "{ended}"
    );
    assert_eq!(floors.checkpointed(ONE), None);
}
