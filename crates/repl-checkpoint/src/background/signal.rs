//! What the background thread is asked for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Duration;

use super::requests::{Requests, SaveAndWait, Taken};

#[derive(Debug)]
pub(super) struct Signal {
    asked: Mutex<Asked>,
    changed: Condvar,
    /// The process of the thread. A forked child inherits all but the thread.
    process: u32,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) end: Option<End>,
    pub(super) save: bool,
    /// Whether the state has changed while the thread was at rest.
    woken: bool,
    requests: Requests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    AfterLastSave,
    AtOnce,
}

/// What was found by [`Signal::wait`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) end: Option<End>,
    /// Whether a save was asked for without a wait for its result.
    pub(super) save: bool,
    /// Whether results are awaited.
    pub(super) results: bool,
}

impl Signal {
    pub(super) fn new() -> Self {
        let asked = Asked { end: None, save: false, woken: false, requests: Requests::new() };
        Signal { asked: Mutex::new(asked), changed: Condvar::new(), process: std::process::id() }
    }

    /// Whether this process was forked from that of the thread. Then nothing is asked: no thread
    /// would answer, and the lock may have been held at the fork.
    pub(super) fn is_inherited(&self) -> bool {
        std::process::id() != self.process
    }

    pub(super) fn ask(&self, change: impl FnOnce(&mut Asked)) {
        if self.is_inherited() {
            return;
        }
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Asks for a save whose result is awaited.
    pub(super) fn request(&self) -> SaveAndWait {
        if self.is_inherited() {
            return Requests::refused();
        }
        let request = self.lock().requests.add();
        self.changed.notify_all();
        request
    }

    /// Waits until something is asked for, the waker is called or `timeout` has passed.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Wanted {
        let nothing = |asked: &mut Asked| {
            asked.end.is_none() && !asked.save && !asked.woken && asked.requests.is_empty()
        };
        let asked = self.lock();
        let mut asked = match timeout {
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(asked, timeout, nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(asked, nothing).unwrap_or_else(PoisonError::into_inner),
        };
        asked.woken = false;
        let save = std::mem::take(&mut asked.save);
        Wanted { end: asked.end, save, results: !asked.requests.is_empty() }
    }

    /// Takes the requests that the next checkpoint answers.
    pub(super) fn take_requests(&self) -> Taken {
        self.lock().requests.take()
    }

    /// Whether the background checkpointer was dropped and not closed.
    pub(super) fn ends_at_once(&self) -> bool {
        self.lock().end == Some(End::AtOnce)
    }

    /// Ends all waiting for results.
    pub(super) fn finish(&self) {
        let done = self.lock().requests.close();
        done.close(); // after the lock: a waker may call back
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the thread, and asks for nothing.
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.ask(|asked| asked.woken = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::error::SaveAndWaitError;

    #[test]
    fn in_a_forked_child_nothing_is_asked_and_no_lock_is_taken() {
        let signal = Signal { process: std::process::id() + 1, ..Signal::new() }; // as a child finds it
        let held = signal.lock(); // as the thread may have held it at the fork
        signal.ask(|asked| asked.save = true);
        assert!(matches!(signal.request().wait(), Err(SaveAndWaitError::Ended)));
        assert!(!held.save && held.requests.is_empty());
    }
}
