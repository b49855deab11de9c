//! A waker may ask for a save: the thread holds no lock when it wakes those that wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use repl_checkpoint::{Attempt, BackgroundCheckpointer, Schedule};

use crate::background::{HOUR, ignore};
use crate::support::scripted::Scripted;
use crate::support::{Flushed, watched};

/// Asks for a save when it is woken, and then says so.
struct Asking {
    background: OnceLock<Arc<BackgroundCheckpointer>>,
    ask: fn(&BackgroundCheckpointer),
    asked: Mutex<Sender<()>>,
}

impl Wake for Asking {
    fn wake(self: Arc<Self>) {
        (self.ask)(self.background.get().unwrap());
        self.asked.lock().unwrap().send(()).unwrap();
    }
}

const ASKS: [fn(&BackgroundCheckpointer); 2] =
    [BackgroundCheckpointer::save_now, |background| drop(background.save_and_wait())];

/// How the save ends that the thread is in: then it answers the request, or ends with a panic.
#[derive(Clone, Copy, PartialEq)]
enum Save {
    Succeeds,
    Panics,
}

fn a_waker_asks(ask: fn(&BackgroundCheckpointer), save: Save) {
    let (begins, began) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let flush = move |_: &mut Attempt| -> Flushed {
        begins.send(())?;
        may_go_on.recv()?;
        assert!(save == Save::Succeeds, "the engine is broken");
        Ok(())
    };
    let follower = Scripted::default().recovered(&[1]);
    let background = follower.checkpointer.spawn(Schedule::every(HOUR), flush, ignore).unwrap();
    let background = Arc::new(background);
    background.save_now();
    began.recv().unwrap();
    // Requested during a save: the next one answers it, or the end of the thread.
    let mut request = background.save_and_wait();
    let (asked, has_asked) = channel();
    let own = OnceLock::from(Arc::clone(&background));
    let asking = Arc::new(Asking { background: own, ask, asked: Mutex::new(asked) });
    let waker = Waker::from(asking);
    assert!(Pin::new(&mut request).poll(&mut Context::from_waker(&waker)).is_pending());
    for _ in 0..2 {
        let _ = go_on.send(()); // the thread may have ended
    }
    has_asked.recv().unwrap();
}

#[test]
fn a_waker_may_ask_for_a_save_while_the_thread_ends() {
    for ask in ASKS {
        watched("a waker at the end", move || a_waker_asks(ask, Save::Panics));
    }
}

#[test]
fn a_waker_may_ask_for_a_save_while_its_request_is_answered() {
    for ask in ASKS {
        watched("a waker at an answer", move || a_waker_asks(ask, Save::Succeeds));
    }
}
