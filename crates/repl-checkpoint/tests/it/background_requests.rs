//! Saves that are requested of a background checkpointer, and their results.

mod wakers;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use repl_checkpoint::{
    Attempt, BackgroundCheckpointer, CheckpointError, SaveAndWait, SaveAndWaitError, SaveError,
    SaveReport, Saved, Schedule, Status,
};
use repl_core::ReplicationState;
use smol::future::{block_on, poll_once};

use crate::background::{HOUR, ONE, ignore, started};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{Flushed, durable, eventually, watched};

const _: () = {
    const fn sent<T: Send + Unpin + 'static>() {}
    sent::<SaveAndWait>();
};

/// A background checkpointer whose flush says that it began, and ends as it is then ordered.
struct Controlled {
    store: Scripted,
    state: Arc<ReplicationState>,
    background: BackgroundCheckpointer,
    began: Receiver<()>,
    orders: Sender<Order>,
}

enum Order {
    Succeed,
    Fail,
    Panic,
}

fn controlled() -> Controlled {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let (begins, began) = channel();
    let (orders, next_order) = channel();
    let flush = move |_: &mut Attempt| -> Flushed {
        begins.send(())?;
        match next_order.recv()? {
            Order::Succeed => Ok(()),
            Order::Fail => Err("no disk".into()),
            Order::Panic => panic!("the engine is broken"),
        }
    };
    let state = follower.state;
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
    Controlled { store, state, background, began, orders }
}

fn generation(result: Result<Saved, SaveAndWaitError>) -> u64 {
    match result.unwrap() {
        Saved::Written(report) => report.generation,
        Saved::Unchanged => panic!("nothing was saved"),
    }
}

#[test]
fn the_save_covers_every_mark_of_the_call() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(HOUR));
    for mark in 1..50 {
        state.advance(ONE, mark);
        assert_eq!(generation(background.save_and_wait().wait()), mark);
        assert_eq!(store.mark(1), Some(mark));
        assert_eq!(background.floors().checkpointed(ONE), Some(mark));
    }
}

#[test]
fn it_can_be_awaited() {
    watched("a request", || {
        let store = Scripted::default();
        let (state, background) = started(&store, Schedule::every(HOUR));
        state.advance(ONE, 5);
        assert_eq!(generation(block_on(background.save_and_wait())), 1);
        assert_eq!(store.mark(1), Some(5));
    });
}

#[test]
fn requests_during_a_save_share_the_next_one() {
    watched("requests", || {
        let it = controlled();
        it.state.advance(ONE, 1);
        let first = it.background.save_and_wait();
        it.began.recv().unwrap();
        // This save may not cover what is applied from here on.
        it.state.advance(ONE, 2);
        let mut later: Vec<_> = (0..4).map(|_| it.background.save_and_wait()).collect();
        it.orders.send(Order::Succeed).unwrap();
        assert_eq!(generation(first.wait()), 1);
        assert_eq!(it.store.mark(1), Some(1));
        it.began.recv().unwrap();
        for request in &mut later {
            assert!(block_on(poll_once(request)).is_none(), "answered by the save before it");
        }
        it.orders.send(Order::Succeed).unwrap();
        for request in later {
            assert_eq!(generation(request.wait()), 2);
        }
        assert_eq!((it.store.saves(), it.store.mark(1)), (2, Some(2)));
    });
}

#[test]
fn a_request_with_nothing_to_save_is_unchanged() {
    let store = Scripted::default();
    let (_, background) = started(&store, Schedule::every(HOUR));
    for generation_of_save in [1, 2] {
        assert_eq!(generation(background.save_and_wait().wait()), generation_of_save);
    }
    assert_eq!(background.save_and_wait().wait().unwrap(), Saved::Unchanged);
}

#[test]
fn all_that_share_a_checkpoint_get_its_error_and_the_next_request_succeeds() {
    watched("requests", || {
        let it = controlled();
        let first = it.background.save_and_wait();
        it.began.recv().unwrap();
        let later: Vec<_> = (0..3).map(|_| it.background.save_and_wait()).collect();
        it.orders.send(Order::Succeed).unwrap();
        generation(first.wait());
        it.began.recv().unwrap();
        it.orders.send(Order::Fail).unwrap();
        for request in later {
            let error = request.wait().unwrap_err();
            let SaveAndWaitError::Failed(cause) = &error else { panic!("{error}") };
            assert!(
                matches!(&**cause, CheckpointError::Flush(why) if why.to_string() == "no disk")
            );
        }
        it.orders.send(Order::Succeed).unwrap();
        assert_eq!(generation(it.background.save_and_wait().wait()), 2);
    });
}

#[test]
fn a_store_that_fails_is_the_error_of_the_request() {
    let store = Scripted::default();
    let (_, background) = started(&store, Schedule::every(HOUR));
    store.fail_next(&[Outcome::NotSaved]);
    let error = background.save_and_wait().wait().unwrap_err();
    let SaveAndWaitError::Failed(cause) = error else { panic!("{error}") };
    assert!(matches!(*cause, CheckpointError::Save(SaveError::NotSaved { .. })), "{cause}");
    assert_eq!(generation(background.save_and_wait().wait()), 2);
}

#[test]
fn a_poisoned_store_is_an_error_at_once() {
    watched("requests", || {
        let store = Scripted::default();
        let (state, background) = started(&store, Schedule::every(HOUR));
        store.fail_next(&[Outcome::InDoubt]);
        let error = background.save_and_wait().wait().unwrap_err();
        assert!(
            matches!(&error, SaveAndWaitError::Failed(cause) if cause.is_poisoning()),
            "{error}"
        );
        store.take_events();
        for mark in 1..4 {
            state.advance(ONE, mark);
            let error = background.save_and_wait().wait().unwrap_err();
            let SaveAndWaitError::Failed(cause) = error else { panic!("{error}") };
            assert!(matches!(*cause, CheckpointError::Poisoned { .. }), "{cause}");
        }
        assert_eq!(store.take_events(), [""; 0]);
    });
}

#[test]
fn a_request_that_no_save_answers_ends_with_the_thread() {
    watched("requests", || {
        let it = controlled();
        let first = it.background.save_and_wait();
        it.began.recv().unwrap();
        let unanswered = it.background.save_and_wait();
        drop(it.background);
        it.orders.send(Order::Succeed).unwrap();
        assert_eq!(generation(first.wait()), 1);
        assert!(matches!(unanswered.wait(), Err(SaveAndWaitError::Ended)));
        assert_eq!(it.store.saves(), 1);
    });
}

#[test]
fn the_last_save_of_close_answers_what_was_requested_before() {
    watched("requests", || {
        let it = controlled();
        it.background.save_now();
        it.began.recv().unwrap();
        it.state.advance(ONE, 5);
        let request = it.background.save_and_wait();
        let close = it.background.close();
        for _ in 0..2 {
            it.orders.send(Order::Succeed).unwrap();
        }
        assert_eq!(generation(request.wait()), 2);
        close.wait().unwrap();
        assert_eq!((it.store.saves(), it.store.mark(1)), (2, Some(5)));
    });
}

#[test]
fn a_thread_that_panics_ends_all_requests_of_before_and_after() {
    watched("requests", || {
        let it = controlled();
        let first = it.background.save_and_wait();
        it.began.recv().unwrap();
        let second = it.background.save_and_wait();
        it.orders.send(Order::Panic).unwrap();
        assert!(matches!(first.wait(), Err(SaveAndWaitError::Ended)));
        assert!(matches!(second.wait(), Err(SaveAndWaitError::Ended)));
        let late = it.background.save_and_wait();
        assert!(matches!(late.wait(), Err(SaveAndWaitError::Ended)));
        let status = it.background.floors().health().status;
        assert!(matches!(status, Status::Stopped { .. }), "{status:?}");
    });
}

#[test]
fn a_request_stands_if_its_future_is_dropped() {
    let store = Scripted::default();
    let (state, background) = started(&store, Schedule::every(HOUR));
    state.advance(ONE, 5);
    drop(background.save_and_wait());
    eventually("a save", || store.saves() == 1);
    assert_eq!(store.mark(1), Some(5));
}

/// A report, and the checkpointed mark at its time.
type Seen = (SaveReport, Option<u64>);

#[test]
fn on_save_gets_every_report_once_the_floors_have_moved() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    follower.checkpointer.on_save(|_| panic!("replaced"));
    follower.checkpointer.on_save({
        let seen = Arc::clone(&seen);
        move |report| seen.lock().unwrap().push((*report, floors.checkpointed(ONE)))
    });
    let state = follower.state;
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap();
    let mut reports = Vec::new();
    for mark in [5, 5, 5, 9] {
        state.advance(ONE, mark);
        if let Saved::Written(report) = background.save_and_wait().wait().unwrap() {
            reports.push((report, Some(mark)));
        }
    }
    store.fail_next(&[Outcome::NotSaved]);
    background.save_and_wait().wait().unwrap_err();
    assert_eq!(*seen.lock().unwrap(), reports, "none of unchanged or failed ones");
    store.edit(|kept| {
        let bytes: Vec<_> = kept.iter().map(|(n, bytes)| (*n, bytes.len() as u64)).collect();
        let reported: Vec<_> = reports.iter().map(|(r, _)| (r.generation, r.bytes)).collect();
        assert_eq!(reported, bytes);
    });
}
