//! How a background checkpointer ends, and what it leaves behind.

mod from_inside;
mod panicking_drops;
mod seen_at_the_end;

use std::sync::mpsc;
use std::time::Duration;

use repl_checkpoint::{
    Attempt, CheckpointError, CloseError, FileStore, SaveError, Schedule, Status, open_timeout,
};
use smol::future::{block_on, poll_once};

use crate::background::{HOUR, ONE, ignore, often, saved_up_to, started};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{Flushed, STORE, durable, eventually, marks_in, recovered, save, watched};

#[test]
fn close_saves_last_and_gives_the_checkpointer_back() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(HOUR));
    state.advance(ONE, 5);
    let mut checkpointer = background.close().wait().unwrap();
    assert!(saved_up_to(&store, 5));
    state.advance(ONE, 6);
    assert_eq!(save(&mut checkpointer), 2);
}

#[test]
fn a_failed_last_save_is_an_error_that_gives_the_checkpointer_back() {
    let store = Scripted::default();
    let (_, background) = started(&store, Schedule::every(HOUR));
    store.fail_next(&[Outcome::NotSaved]);
    match background.close().wait().unwrap_err() {
        CloseError::LastSave { source, mut checkpointer } => {
            assert!(matches!(*source, CheckpointError::Save(SaveError::NotSaved { .. })));
            save(&mut checkpointer);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn drop_saves_nothing_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let follower = recovered(dir.path(), &[1]);
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap();
    assert!(FileStore::open(dir.path(), STORE).is_err());
    drop(background);
    let open = || FileStore::open(dir.path(), STORE);
    drop(open_timeout(Duration::from_secs(10), open).wait().unwrap());
    assert_eq!(crate::support::names(dir.path()), [""; 0]);
}

#[test]
fn after_close_the_directory_is_the_checkpointers_until_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let follower = recovered(dir.path(), &[1]);
    follower.state.advance(ONE, 5);
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap();
    let checkpointer = background.close().wait().unwrap();
    assert!(FileStore::open(dir.path(), STORE).is_err());
    drop(checkpointer);
    assert_eq!(marks_in(dir.path(), 1), [(1, 5)]);
    assert_eq!(recovered(dir.path(), &[1]).state.applied_seqno(ONE), Some(5));
}

#[test]
fn a_flush_that_panics_stops_the_thread_says_so_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let follower = recovered(dir.path(), &[1]);
    let flush = |_: &mut Attempt| -> Flushed { panic!("the engine is broken") };
    let background = follower.checkpointer.spawn(often(), flush, ignore).unwrap();
    let floors = background.floors();
    let stopped = Status::Stopped { error: "the engine is broken".to_owned() };
    eventually("a stop", || floors.health().status == stopped);
    match background.close().wait().unwrap_err() {
        CloseError::Panicked(said) => assert_eq!(said, "the engine is broken"),
        other => panic!("{other}"),
    }
    assert_eq!(floors.health().status, stopped);
    drop(crate::support::store(dir.path()));
}

#[test]
fn an_on_error_that_panics_stops_the_thread_and_says_so() {
    let store = Scripted::default();
    store.fail_next(&[Outcome::NotSaved]);
    let follower = store.recovered(&[1]);
    let background =
        follower.checkpointer.spawn(often(), durable, |error| panic!("{error}")).unwrap();
    let floors = background.floors();
    eventually("a stop", || match floors.health().status {
        Status::Stopped { error } => error.contains("not saved"),
        _ => false,
    });
    assert!(matches!(background.close().wait(), Err(CloseError::Panicked(_))));
}

#[test]
fn drop_does_not_wait_for_a_flush_in_progress_and_its_save_is_made() {
    watched("drop", || {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let (began, is_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let flush = move |_: &mut Attempt| {
            began.send(()).unwrap();
            // Ends only after the drop has returned.
            may_go_on.recv().unwrap();
            Ok(())
        };
        let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
        background.save_now();
        is_begun.recv().unwrap();
        drop(background);
        assert_eq!(store.saves(), 0);
        go_on.send(()).unwrap();
        eventually("the save in progress", || store.saves() == 1);
    });
}

#[test]
fn close_can_be_awaited() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(HOUR));
    state.advance(ONE, 5);
    let mut checkpointer = block_on(background.close()).unwrap();
    assert!(saved_up_to(&store, 5));
    state.advance(ONE, 6);
    assert_eq!(save(&mut checkpointer), 2);
}

#[test]
fn close_is_pending_until_the_last_save_has_ended() {
    watched("the last save", || {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let (began, is_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let flush = move |_: &mut Attempt| {
            began.send(())?;
            Ok(may_go_on.recv()?)
        };
        let when = Schedule::every(HOUR);
        let background = follower.checkpointer.spawn(when, flush, ignore).unwrap();
        let mut close = background.close();
        is_begun.recv().unwrap();
        assert!(block_on(poll_once(&mut close)).is_none());
        go_on.send(()).unwrap();
        block_on(close).unwrap();
        assert_eq!(store.saves(), 1);
    });
}

#[test]
fn the_thread_saves_last_and_ends_though_nobody_waits_for_close() {
    let dir = tempfile::tempdir().unwrap();
    let follower = recovered(dir.path(), &[1]);
    follower.state.advance(ONE, 5);
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap();
    drop(background.close());
    // The store is free when the thread has ended.
    let open = || FileStore::open(dir.path(), STORE);
    drop(open_timeout(Duration::from_secs(10), open).wait().unwrap());
    assert_eq!(marks_in(dir.path(), 1), [(1, 5)]);
}

/// Takes its time to be dropped, as a part of an engine may.
struct Slow(mpsc::Sender<()>);

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(50));
        let _ = self.0.send(());
    }
}

#[test]
fn close_waits_until_all_that_the_functions_held_is_dropped() {
    let follower = Scripted::default().recovered(&[1]);
    let (drops, dropped) = mpsc::channel();
    let (in_flush, in_error) = (Slow(drops.clone()), Slow(drops));
    let flush = move |_: &mut Attempt| {
        let _held = &in_flush;
        Ok(())
    };
    let on_error = move |_: &CheckpointError| {
        let _held = &in_error;
    };
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, on_error).unwrap();
    background.close().wait().unwrap();
    assert_eq!(dropped.try_iter().count(), 2);
}
