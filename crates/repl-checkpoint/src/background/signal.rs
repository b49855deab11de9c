//! Requests to the background thread.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Signal {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Asked {
    pub(super) end: Option<End>,
    pub(super) save: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    AfterLastSave,
    AtOnce,
}

impl Signal {
    pub(super) fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until something is requested or `timeout` has passed; takes a request to save.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Asked {
        let nothing_asked = |asked: &mut Asked| asked.end.is_none() && !asked.save;
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = match timeout {
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(asked, timeout, nothing_asked);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .changed
                .wait_while(asked, nothing_asked)
                .unwrap_or_else(PoisonError::into_inner),
        };
        Asked { save: std::mem::take(&mut asked.save), ..*asked }
    }
}
