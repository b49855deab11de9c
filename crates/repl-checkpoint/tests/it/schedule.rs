//! What is asked for during a save is not lost, and moves are counted from the last save.

use std::sync::mpsc::channel;
use std::time::Duration;

use repl_checkpoint::{Attempt, Schedule};

use crate::background::{HOUR, ONE, ignore, saved_up_to, started};
use crate::support::scripted::Scripted;
use crate::support::{eventually, watched};

#[test]
fn a_save_asked_for_during_a_save_follows_it() {
    watched("the second save", || {
        let store = Scripted::default();
        let follower = store.recovered(&[1]);
        let (begins, began) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let flush = move |_: &mut Attempt| {
            begins.send(())?;
            Ok(may_go_on.recv()?)
        };
        let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
        for mark in [10, 20, 30] {
            background.save_now();
            began.recv().unwrap();
            // The snapshot of this save is taken, so only another one covers the mark.
            follower.state.advance(ONE, mark);
            background.save_now();
            go_on.send(()).unwrap();
            began.recv().unwrap();
            go_on.send(()).unwrap();
            eventually("a save of the mark", || saved_up_to(&store, mark));
        }
        assert_eq!(store.saves(), 6);
        drop(background);
    });
}

#[test]
fn moves_are_counted_from_the_last_save_and_not_from_the_first() {
    const BY: u64 = 10;
    const SAVES: u64 = 20;
    let store = Scripted::default();
    let when = Schedule::every(HOUR).or_after(BY).poll_every(Duration::from_millis(1));
    let (state, background) = started(&store, when);
    for save in 1..=SAVES {
        state.advance(ONE, save * BY - 1);
        // Several polls see marks that have not moved far enough since the last save.
        std::thread::sleep(Duration::from_millis(5));
        state.advance(ONE, save * BY);
        eventually("a save", || saved_up_to(&store, save * BY));
    }
    drop(background);
    assert_eq!(store.saves() as u64, SAVES, "a save before the marks have moved by {BY}");
}
