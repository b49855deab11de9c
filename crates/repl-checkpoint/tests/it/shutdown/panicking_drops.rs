//! A panic in a drop on the thread ends it as any other panic does: nothing waits for ever.

use std::panic::panic_any;
use std::sync::mpsc::{Sender, channel};

use repl_checkpoint::{
    Attempt, BackgroundCheckpointer, Candidates, CheckpointError, CheckpointStore, Checkpointer,
    CloseError, JsonCodec, LoadError, OnCorrupt, Save, SaveAndWaitError, SaveError, Schedule,
    Status, StoreId, recover,
};
use repl_core::WaitError;

use crate::background::{HOUR, ONE, ignore};
use crate::support::scripted::Scripted;
use crate::support::{Flushed, durable, watched};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic while one unwinds would abort the process.
        assert!(std::thread::panicking(), "a drop panics");
    }
}

/// A store with a value that is dropped with it.
struct With<T> {
    inner: Scripted,
    _value: T,
}

impl<T: Send> CheckpointStore for With<T> {
    fn store_id(&self) -> StoreId {
        self.inner.store_id()
    }
    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        self.inner.load()
    }
    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        self.inner.save(save)
    }
}

/// The value whose drop panics.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dropped {
    HeldByFlush,
    HeldByOnError,
    Payload,
    Store,
}

use Dropped::{HeldByFlush, HeldByOnError, Payload, Store};

const ALL: [Dropped; 4] = [HeldByFlush, HeldByOnError, Payload, Store];

fn checkpointer(dropped: Dropped) -> Checkpointer {
    let inner = Scripted::default();
    if dropped != Store {
        return inner.recovered(&[1]).checkpointer;
    }
    let store = With { inner, _value: Bomb };
    recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap().checkpointer
}

/// One whose flush ends as `flushed` does, and that is to panic in a drop.
fn spawned(
    dropped: Dropped,
    flushed: impl Fn() -> Flushed + Send + 'static,
) -> BackgroundCheckpointer {
    let in_flush = (dropped == HeldByFlush).then(|| Bomb);
    let in_error = (dropped == HeldByOnError).then(|| Bomb);
    let flush = move |_: &mut Attempt| {
        let _held = &in_flush;
        flushed()
    };
    let on_error = move |_: &CheckpointError| {
        let _held = &in_error;
    };
    checkpointer(dropped).spawn(Schedule::every(HOUR), flush, on_error).unwrap()
}

/// One whose flush panics.
fn broken(dropped: Dropped) -> BackgroundCheckpointer {
    spawned(dropped, move || match dropped {
        Payload => panic_any(Bomb),
        _ => panic!("the engine is broken"),
    })
}

#[test]
fn close_ends_with_an_error_if_what_a_function_held_panics_in_its_drop() {
    for dropped in [HeldByFlush, HeldByOnError] {
        watched("close", move || {
            let background = spawned(dropped, || Ok(()));
            let floors = background.floors();
            let closed = background.close().wait();
            assert!(matches!(closed, Err(CloseError::Panicked(_))), "{dropped:?}: {closed:?}");
            let status = floors.health().status;
            assert!(matches!(status, Status::Stopped { .. }), "{dropped:?}: {status:?}");
        });
    }
}

#[test]
fn close_ends_with_an_error_if_a_drop_panics_after_a_panic() {
    for dropped in ALL {
        watched("close", move || {
            let background = broken(dropped);
            let floors = background.floors();
            let closed = background.close().wait();
            assert!(matches!(closed, Err(CloseError::Panicked(_))), "{dropped:?}: {closed:?}");
            let status = floors.health().status;
            assert!(matches!(status, Status::Stopped { .. }), "{dropped:?}: {status:?}");
        });
    }
}

#[test]
fn requests_end_with_an_error_if_a_drop_panics_after_a_panic() {
    for dropped in ALL {
        watched("requests", move || {
            let background = broken(dropped);
            for _ in 0..3 {
                let result = background.save_and_wait().wait();
                assert!(matches!(result, Err(SaveAndWaitError::Ended)), "{dropped:?}: {result:?}");
            }
        });
    }
}

#[test]
fn a_request_during_the_last_save_ends_if_a_drop_panics_after_it() {
    for dropped in [HeldByFlush, HeldByOnError, Store] {
        watched("a request", move || {
            let (begins, began) = channel();
            let (go_on, may_go_on) = channel::<()>();
            let background = spawned(dropped, move || {
                begins.send(())?;
                Ok(may_go_on.recv()?)
            });
            background.save_now();
            began.recv().unwrap();
            let unanswered = background.save_and_wait();
            drop(background);
            go_on.send(()).unwrap();
            let result = unanswered.wait();
            assert!(matches!(result, Err(SaveAndWaitError::Ended)), "{dropped:?}: {result:?}");
        });
    }
}

#[test]
fn waits_for_a_save_end_if_the_drop_of_the_store_panics() {
    watched("a wait", || {
        let checkpointer = checkpointer(Store);
        let floors = checkpointer.floors();
        checkpointer.state().advance(ONE, 5);
        let saved = floors.saved(ONE, 5);
        drop(checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap());
        assert_eq!(saved.wait(), Err(WaitError::Closed));
    });
}

/// A value that reports the thread of its drop.
struct Reports(Sender<Option<String>>);

impl Drop for Reports {
    fn drop(&mut self) {
        let _ = self.0.send(std::thread::current().name().map(str::to_owned));
    }
}

/// The thread and the drop run side by side, so many rounds are needed.
#[test]
fn a_store_is_dropped_on_the_background_thread_and_not_by_the_thread_that_drops_it() {
    let (sender, dropped_on) = channel();
    for _ in 0..1000 {
        let store = With { inner: Scripted::default(), _value: Reports(sender.clone()) };
        let follower = recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap();
        drop(follower.checkpointer.spawn(Schedule::every(HOUR), durable, ignore).unwrap());
        assert_eq!(dropped_on.recv().unwrap().as_deref(), Some("checkpointer"));
    }
}
