//! The loop of the background thread.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::Snapshot;

use super::Schedule;
use super::signal::{End, Signal};
use crate::attempt::Attempt;
use crate::checkpointer::{CheckpointError, Checkpointer};

/// A shorter interval would keep a core busy while nothing moves.
const SHORTEST: Duration = Duration::from_millis(1);

/// When the last save was tried, and the marks then where the schedule counts what has moved.
pub(super) struct LastSave {
    pub(super) began: Instant,
    pub(super) marks: Option<Snapshot>,
}

pub(super) struct Work<F, G> {
    pub(super) checkpointer: Checkpointer,
    pub(super) when: Schedule,
    pub(super) flush: F,
    pub(super) on_error: G,
}

impl<F, G> Work<F, G>
where
    F: FnMut(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>>,
    G: FnMut(&CheckpointError),
{
    /// Saves when a save is due, until the thread is to end; returns the result of the last save.
    pub(super) fn run(
        &mut self,
        first: LastSave,
        signal: &Signal,
    ) -> Result<(), Arc<CheckpointError>> {
        let mut last = first;
        loop {
            match self.wait(signal, &last) {
                Some(End::AtOnce) => return Ok(()),
                Some(End::AfterLastSave) => return self.save(signal),
                None => {}
            }
            last = LastSave { began: Instant::now(), marks: self.when.moved.map(|_| self.marks()) };
            // `on_error` has seen the error.
            let _ = self.save(signal);
        }
    }

    /// Waits until a save is due, or returns how the thread is to end.
    fn wait(&self, signal: &Signal, last: &LastSave) -> Option<End> {
        let stuck = self.checkpointer.shared().doubt().is_some();
        // An interval beyond the end of the clock is never due.
        let due = last.began.checked_add(self.when.interval.max(SHORTEST));
        loop {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let poll = self.when.moved.map(|_| self.when.poll.max(SHORTEST));
            let timeout = left.into_iter().chain(poll).min();
            let wanted = signal.wait(if stuck { None } else { timeout });
            if wanted.end.is_some() {
                return wanted.end;
            }
            let is_due = || due.is_some_and(|due| Instant::now() >= due);
            // A request gets a result even when no save is tried.
            if wanted.results || !stuck && (wanted.save || is_due() || self.moved_enough(last)) {
                return None;
            }
        }
    }

    fn moved_enough(&self, last: &LastSave) -> bool {
        let before = self.when.moved.zip(last.marks.as_ref());
        before.is_some_and(|(by, before)| self.marks().advanced_since(before) >= by)
    }

    fn marks(&self) -> Snapshot {
        self.checkpointer.state().marks()
    }

    fn save(&mut self, signal: &Signal) -> Result<(), Arc<CheckpointError>> {
        let requests = signal.take_requests(); // before the snapshot, which so covers them
        let result = self.checkpointer.checkpoint(&mut self.flush).map_err(|error| {
            (self.on_error)(&error);
            Arc::new(error)
        });
        requests.answer(&result);
        result.map(drop)
    }
}
