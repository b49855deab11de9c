//! What is seen of a thread once it has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use repl_checkpoint::{Attempt, CloseError, SaveAndWait, SaveAndWaitError, Schedule, Status};
use smol::future::{block_on, poll_once};

use crate::background::{HOUR, ONE, ignore};
use crate::support::scripted::Scripted;
use crate::support::{Flushed, begun, eventually, watched};

/// Looks at a request at the instant at which it is woken.
struct Looking {
    request: Mutex<SaveAndWait>,
    ended: Mutex<Sender<bool>>,
}

impl Wake for Looking {
    fn wake(self: Arc<Self>) {
        let request = block_on(poll_once(&mut *self.request.lock().unwrap()));
        let is_ended = matches!(request, Some(Err(SaveAndWaitError::Ended)));
        self.ended.lock().unwrap().send(is_ended).unwrap();
    }
}

#[test]
fn when_close_is_ready_every_request_has_ended() {
    watched("the end of the thread", || {
        let follower = Scripted::default().recovered(&[1]);
        let (begins, began) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let flush = move |_: &mut Attempt| -> Flushed {
            begins.send(())?;
            may_go_on.recv()?;
            panic!("the engine is broken")
        };
        let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
        background.save_now();
        began.recv().unwrap();
        // Requested during a save, so only the end of the thread ends it.
        let request = Mutex::new(background.save_and_wait());
        let mut close = background.close();
        let (ended, has_ended) = channel();
        let waker = Waker::from(Arc::new(Looking { request, ended: Mutex::new(ended) }));
        assert!(Pin::new(&mut close).poll(&mut Context::from_waker(&waker)).is_pending());
        go_on.send(()).unwrap();
        assert!(has_ended.recv().unwrap(), "the request has no result yet");
        assert!(matches!(close.wait(), Err(CloseError::Panicked(_))));
    });
}

/// Panics when it is dropped, unless it is by a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a drop panics");
    }
}

#[test]
fn an_attempt_that_is_dropped_after_the_end_of_the_thread_does_not_hide_what_ended_it() {
    let mut follower = Scripted::default().recovered(&[1]);
    follower.state.advance(ONE, 5);
    let attempt = begun(&mut follower.checkpointer);
    let held = Bomb;
    let flush = move |_: &mut Attempt| {
        let _held = &held;
        Ok(())
    };
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
    let floors = background.floors();
    drop(background); // ends the thread without a save, so the attempt stays the newest
    let stopped = Status::Stopped { error: "a drop panics".to_owned() };
    eventually("a stop", || floors.health().status == stopped);
    drop(attempt);
    let health = floors.health();
    assert_eq!((health.status, health.running_since), (stopped, None));
}
