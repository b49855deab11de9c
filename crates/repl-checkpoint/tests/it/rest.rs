//! A background checkpointer sleeps while nothing changes, and misses no change.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use repl_checkpoint::{Attempt, BackgroundCheckpointer, Schedule};
use repl_core::{ApplyWindow, NewShard, ReplicationState, SeqRange, ShardId};

use crate::background::{ONE, ignore, often, started};
use crate::support::eventually;
use crate::support::scripted::Scripted;

/// Waits until the thread is at rest: then its last success is the time of the call.
fn rests(background: &BackgroundCheckpointer) {
    let floors = background.floors();
    eventually("rest", || {
        let asked = Instant::now();
        floors.health().last_success.is_some_and(|at| at >= asked)
    });
}

type Saved = Option<(u64, Vec<SeqRange>)>;

/// A change of a shard, and what is saved of it afterwards.
type Change<'a> = (&'a dyn Fn(&ReplicationState), u64, Saved);

fn saved(store: &Scripted, shard: u64) -> Saved {
    let (_, checkpoint) = store.newest();
    let shard = checkpoint.shard(ShardId(shard))?;
    Some((shard.mark, shard.completed.to_vec()))
}

#[test]
fn every_kind_of_change_at_rest_is_saved() {
    let polling = often().or_after(1_000_000).poll_every(Duration::from_millis(1));
    for when in [often(), polling] {
        let store = Scripted::default();
        let (state, background) = started(&store, when);
        let window = ApplyWindow::new(state.shard(ONE).unwrap(), 64).unwrap();
        let range = |first, last| SeqRange::new(first, last);
        let new = NewShard::new(ShardId(2)).with_mark(7);
        let changes: [Change<'_>; 6] = [
            (&|state| assert!(state.advance(ONE, 5).is_advanced()), 1, Some((5, vec![]))),
            (&|_| assert!(window.complete(7).is_ok()), 1, Some((5, vec![range(7, 7)]))),
            (
                &|_| assert!(window.skip(range(9, 20)).is_ok()),
                1,
                Some((5, vec![range(7, 7), range(9, 20)])),
            ),
            (&|state| drop(state.add_shard(new.clone())), 2, Some((7, vec![]))),
            (&|state| drop(state.reset_shard(new.clone().with_mark(3))), 2, Some((3, vec![]))),
            (&|state| drop(state.remove_shard(ShardId(2))), 2, None),
        ];
        for (change, shard, expected) in changes {
            rests(&background);
            change(&state);
            eventually("a save", || saved(&store, shard) == expected);
        }
        drop(background);
    }
}

#[test]
fn what_a_flush_has_lowered_is_tried_again_though_no_mark_moves() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    follower.state.advance(ONE, 9);
    let (durable, flushes) = (Arc::new(AtomicU64::new(4)), Arc::new(AtomicU64::new(0)));
    let flush = {
        let (durable, flushes) = (Arc::clone(&durable), Arc::clone(&flushes));
        move |attempt: &mut Attempt| {
            flushes.fetch_add(1, Ordering::SeqCst);
            attempt.lower(ONE, durable.load(Ordering::SeqCst));
            Ok(())
        }
    };
    let background = follower.checkpointer.spawn(often(), flush, ignore).unwrap();
    eventually("flushes that save nothing", || flushes.load(Ordering::SeqCst) > 10);
    assert_eq!((store.saves(), store.mark(1)), (2, Some(4)));
    durable.store(9, Ordering::SeqCst);
    eventually("a save of what is durable now", || store.mark(1) == Some(9));
    drop(background);
}

#[test]
fn the_time_of_the_last_success_never_goes_back() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(Duration::from_millis(20)));
    let floors = background.floors();
    for mark in 1..=3 {
        rests(&background);
        let last = Cell::new(floors.health().last_success);
        state.advance(ONE, mark);
        eventually("a save", || {
            let now = floors.health().last_success;
            assert!(last.get() <= now, "{last:?} then {now:?}");
            last.set(now);
            store.mark(1) == Some(mark)
        });
    }
    drop(background);
}

#[test]
fn a_thread_at_rest_saves_on_request_and_ends() {
    let store = Scripted::default();
    let (_, background) = started(&store, often());
    rests(&background);
    background.save_and_wait().wait().unwrap();
    rests(&background);
    background.close().wait().unwrap();
    assert_eq!(store.saves(), 2);
}

#[test]
fn a_closed_state_is_still_saved() {
    let store = Scripted::default();
    let (state, background) = started(&store, often());
    rests(&background);
    state.close();
    state.advance(ONE, 3);
    eventually("a save", || store.mark(1) == Some(3));
    state.advance(ONE, 4);
    eventually("another save", || store.mark(1) == Some(4));
    background.close().wait().unwrap();
}

/// The number of times that the thread of a background checkpointer has gone to sleep.
#[cfg(target_os = "linux")]
#[test]
fn at_rest_the_thread_does_not_wake_up() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let (send, thread) = std::sync::mpsc::channel();
    let flush = move |_: &mut Attempt| {
        let this = std::fs::read_link("/proc/thread-self").map(|link| send.send(link));
        Ok(this.map(|_| ())?)
    };
    let background = follower.checkpointer.spawn(often(), flush, ignore).unwrap();
    let status = std::path::Path::new("/proc").join(thread.recv().unwrap()).join("status");
    let sleeps = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.unwrap().to_owned()
    };
    rests(&background);
    // The thread says that it rests just before it goes to sleep.
    eventually("sleep", || {
        let before = sleeps();
        std::thread::sleep(Duration::from_millis(100)); // twenty intervals
        sleeps() == before
    });
    follower.state.advance(ONE, 1);
    eventually("a save", || store.mark(1) == Some(1));
    drop(background);
}
